"""Counting the events of one block: memory and events in, a block of closed windows out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.clock import MINUTE_US, to_us
from pipeline.model.event import EventFlag
from pipeline.model.vocabulary import Client, Outcome, Service, Source
from pipeline.model.window import Cell, WindowBlock, outcome_column
from pipeline.window.arrival import LATE_AFTER, Arrival
from pipeline.window.codes import count_codes
from pipeline.window.columns import OUTCOMES
from pipeline.window.gaps import FeedRate, find_gaps, presence
from pipeline.window.people import number_pairs
from pipeline.window.user_hours import user_hours
from pipeline.window.users import NO_ATTEMPT, SUCCESS, Attempts, count_users, user_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from pipeline.model.window import Gap
    from pipeline.window.columns import Columns
    from pipeline.window.people import Pairs
    from pipeline.window.state import Feed, Memory

# One record may stand for many accesses (OperationCount); a single mailbox must not be
# able to move the volume of its client, so a record counts for this many at most.
WEIGHT_CAP: Final = 16
WATCHED: Final = frozenset(
    {Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE, Source.EXCHANGE_AUDIT}
)


def close(
    memory: Memory,
    events: Columns,
    *,
    start: datetime,
    until: datetime,
    data_end: datetime | None,
    declared: Mapping[Source, tuple[float, float]],
    reached: Mapping[Source, datetime],
) -> WindowBlock:
    """Close the windows of [start, until).

    Args:
        memory: taken on to ``until``, in place.
        events: of this stretch only, deduplicated, in canonical order.
        start: first minute, on a full hour.
        until: minute after the last one, on a full hour.
        data_end: see :func:`pipeline.window.stage.advance`.
        declared: (median, p95) delays in seconds of sources that tell no arrival time.
        reached: see :func:`pipeline.window.stage.advance`.
    """
    start_us, until_us = to_us(start), to_us(until)
    minutes = (until_us - start_us) // MINUTE_US
    minute = (events.time - start_us) // MINUTE_US
    start_minute = start_us // MINUTE_US
    cell = _cells(memory, events)
    throttled = memory.mailboxes.take(events, _is(events, Source.EXCHANGE_AUDIT))
    of_users = _user_cells(memory, cell)
    carried = memory.open_hours
    rows = user_rows(events, of_users)
    pairs = number_pairs(
        np.concatenate([carried.cell, of_users[rows]]),
        np.concatenate([carried.user, events.user[rows]]),
    )
    counts = {
        **_count_events(memory, events, cell, minute, minutes, throttled),
        **_count_users(memory, events, rows, pairs, minute, minutes, start_minute, throttled),
    }
    completeness, gaps = _completeness(
        memory, events, minute, minutes, start_minute, data_end, declared, reached
    )
    block = WindowBlock(
        start=start,
        minutes=minutes,
        cells=tuple(memory.cells),
        counts=counts,
        codes=count_codes(events, of_users, memory.codes, start_minute, minutes),
        completeness=completeness,
        user_hours=user_hours(
            events, of_users, memory.cells, replace(pairs, code=pairs.code[len(carried.cell) :])
        ),
        gaps=tuple(gaps),
        settle={feed: arrival.settle() for feed, arrival in memory.arrivals.items()},
        measured=frozenset(f for f, a in memory.arrivals.items() if a.measured),
    )
    memory.mailboxes.forget_before(until_us)
    return block


def _is(events: Columns, source: Source) -> NDArray[np.bool_]:
    if source not in events.source.values:
        return np.zeros(len(events), dtype=bool)
    mask: NDArray[np.bool_] = events.source.codes == events.source.values.index(source)
    return mask


def _cells(memory: Memory, events: Columns) -> NDArray[np.int64]:
    """Index of each event's cell; -1 for sources that are context, not traffic."""
    known = {cell: i for i, cell in enumerate(memory.cells)}
    parts = (events.tenant, events.source, events.service, events.client)
    shape = tuple(max(len(names.values), 1) for names in parts)
    keys = np.zeros(len(events), np.int64)
    for names in parts:
        keys *= len(names.values)
        keys += names.codes
    index = np.full(math.prod(shape), -1, np.int64)
    for key in np.flatnonzero(np.bincount(keys, minlength=len(index))).tolist():
        tenant, source, service, client = (int(k) for k in np.unravel_index(key, shape))
        cell = Cell(
            events.tenant.values[tenant],
            Source(events.source.values[source]),
            Service(events.service.values[service]),
            Client(events.client.values[client]),
        )
        if cell.source in WATCHED:
            if cell not in known:
                known[cell] = len(memory.cells)
                memory.cells.append(cell)
            index[key] = known[cell]
    return index[keys]


def _user_cells(memory: Memory, cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells of users: server-side traffic is counted and shown, but is nobody's."""
    system = np.array([c.client is Client.SYSTEM for c in memory.cells] + [False])
    return np.where(system[cell], -1, cell)


def _count_events(
    memory: Memory,
    events: Columns,
    cell: NDArray[np.int64],
    minute: NDArray[np.int64],
    minutes: int,
    throttled: NDArray[np.bool_],
) -> dict[str, NDArray[np.int32]]:
    shape = (len(memory.cells), minutes)
    size = shape[0] * shape[1]
    place = cell * minutes + minute

    def tally(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
        flat = np.bincount(place[mask & (cell >= 0)], minlength=size)
        return flat.reshape(shape).astype(np.int32)

    counts = {outcome_column(o): np.zeros(shape, np.int32) for o in OUTCOMES}
    for at in np.flatnonzero(np.bincount(events.outcome)).tolist():
        counts[outcome_column(OUTCOMES[at])] = tally(events.outcome == at)
    attempts = [counts[outcome_column(o)] for o in OUTCOMES if o not in NO_ATTEMPT]
    counts["attempts"] = np.sum(attempts, axis=0, dtype=np.int32)
    counts["weight"] = counts[outcome_column(Outcome.SUCCESS)].copy()
    rows = np.flatnonzero(
        (cell >= 0) & (events.outcome == SUCCESS) & (throttled | (events.weight != 1))
    )
    if len(rows):
        # Most records stand for one access, and few mailboxes are throttled.
        capped = np.where(throttled[rows], 0, np.minimum(events.weight[rows], WEIGHT_CAP))
        more = np.bincount(place[rows], weights=capped - 1, minlength=size)
        counts["weight"] += more.reshape(shape).astype(np.int32)
    counts["late"] = tally(_late(events))
    return counts


def _count_users(
    memory: Memory,
    events: Columns,
    rows: NDArray[np.int64],
    pairs: Pairs,
    minute: NDArray[np.int64],
    minutes: int,
    start_minute: int,
    throttled: NDArray[np.bool_],
) -> dict[str, NDArray[np.int32]]:
    """Users but for guests; ``pairs`` are those of the open hours, then of ``rows``."""
    begun, code = np.split(pairs.code, [len(memory.open_hours.cell)])
    apart = ((events.flags & int(EventFlag.GUEST)) > 0) | throttled
    if apart.any():
        code, rows = code[~apart[rows]], rows[~apart[rows]]
        pairs = replace(pairs, code=np.concatenate([begun, code]))
    attempts = Attempts(pairs.cell[code], events.user[rows], minute[rows], events.outcome[rows])
    counts, memory.open_hours = count_users(
        attempts, memory.open_hours, start_minute, minutes, len(memory.cells), pairs
    )
    return counts


def _late(events: Columns) -> NDArray[np.bool_]:
    limit = np.array([LATE_AFTER[Source(s)] * 1e6 for s in events.source.values] or [0.0])
    late: NDArray[np.bool_] = (events.received >= 0) & (
        events.received - events.time > limit[events.source.codes]
    )
    return late


def _completeness(
    memory: Memory,
    events: Columns,
    minute: NDArray[np.int64],
    minutes: int,
    start_minute: int,
    data_end: datetime | None,
    declared: Mapping[Source, tuple[float, float]],
    reached: Mapping[Source, datetime],
) -> tuple[dict[Feed, NDArray[np.float32]], list[Gap]]:
    completeness: dict[Feed, NDArray[np.float32]] = {}
    gaps: list[Gap] = []
    feeds = sorted({(c.tenant, c.source) for c in memory.cells} | set(memory.rates))
    by_minute: dict[Feed, NDArray[np.int64]] = {}
    usual: dict[Feed, NDArray[np.float64]] = {}
    for feed in feeds:
        tenant, source = feed
        mine = _is(events, source)
        if tenant in events.tenant.values:
            mine &= events.tenant.codes == events.tenant.values.index(tenant)
        else:
            mine &= False
        arrival = memory.arrivals.setdefault(feed, Arrival(source, declared[source]))
        told = mine & (events.received >= 0)
        arrival.learn((events.received[told] - events.time[told]) / 1e6, minutes / 1440)
        by_minute[feed] = np.bincount(minute[mine], minlength=minutes)
        rate = memory.rates.setdefault(feed, FeedRate())
        usual[feed] = rate.hourly(start_minute // 60 + np.arange(minutes // 60))
    for feed in feeds:
        tenant, source = feed
        others = [f for f in feeds if f[0] == tenant and f != feed]
        present = presence(
            [by_minute[f].reshape(-1, 60).sum(axis=1) for f in others],
            [usual[f] for f in others],
            minutes // 60,
        )
        share, found = find_gaps(memory.rates[feed], feed, start_minute, by_minute[feed], present)
        behind = reached.get(source)
        # Of a feed that says itself that it is behind, nothing is missing yet.
        gaps += [g for g in found if behind is None or g.end <= behind]
        if source is Source.EXCHANGE_AUDIT:
            hours = (start_minute + np.arange(0, minutes, 60)) * MINUTE_US
            out = memory.mailboxes.share_out(tenant, hours)
            share *= (1.0 - np.repeat(out, 60)).astype(np.float32)
        known_to = min((t for t in (data_end, behind) if t is not None), default=None)
        if known_to is not None:
            age = (to_us(known_to) / MINUTE_US - start_minute - np.arange(minutes) - 1) * 60.0
            settled = memory.arrivals[feed].settle()[1]
            share *= np.clip(age / settled, 0.0, 1.0).astype(np.float32)
        completeness[feed] = share
    return completeness, gaps
