"""Looking at how tenants do: now, by the hour, and how well their logs come."""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.cells import SECOND_US, cells_of
from pipeline.ledger.front import among
from pipeline.ledger.showing import (
    FeedHealth,
    LogHealth,
    Missing,
    Series,
    TenantNow,
    TenantSources,
)
from pipeline.model.clock import from_us, parse_rfc3339

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

_DAY: Final = 86_400
_HOUR: Final = 3_600
# Ninety days of the four signals of one cell, or a week of sixty cells; read within 30 ms.
POINTS: Final = 10_080
# Hour, observed, expected, low, high, completeness.
_NUMBERS: Final = 6
_MISSING_DAYS: Final = 7
_MISSING: Final = 20


class Shown:
    """Part of :class:`pipeline.ledger.reading.Reader`."""

    _db: sqlite3.Connection

    def now(
        self, tenants: Sequence[str] = (), *, after: str = "", limit: int = 50
    ) -> list[TenantNow]:
        """How tenants do by their last judgement, in order of name.

        Args:
            tenants: of these; none = of all.
            after: of those whose name is behind this one.
            limit: at most so many.
        """
        return [
            TenantNow(
                tenant,
                from_us(at),
                cells_of(body),
                json.loads(states),
                {source: float(share) for source, share in body["completeness"].items()},
            )
            for tenant, at, states, body in self._bodies(tenants, after, limit)
        ]

    def _bodies(
        self, tenants: Sequence[str], after: str, limit: int
    ) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
        rows = self._db.execute(
            "SELECT tenant, at, states, body FROM tenants_now "
            f"WHERE tenant > ? AND {among('tenant', tenants)} ORDER BY tenant LIMIT ?",
            (after, *tenants, limit),
        )
        for tenant, at, states, body in rows:
            yield tenant, int(at), states, json.loads(zlib.decompress(body))

    def lanes(self, tenant: str) -> list[tuple[str, str, str, str]]:
        """What there is a timeline of: (source, service, client, signal), in order."""
        return [lane for lane, _ in self._lanes_of(tenant, self._body(tenant))]

    def _body(self, tenant: str) -> dict[str, Any]:
        found = [body for _, _, _, body in self._bodies((tenant,), "", 1)]
        return found[0] if found else {"hours": [], "lanes": [], "sources": {}}

    def _lanes_of(
        self, tenant: str, body: Mapping[str, Any]
    ) -> list[tuple[tuple[str, str, str, str], int | None]]:
        """Each lane with its number; one that was met in the running hours has none yet."""
        rows = self._db.execute(
            "SELECT source, service, client, signal, lane FROM lanes WHERE tenant = ?", (tenant,)
        )
        found: dict[Any, int | None] = {tuple(lane[:4]): None for lane in body["lanes"]}
        found |= {row[:4]: row[4] for row in rows}
        return sorted(found.items())

    def timeline(
        self,
        tenant: str,
        *,
        since: datetime,
        until: datetime,
        sources: Sequence[str] = (),
        services: Sequence[str] = (),
        clients: Sequence[str] = (),
        signals: Sequence[str] = (),
        limit: int = 64,
    ) -> list[Series]:
        """Hours that begin in [since, until), by cell and signal in order of name.

        Args:
            tenant: whose.
            since: at most 90 days are there.
            until: behind the last one.
            sources: of these; none = of all, as for the next three.
            services: of these.
            clients: of these.
            signals: of these.
            limit: of series; 10,080 hours of all together are read at most, and the last
                series are left out where there would be more.
        """
        begin = int(since.timestamp()) // _HOUR * _HOUR
        if begin < since.timestamp():
            begin += _HOUR
        end = int(until.timestamp())
        wanted = (sources, services, clients, signals)
        body = self._body(tenant)
        chosen = [
            (lane, number)
            for lane, number in self._lanes_of(tenant, body)
            if all(not names or name in names for name, names in zip(lane, wanted, strict=True))
        ]
        hours = max(1, -(-(end - begin) // _HOUR))
        begin = max(begin, end - POINTS * _HOUR)
        running = _running(body, begin, end)
        chosen = chosen[: min(limit, max(1, POINTS // hours))]
        held = self._hours([number for _, number in chosen if number is not None], begin, end)
        found = []
        for lane, number in chosen:
            newest = running.get(lane, [])
            columns = held.get(number, [[] for _ in range(_NUMBERS)])
            if newest:
                first = bisect_left(columns[0], newest[0][0])
                more = zip(*newest, strict=True)
                columns = [c[:first] + list(m) for c, m in zip(columns, more, strict=True)]
            if columns[0]:
                found.append(Series(tenant, *lane, *columns))
        return found

    def _hours(self, lanes: Sequence[int], begin: int, end: int) -> dict[int | None, list[Any]]:
        """Hours of lanes in order, a list for each number; none of a lane without hours.

        One look for each day of each lane: its rows stand together.
        """
        rows = self._db.execute(
            "WITH RECURSIVE days(day) AS (VALUES (?1) UNION ALL "
            "SELECT day + 1 FROM days WHERE day < ?2) SELECT h.lane, h.day * 86400 + h.hour * 3600, "
            "h.observed, h.expected, h.low, h.high, h.completeness FROM json_each(?3) l "
            "CROSS JOIN days CROSS JOIN hours h ON h.day = days.day AND h.lane = l.value",
            (begin // _DAY, (end - 1) // _DAY, json.dumps(sorted(lanes))),
        ).fetchall()
        if not rows:
            return {}
        rows.sort()  # by lane and hour, which no two share
        # Columns are cut, not rows: ten thousand more tuples would double the time.
        number, *columns = map(list, zip(*rows, strict=True))
        found: dict[int | None, list[Any]] = {}
        for lane in lanes:
            first, last = bisect_left(number, lane), bisect_right(number, lane)
            first = bisect_left(columns[0], begin, first, last)
            last = bisect_left(columns[0], end, first, last)
            found[lane] = [column[first:last] for column in columns]
        return found

    def sources(
        self, tenants: Sequence[str] = (), *, after: str = "", limit: int = 50
    ) -> list[TenantSources]:
        """How the feeds and logs of tenants do; arguments as for :meth:`now`."""
        return [
            TenantSources(
                tenant,
                from_us(at),
                tuple(_feed(f) for f in sorted(body["feeds"], key=lambda f: f["feed"])),
                tuple(self._logs(tenant, at // SECOND_US, body)),
            )
            for tenant, at, _, body in self._bodies(tenants, after, limit)
        ]

    def _logs(self, tenant: str, at: int, body: Mapping[str, Any]) -> Iterator[LogHealth]:
        gaps = self._db.execute(
            "SELECT source, start, until, expected FROM gaps WHERE tenant = ? AND hour >= ?",
            (tenant, at - _MISSING_DAYS * _DAY),
        ).fetchall()
        gaps = sorted({*gaps, *map(tuple, body["gaps"])}, key=lambda g: g[2], reverse=True)
        for source in sorted({*body["completeness"], *body["logs"]}):
            log = body["logs"].get(source, {})
            notice = log.get("notice", {})
            last = log.get("last")
            yield LogHealth(
                source,
                body["completeness"].get(source),
                None if last is None else from_us(last),
                notice.get("state", "working"),
                notice.get("problem", ""),
                tuple(_missing(g) for g in gaps if g[0] == source)[:_MISSING],
            )


def _running(
    body: Mapping[str, Any], begin: int, end: int
) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    """The hours that are judged again each minute, by lane: they stand with the tenant."""
    hours = [(n, h) for n, h in enumerate(body["hours"]) if begin <= h < end]
    found = {}
    for *lane, observed, expected, low, high in body["lanes"]:
        complete = body["sources"].get(lane[0], ())
        rows = [
            (hour, observed[n], expected[n], low[n], high[n], complete[n])
            for n, hour in hours
            if n < len(complete)
        ]
        if rows:
            found[tuple(lane)] = rows
    return found


def _feed(notice: Mapping[str, Any]) -> FeedHealth:
    at, complete_to, since = (parse_rfc3339(notice[n]) for n in ("at", "complete_to", "since"))
    return FeedHealth(
        notice["feed"],
        tuple(notice["sources"]),
        notice["state"],
        at,
        complete_to,
        since,
        max(0.0, (at - complete_to).total_seconds()),
        notice.get("problem", ""),
    )


def _missing(gap: tuple[Any, ...]) -> Missing:
    source, start, until, expected = gap
    return Missing(source, from_us(start * SECOND_US), from_us(until * SECOND_US), expected)
