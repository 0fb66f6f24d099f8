"""Looking back over a stretch of the calendar: what was watched, what was blind, what was refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.ledger.front import among
from pipeline.ledger.reading import Reader, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HOUR: Final = 3_600
_DAY: Final = 86_400
_SECOND_US: Final = 1_000_000
_PAGE: Final = 200
# Below this share of its records an hour is told as not seen, as the charts draw it.
BLIND_BELOW: Final = 0.5
# Mailbox audit records usually take 60 to 90 min and now and then some hours: what is younger
# than this may still come, and is not blind.
SETTLED: Final = 6 * _HOUR


class Stretch(NamedTuple):
    """Where a log of a tenant told nothing; seconds since 1970."""

    tenant: str
    source: str
    start: int
    end: int


class Refused(NamedTuple):
    """One revision that a destination refused for good; ``at`` in microseconds since 1970."""

    sink: str
    reason: str
    at: int
    tenant: str | None
    settled: bool


class PeriodReader(Reader):
    """A ledger that is looked back over; used by one thread at a time. Arguments as for a Reader.

    Methods take the tenants that are meant; none = all.
    """

    def last_incidents(self, tenants: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The last revision of each incident, the newest first."""
        wanted, as_of, after = Wanted("incident"), self.newest_document(), None
        while True:
            page = self.page(wanted, as_of=as_of, after=after, limit=_PAGE)
            for stored in page.documents:
                # An incident of several tenants is kept under the first of them.
                if not tenants or set(tenants) & set(stored.document["tenants"]):
                    yield stored.document
            after = page.rest
            if after is None:
                return

    def all_leads(self, tenants: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """Every row of the lead-time ledger (``outrider.ledger/1``), the newest first."""
        after = None
        while True:
            page = self.leads(tenants, after=after, limit=_PAGE)
            yield from page.leads
            after = page.rest
            if after is None:
                return

    def all_advisories(
        self, tenants: Sequence[str] = ()
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """The newest version of each advisory, and what it means for the tenant hit worst."""
        after = None
        while True:
            page = self.advisories(tenants, after=after, limit=_PAGE)
            for shown in page.advisories:
                yield shown.document, shown.impact
            after = page.rest
            if after is None:
                return

    def judged_hours(
        self, begin: int, end: int, tenants: Sequence[str] = ()
    ) -> dict[tuple[str, str], dict[int, float]]:
        """By tenant and log, the hours of a stretch that were judged, each with its completeness."""
        found: dict[tuple[str, str], dict[int, float]] = {}
        rows = self._db.execute(
            "SELECT l.tenant, l.source, h.day * 86400 + h.hour * 3600 AS at, "
            "max(h.completeness) FROM hours h JOIN lanes l USING (lane) "
            "WHERE h.day BETWEEN ? AND ? AND at >= ? AND at < ? "
            f"AND {among('l.tenant', tenants)} GROUP BY l.tenant, l.source, at ORDER BY 1, 2, 3",
            (begin // _DAY, (end - 1) // _DAY, begin, end, *tenants),
        )
        for tenant, source, at, share in rows:
            found.setdefault((tenant, source), {})[int(at)] = float(share)
        for tenant, now, _, body in self._bodies(tenants, "", -1):
            watched = {lane[0] for lane in body["lanes"]}
            for source, complete in body["sources"].items():
                hours = zip(body["hours"], complete, strict=False)
                if source in watched:
                    over = min(end, now // _SECOND_US - _HOUR + 1)  # whole hours only
                    running = {int(h): float(c) for h, c in hours if begin <= h < over}
                    found.setdefault((tenant, source), {}).update(running)
        return {key: hours for key, hours in found.items() if hours}

    def clocks(self, tenants: Sequence[str] = ()) -> dict[str, int]:
        """By tenant, up to when it was judged, seconds since 1970."""
        return {t: at // _SECOND_US for t, at, _, _ in self._bodies(tenants, "", -1)}

    def blind(self, begin: int, end: int, tenants: Sequence[str] = ()) -> list[Stretch]:
        """Where logs told nothing: gaps that were found, and hours that are not half complete.

        Stretches of one log that touch are one; in order of time.
        """
        found = {Stretch(*row) for row in self._gaps(begin, end, tenants)}
        for tenant, _, _, body in self._bodies(tenants, "", -1):
            found |= {
                Stretch(tenant, source, start, until)
                for source, start, until, _ in body["gaps"]
                if start < end and until > begin
            }
        found |= set(self._thin_hours(begin, end, tenants))
        return sorted(_joined(sorted(found)), key=lambda s: (s.start, s.tenant, s.source))

    def _gaps(self, begin: int, end: int, tenants: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return iter(
            self._db.execute(
                "SELECT tenant, source, start, until FROM gaps "
                f"WHERE start < ? AND until > ? AND {among('tenant', tenants)}",
                (end, begin, *tenants),
            ).fetchall()
        )

    def _thin_hours(self, begin: int, end: int, tenants: Sequence[str]) -> Iterator[Stretch]:
        judged = self.judged_hours(begin, end, tenants)
        clocks = self.clocks(tenants)
        every: dict[str, set[int]] = {}
        for (tenant, _), hours in judged.items():
            every.setdefault(tenant, set()).update(hours)
        for (tenant, source), hours in judged.items():
            for at in every[tenant]:
                young = at + _HOUR > clocks.get(tenant, end) - SETTLED
                if not young and hours.get(at, 0.0) < BLIND_BELOW:
                    yield Stretch(tenant, source, at, at + _HOUR)

    def refused(self, begin: int, end: int) -> list[Refused]:
        """Revisions that destinations refused in a stretch, microseconds since 1970; in order."""
        # A refused notice is buried as a letter too, as a refused record is.
        rows = self._db.execute(
            "SELECT sink, detail, at, tenant, replayed IS NOT NULL FROM dead "
            "WHERE sink IS NOT NULL AND at >= ? AND at < ? ORDER BY at, sink, detail, seq",
            (begin, end),
        )
        return [Refused(s, r, a, t, bool(done)) for s, r, a, t, done in rows]


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Stretches of the same log that overlap or touch, made one; they come sorted."""
    found: list[Stretch] = []
    for one in stretches:
        last = found[-1] if found else None
        if last is not None and last[:2] == one[:2] and one.start <= last.end:
            found[-1] = last._replace(end=max(last.end, one.end))
        else:
            found.append(one)
    return found


def stretches(hours: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of hours, as begin and end.

    >>> stretches([0, 3600, 10800])
    [(0, 7200), (10800, 14400)]
    """
    if not hours:
        return []
    breaks = [(a, b) for a, b in pairwise(hours) if b != a + _HOUR]
    begins = [hours[0], *(b for _, b in breaks)]
    ends = [*(a for a, _ in breaks), hours[-1]]
    return [(b, e + _HOUR) for b, e in zip(begins, ends, strict=True)]
