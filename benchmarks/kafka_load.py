"""Slim records of busy tenants, made quickly, as batches on their way to the workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from pipeline.model.clock import to_us
from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.live.messages import Kind, Message, pack_events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.runtime.config import Kafka

MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
BATCH: Final = 2_000
OUTAGE_HOUR: Final = 10
# The clients of a desk and those of a pocket; each person has one of each, always the same.
DESKS: Final = ("outlook_windows_classic", "owa")
POCKETS: Final = ("outlook_ios", "outlook_android")
CLIENTS: Final = (*DESKS, *POCKETS)
FIRST_SHARE: Final = (0.67, 0.62)
# A client asks for a token each half hour while its user is at work.
PER_HOUR: Final = 2
WORK_DAYS: Final = 5
_HOUR_US: Final = 3_600_000_000
_HALF_HOUR_US: Final = _HOUR_US // PER_HOUR
_JITTER_US: Final = 60_000_000
_BY_HOUR: Final = (
    np.array([1, 1, 1, 1, 1, 2, 6, 9, 10, 10, 10, 9, 8, 9, 10, 10, 9, 6, 4, 3, 2, 2, 1, 1]) / 10
)


def tenant_names(count: int) -> list[str]:
    """Names of the tenants."""
    return [f"tenant-{n:04d}" for n in range(count)]


def begin(day: int) -> datetime:
    """Midnight of a day."""
    return MONDAY + timedelta(days=day)


def hour_of(
    number: int, people: int, hour: int, *, failing: bool = False
) -> list[tuple[int, bytes]]:
    """One hour of a tenant: batches in order of time, each of one minute where ``failing``.

    Returns:
        (last minute in the batch, its bytes).
    """
    table = made(number, people, hour, failing=failing)
    minute = (table.column("event_time").cast(pa.int64()).to_numpy() // 60_000_000) % 60
    if not failing:
        pieces = [table.slice(at, BATCH) for at in range(0, table.num_rows, BATCH)]
        return [
            (int(minute[min(n + 1, len(pieces)) * BATCH - BATCH]), pack_events(p))
            for n, p in enumerate(pieces)
        ]
    cuts = np.searchsorted(minute, np.arange(61))
    return [
        (m, pack_events(table.slice(int(cuts[m]), int(cuts[m + 1] - cuts[m]))))
        for m in range(60)
        if cuts[m + 1] > cuts[m]
    ]


def made(number: int, people: int, hour: int, *, failing: bool = False) -> pa.Table:
    """Records of one hour, in order of time; ``failing``: six in ten of iOS fail."""
    rng = np.random.default_rng([number, hour])
    person, client, phase = _habits(number, people)
    asked = np.tile(np.arange(len(person)), PER_HOUR)
    time = (phase + rng.integers(0, _JITTER_US, len(asked)).reshape(PER_HOUR, -1)) % _HALF_HOUR_US
    time += np.arange(PER_HOUR)[:, None] * _HALF_HOUR_US
    # Who is at work is so for the hour: 1.9 records a person, client and hour; a simulated tenant
    # (`outrider simulate ex1256020 --users 100`) has 2.6.
    chance = np.tile(rng.random(len(person)), PER_HOUR)
    at_work = chance < _busy(hour, time.ravel() / _HOUR_US)
    asked, time = asked[at_work], time.ravel()[at_work]
    order = np.argsort(time)
    asked, time = asked[order], time[order] + to_us(MONDAY) + hour * _HOUR_US
    user, client = person[asked], client[asked]
    bad = rng.random(len(asked)) < 0.002
    if failing:
        bad |= (client == CLIENTS.index("outlook_ios")) & (rng.random(len(asked)) < 0.6)
    return _table(number, time, user, client, bad, rng)


def _busy(hour: int, within: NDArray[Any]) -> NDArray[Any]:
    """Share of the people at work at parts of an hour; no step at full hours."""
    by_hour = [
        _BY_HOUR[h % 24] * (1.0 if (h // 24) % 7 < WORK_DAYS else 0.15) for h in (hour, hour + 1)
    ]
    return by_hour[0] + (by_hour[1] - by_hour[0]) * within


def _habits(number: int, people: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each client that somebody uses: who, which, and when within the half hour it asks."""
    rng = np.random.default_rng(number)
    person = np.tile(np.arange(people), 2)
    second = rng.random(2 * people) >= np.repeat(FIRST_SHARE, people)
    client = second + np.repeat([0, len(DESKS)], people)
    return person, client, rng.integers(0, _HALF_HOUR_US, 2 * people)


def _table(
    number: int,
    time: NDArray[Any],
    user: NDArray[Any],
    client: NDArray[Any],
    bad: NDArray[Any],
    rng: np.random.Generator,
) -> pa.Table:
    n = len(time)
    zeros = np.zeros(n, np.int64)
    columns: dict[str, Any] = {
        "event_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(rng.bytes(16 * n))]
        ),
        "event_time": pa.array(time).cast(EVENT_SCHEMA.field("event_time").type),
        "tenant": _named(zeros, [tenant_names(number + 1)[-1]]),
        "source": _named(zeros, ["entra_signin_noninteractive"]),
        "service": _named(zeros, ["exchange_online"]),
        "client": _named(client, list(CLIENTS)),
        "operation": _named(zeros, ["sign_in"]),
        "outcome": _named(bad.astype(np.int64), ["success", "service_fault"]),
        "error_code": pa.array(np.where(bad, 90036, 0).astype(np.int32)),
        "user": pa.array((user * 7919 + 1).astype(np.uint64)),
        "country": _named(zeros, ["DE"]),
        "network": _named(user % 20, [f"AS{64512 + i}" for i in range(20)]),
        "weight": pa.array(np.ones(n, np.int32)),
        "flags": pa.array(np.zeros(n, np.uint8)),
    }
    arrays = [columns[f.name] if f.name in columns else pa.nulls(n, f.type) for f in EVENT_SCHEMA]
    return pa.table(arrays, schema=EVENT_SCHEMA)


def _named(codes: NDArray[Any], names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def send(config: Kafka, tenants: int, people: int, days: int, more_hours: int = 0) -> int:
    """Fill the topic of events, hour by hour, a partition for each tenant in turn; the records."""
    writer, topic = producer(config, f"bench-{config.prefix}"), Topics(config.prefix).events
    total = 0
    names = tenant_names(tenants)
    for hour in range(days * 24 + more_hours):
        writer.begin_transaction()
        read_at = MONDAY + timedelta(hours=hour + 1)
        for number, name in enumerate(names):
            table = made(number, people, hour)
            total += table.num_rows
            for at in range(0, table.num_rows, BATCH):
                message = Message(name, Kind.EVENTS, read_at, pack_events(table.slice(at, BATCH)))
                writer.send(
                    topic,
                    key=name.encode(),
                    value=message.body,
                    headers=message.headers(),
                    partition=number % config.partitions,
                )
        writer.commit_transaction()
    writer.close()
    return total
