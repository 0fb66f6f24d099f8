"""The numbers of a period, each counted once from the documents of an origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Verdict
from pipeline.report.folder import urgency
from pipeline.report.periodic.leads import Leads, lead_times
from pipeline.report.periodic.lost import inside, pieces, until, wanted

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.advisory import Advisory, Impact
    from pipeline.model.incident import Incident
    from pipeline.report.periodic.lost import Piece, Where
    from pipeline.report.periodic.origin import Blind, Deliveries, Origin
    from pipeline.report.periodic.span import Period

_ANSWER_ORDER: Final = ("yes", "cannot_tell", "no_sign")


@dataclass(frozen=True, slots=True)
class Health:
    """How one log of one tenant did in a period.

    Attributes:
        blind_hours: of the period, in which nothing came although it should have.
        gaps: how many stretches that were.
        longest_hours: the longest of them, as far as it lies in the period.
    """

    tenant: str
    source: str
    blind_hours: float
    gaps: int
    longest_hours: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told of one period.

    Attributes:
        incidents: that any of the period lies in, the most pressing first; none retracted.
        retracted: taken back since, as late records left nothing unusual.
        carried: how many of ``incidents`` began before the period.
        minutes: user-minutes lost in the period, by clients and services.
        outage_minutes: those of them that are Microsoft's.
        by_day: user-minutes lost on each day of the period, in order.
        leads: who was first.
        advisories: that were posted first or still ran in the period, with what they mean
            for us; those that hit us first.
        health: by source and tenant; only sources that were read.
        watched: stretches that records were judged of, as far as they touch the period.
        blind: the gaps, cut to the period.
        deliveries: refusals of the period; None where nothing is delivered from.
    """

    period: Period
    incidents: list[Incident]
    retracted: list[Incident]
    carried: int
    minutes: dict[Where, float]
    outage_minutes: float
    by_day: list[float]
    leads: Leads
    advisories: list[tuple[Advisory, Impact | None]]
    health: list[Health]
    watched: list[tuple[datetime, datetime]]
    blind: list[Blind]
    deliveries: Deliveries | None

    @property
    def outages(self) -> list[Incident]:
        """The incidents that are Microsoft's."""
        return [i for i in self.incidents if i.verdict is Verdict.SERVICE_OUTAGE]

    @property
    def lost_minutes(self) -> float:
        """User-minutes lost by all clients."""
        return sum(self.minutes.values(), 0.0)

    @property
    def blind_hours(self) -> float:
        """Hours in which a source was blind, added up over the sources."""
        return sum((h.blind_hours for h in self.health), 0.0)

    @property
    def watched_hours(self) -> float:
        """Hours of the period that records were judged of."""
        return sum((_hours(start, end, self.period) for start, end in self.watched), 0.0)

    @property
    def unwatched(self) -> list[tuple[datetime, datetime]]:
        """Stretches of the period that no records were judged of."""
        edges = [self.period.begin, *(at for pair in self.watched for at in pair), self.period.end]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


class Reckoner:
    """Counts periods from one origin, of all tenants or of one.

    Args:
        origin: where the facts are.
        begin, end: what the periods lie in; nothing else is read.
        tenant: only what is about it; None = all.
    """

    def __init__(
        self, origin: Origin, begin: datetime, end: datetime, *, tenant: str | None = None
    ) -> None:
        self._origin = origin
        self._tenant = tenant
        found = [
            i
            for i in origin.incidents(begin, end)
            if (tenant is None or tenant in i.tenants) and max(_stop(i, end), i.raised_at) >= begin
        ]
        self._incidents = sorted(found, key=urgency)
        counted = [i for i in self._incidents if i.state is not IncidentState.RETRACTED]
        series = origin.series(wanted(counted))
        self._counted = {i.incident_id: i for i in counted}
        self._pieces = {i.incident_id: pieces(i, series) for i in counted}
        self._leads = origin.leads(self._incidents)
        self.advisories = origin.advisories()
        self._impacts = origin.impacts()
        self._deliveries = origin.deliveries()

    def figures(self, period: Period) -> Figures:
        """What is told of one period."""
        touched = [i for i in self._incidents if period.touches(i.onset_at, _stop(i, period.end))]
        counted = [i for i in touched if i.state is not IncidentState.RETRACTED]
        lost = [p for i in counted for p in self._pieces[i.incident_id]]
        microsofts = [
            p
            for i in counted
            if i.verdict is Verdict.SERVICE_OUTAGE
            for p in self._pieces[i.incident_id]
        ]
        watched = self._origin.watched(period.begin, period.end)
        blind = [b for b in watched.blind if self._tenant in {None, b.tenant}]
        seen = [s for s in watched.stretches if _hours(*s, period)]
        return Figures(
            period=period,
            incidents=counted,
            retracted=[i for i in touched if i.state is IncidentState.RETRACTED],
            carried=sum(i.onset_at < period.begin for i in counted),
            minutes=inside(lost, period, self._tenant),
            outage_minutes=sum(inside(microsofts, period, self._tenant).values(), 0.0),
            by_day=[_sum(lost, day, self._tenant) for day in period.days()],
            leads=lead_times(self._leads, self._counted, self._impacts, period),
            advisories=self._of(period),
            health=_health(watched.sources, blind, period),
            watched=seen,
            blind=blind,
            deliveries=self._delivered(period),
        )

    def _of(self, period: Period) -> list[tuple[Advisory, Impact | None]]:
        found = []
        for advisory in self.advisories.values():
            start = advisory.first_published_at or advisory.start_at
            stop = advisory.restored_at or advisory.end_at
            if stop is None and advisory.is_resolved:
                stop = advisory.last_modified_at or start
            if start is not None and period.touches(start, stop or period.end):
                found.append((advisory, self._impacts.get(advisory.advisory_id), start))
        found.sort(key=lambda row: (_answer(row[1]), -row[2].timestamp(), row[0].advisory_id))
        return [(advisory, impact) for advisory, impact, _ in found]

    def _delivered(self, period: Period) -> Deliveries | None:
        told = self._deliveries
        if told is None:
            return None
        mine = tuple(
            r
            for r in told.refusals
            if period.holds(r.at) and (self._tenant is None or r.tenant == self._tenant)
        )
        return type(told)(mine, told.waiting)


def _stop(incident: Incident, end: datetime) -> datetime:
    """When an incident stopped; one that goes on reaches up to ``end``."""
    return until(incident) if incident.state.over else max(until(incident), end)


def _answer(impact: Impact | None) -> int:
    return len(_ANSWER_ORDER) if impact is None else _ANSWER_ORDER.index(str(impact.answer))


def _sum(lost: list[Piece], day: Period, tenant: str | None) -> float:
    return sum(inside(lost, day, tenant).values(), 0.0)


def _hours(start: datetime, end: datetime, period: Period) -> float:
    inner = min(end, period.end) - max(start, period.begin)
    return max(inner.total_seconds() / 3600, 0.0)


def _health(sources: tuple[str, ...], blind: list[Blind], period: Period) -> list[Health]:
    """One row for each source that was read, of each tenant that has gaps in it."""
    gaps: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    for gap in sorted(blind, key=lambda b: b.start):
        held = gaps.setdefault((gap.source, gap.tenant), [])
        # Gaps that overlap are one: an hour is blind once.
        if held and gap.start <= held[-1][1]:
            held[-1] = (held[-1][0], max(held[-1][1], gap.end))
        else:
            held.append((gap.start, gap.end))
    for source in sources:
        if all(known != source for known, _ in gaps):
            gaps[source, ""] = []
    rows = []
    for (source, tenant), found in sorted(gaps.items()):
        hours = [h for h in (_hours(a, b, period) for a, b in found) if h]
        rows.append(Health(tenant, source, sum(hours, 0.0), len(hours), max(hours, default=0.0)))
    return rows
