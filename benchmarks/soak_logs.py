"""Endless, repeatable logs of some tenants, for soaks: cheap to make, with everything that ages.

Each hour of each tenant is drawn from a generator of its own, so that any hour can be made
again and a run can be stopped anywhere. People come and go, networks, client versions and
error codes change by the week; outages, silent feeds, late and repeated records happen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from connectors.advisories.issue import read_issue
from pipeline.model.clock import from_us, rfc3339, to_us
from pipeline.model.contracts import AdvisoryPoll, Poll
from pipeline.model.event import EVENT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipeline.model.advisory import Advisory
    from pipeline.model.clock import ManualClock
    from pipeline.model.contracts import Cursor

MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
HOUR_US: Final = 3_600_000_000
WEEK: Final = timedelta(weeks=1)
# Client, share of people who have it, words of its advisories.
CLIENTS: Final = (
    ("outlook_windows_classic", 0.6, "the classic Outlook desktop client"),
    ("outlook_ios", 0.4, "Outlook for iOS"),
    ("outlook_android", 0.3, "Outlook for Android"),
    ("owa", 0.3, "Outlook on the web"),
    ("outlook_mac_new", 0.15, "Outlook for Mac"),
)
SIGN_IN: Final = "entra_signin_noninteractive"
AUDIT: Final = "exchange_audit"
_USUAL_CODES: Final = np.array([50126, 50053, 50140, 65001], np.int32)
_FAULT: Final = 90033
_OUTCOMES: Final = ("success", "user_error", "service_fault", "unknown_failure")
_OUTAGE_DAYS: Final = 9  # an outage of one client every so many days, of each tenant
_OUTAGE_HOURS: Final = 3
_GAP_DAYS: Final = 23  # the audit feed of a tenant falls silent for four hours
_TURNOVER: Final = 0.02  # people who leave and who come, each week
_LATEST_HOURS: Final = 41


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant to make up."""

    name: str
    people: int
    number: int

    def outage(self, hour: int) -> int | None:
        """The client that fails in that hour since the beginning, None if none does."""
        day, clock = divmod(hour, 24)
        turn, rest = divmod(day + 2 * self.number, _OUTAGE_DAYS)
        if day >= 14 and rest == 0 and 9 <= clock < 9 + _OUTAGE_HOURS:
            return (turn + self.number) % len(CLIENTS)
        return None

    def silent(self, hour: int) -> bool:
        """Whether its audit log tells nothing in that hour."""
        day, clock = divmod(hour, 24)
        return (day + 5 * self.number) % _GAP_DAYS == 0 and 12 <= clock < 16


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers as hashes (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        z = values * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _rate(hour: int) -> float:
    """Share of people who use a client in that hour of the week."""
    day, clock = (hour // 24) % 7, hour % 24
    if day >= 5:
        return 0.05
    return 0.75 if 7 <= clock < 17 else 0.08


class SoakLogs:
    """A source without end; the cursor is the number of the next poll.

    Every second poll is empty, as a source is that has been read up to now: then the open
    hours are judged.

    Args:
        tenants: whose logs.
        clock: moved to the moment of each poll.
        minutes: of arrivals in a poll.
        seed: of everything drawn.
    """

    def __init__(
        self, tenants: tuple[Tenant, ...], clock: ManualClock, *, minutes: int = 30, seed: int = 1
    ) -> None:
        self._tenants, self._clock, self._seed = tenants, clock, seed
        self._every = minutes * 60_000_000
        self._hours: dict[int, tuple[pa.Table, NDArray[np.int64]]] = {}
        self.events = 0

    def poll(self, cursor: Cursor | None) -> Poll:
        """Give what arrives in the next minutes."""
        number = 0 if cursor is None else int(cursor["number"])
        until = to_us(MONDAY) + (number // 2 + 1) * self._every
        moment = from_us(until)
        if moment > self._clock.now():
            self._clock.advance(moment - self._clock.now())
        told: dict[str, Any] = {"v": 1, "number": number + 1}
        if number % 2:
            return Poll((), (), told, read_at=moment)
        table = self._arriving(until - self._every, until)
        self.events += table.num_rows
        return Poll((table,) if table.num_rows else (), (), told, read_at=moment)

    def _arriving(self, start: int, until: int) -> pa.Table:
        newest = (until - 1 - to_us(MONDAY)) // HOUR_US
        found = [EVENT_SCHEMA.empty_table()]
        for hour in range(max(0, newest - _LATEST_HOURS), newest + 1):
            if hour not in self._hours:
                self._hours[hour] = self._made(hour)
            table, arrives = self._hours[hour]
            first, last = np.searchsorted(arrives, [start, until])
            found.append(table.slice(first, last - first))
        for old in [h for h in self._hours if h < newest - _LATEST_HOURS]:
            del self._hours[old]
        return pa.concat_tables(found)

    def _made(self, hour: int) -> tuple[pa.Table, NDArray[np.int64]]:
        parts = [self._of_tenant(t, hour) for t in self._tenants]
        columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        order = np.argsort(columns["received_time"], kind="stable")
        return _table(self._tenants, {k: v[order] for k, v in columns.items()}, hour)

    def _of_tenant(self, tenant: Tenant, hour: int) -> dict[str, NDArray[Any]]:
        rng = np.random.default_rng([self._seed, tenant.number, hour])
        week = hour // 168
        gone = int(week * max(1, _TURNOVER * tenant.people))
        people = np.arange(gone, gone + tenant.people, dtype=np.uint64)
        people += np.uint64(tenant.number * 1_000_003)
        hashed = _mixed(people)
        parts = [
            part
            for at in range(len(CLIENTS))
            for part in self._of_client(tenant, hour, at, hashed, rng)
        ]
        columns = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        count = len(columns["user"])
        columns["tenant"] = np.full(count, tenant.number)
        columns["event_id"] = np.arange(count, dtype=np.uint64)
        columns["event_id"] = _mixed(
            columns["event_id"] + np.uint64((hour * 64 + tenant.number) * 1_000_003)
        )
        again = rng.random(count) < 0.01  # both vendor interfaces deliver some twice
        columns = {n: np.concatenate([v, v[again]]) for n, v in columns.items()}
        columns["received_time"][count:] += 600_000_000
        return columns

    def _of_client(
        self,
        tenant: Tenant,
        hour: int,
        at: int,
        people: NDArray[np.uint64],
        rng: np.random.Generator,
    ) -> Iterator[dict[str, NDArray[Any]]]:
        has = (people >> np.uint64(8 * at)) % np.uint64(100) < np.uint64(100 * CLIENTS[at][1])
        fails = tenant.outage(hour) == at
        for source in (SIGN_IN, AUDIT):
            audit = source == AUDIT
            active = has & (rng.random(len(people)) < _rate(hour))
            if audit and fails:
                active &= rng.random(len(people)) < 0.2
            user = people[active] if not (audit and tenant.silent(hour)) else people[:0]
            n = len(user)
            draw = rng.random(n)
            code = np.full(n, -1, np.int32)
            outcome = np.zeros(n, np.int64)
            if not audit:
                usual = draw < 0.015
                code[usual] = _USUAL_CODES[rng.integers(0, 4, int(usual.sum()))]
                outcome[usual] = 1
                fresh = (draw > 0.9995) & (tenant.number >= 0)  # a code not met before this week
                code[fresh], outcome[fresh] = 990_000 + hour // 168, 3
                if fails:
                    failing = (draw > 0.2) & ~fresh
                    code[failing], outcome[failing] = _FAULT, 2
            event = to_us(MONDAY) + hour * HOUR_US + rng.integers(0, HOUR_US, n)
            delay = 2700e6 + 2700e6 * rng.random(n) if audit else 60e6 + rng.exponential(90e6, n)
            late = rng.random(n)
            delay = np.where(late < 0.002, 2 * HOUR_US + late / 0.002 * 22 * HOUR_US, delay)
            delay = np.where(late > 0.9999, (27 + 12 * draw) * HOUR_US, delay)
            yield {
                "event_time": event,
                "received_time": event + delay.astype(np.int64),
                "source": np.full(n, int(audit)),
                "client": np.full(n, at),
                "version": rng.integers(0, 4, n),
                "outcome": outcome,
                "error_code": code,
                "user": user,
                "weight": np.full(n, 5 if audit else 1, np.int32),
            }


def _named(codes: NDArray[np.int64], names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _table(
    tenants: tuple[Tenant, ...], held: dict[str, NDArray[Any]], hour: int
) -> tuple[pa.Table, NDArray[np.int64]]:
    n, week = len(held["user"]), hour // 168
    ids = np.column_stack([held["event_id"], _mixed(held["event_id"])]).astype(np.uint64)
    place = (held["user"] >> np.uint64(40)) % np.uint64(40)
    # Of forty networks two are others than last week.
    networks = [f"net-{(week * 2 + i) // 40 * 40 + i:06d}" for i in range(40)]
    versions = [f"16.{week}.{i}" for i in range(4)]
    code = held["error_code"]
    columns: dict[str, Any] = {
        "event_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(ids.tobytes())]
        ),
        "event_time": pa.array(held["event_time"]).cast(EVENT_SCHEMA.field("event_time").type),
        "received_time": pa.array(held["received_time"]).cast(
            EVENT_SCHEMA.field("received_time").type
        ),
        "tenant": _named(held["tenant"], [t.name for t in tenants]),
        "source": _named(held["source"], [SIGN_IN, AUDIT]),
        "service": _named(np.zeros(n, np.int64), ["exchange_online"]),
        "client": _named(held["client"], [c for c, _, _ in CLIENTS]),
        "client_version": _named(held["version"], versions),
        "operation": _named(held["source"], ["sign_in", "MailItemsAccessed"]),
        "outcome": _named(held["outcome"], list(_OUTCOMES)),
        "error_code": pa.array(code, mask=code < 0),
        "user": pa.array(held["user"]),
        "country": _named((place > 37).astype(np.int64), ["DE", "PT"]),
        "network": _named(place.astype(np.int64), networks),
        "weight": pa.array(held["weight"]),
        "flags": pa.array(np.zeros(n, np.uint8)),
    }
    arrays = [columns[f.name] if f.name in columns else pa.nulls(n, f.type) for f in EVENT_SCHEMA]
    return pa.table(arrays, schema=EVENT_SCHEMA), held["received_time"]


class SoakAdvisories:
    """An advisory for every outage, in three versions, and three others each week.

    Args:
        tenants: whose outages.
        clock: what is later is not told yet.
    """

    def __init__(self, tenants: tuple[Tenant, ...], clock: ManualClock) -> None:
        self._tenants, self._clock = tenants, clock
        self._to = 0
        self._told: deque[tuple[datetime, Advisory]] = deque()

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        """What was published since; without a cursor, in the last four weeks."""
        now = self._clock.now()
        hours = int((now - MONDAY) / timedelta(hours=1))
        for hour in range(self._to, hours):
            self._told.extend(self._of_hour(hour))
        self._to = max(self._to, hours)
        while self._told and self._told[0][0] < now - 4 * WEEK:
            self._told.popleft()
        since = to_us(now - 4 * WEEK) if cursor is None else int(cursor["to"])
        new = [a for at, a in self._told if since < to_us(at) <= to_us(now)]
        return AdvisoryPoll(new, (), {"v": 1, "to": to_us(now)})

    def _of_hour(self, hour: int) -> Iterator[tuple[datetime, Advisory]]:
        for tenant in self._tenants:
            for after in (2, 5, 30):  # hours since the outage began
                at = tenant.outage(hour - after)
                if at is not None and tenant.outage(hour - after - 1) is None:
                    number = 100_000 * (tenant.number + 1) + (hour - after) // 24
                    yield _advisory(number, hour, after, CLIENTS[at][2])
        if hour % 56 == 11:
            yield _advisory(9_000_000 + hour, hour, 2, "a third-party archiving connector")


def _advisory(number: int, hour: int, after: int, what: str) -> tuple[datetime, Advisory]:
    began, over = MONDAY + timedelta(hours=hour - after), after > 12
    posts = [h for h in (2, 5, 30) if h <= after]
    last = began + timedelta(hours=after)
    title = f"Some users may be unable to access Exchange Online using {what}"
    issue = {
        "id": f"EX{number}",
        "title": title,
        "service": "Exchange Online",
        "status": "serviceRestored" if over else "serviceDegradation",
        "startDateTime": rfc3339(began),
        "endDateTime": rfc3339(last) if over else None,
        "lastModifiedDateTime": rfc3339(last),
        "posts": [
            {
                "createdDateTime": rfc3339(began + timedelta(hours=h)),
                "postType": "regular",
                "description": {
                    "contentType": "html",
                    "content": f"Title: {title}<br>More info: Users of {what} are affected.<br>"
                    f"Current status: " + "We are analysing service telemetry. " * 20,
                },
            }
            for h in posts
        ],
    }
    return last, read_issue(issue)
