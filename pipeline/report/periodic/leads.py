"""Who was first, over a period: the median, and nothing left out that speaks against us."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from pipeline.match.ledger import LedgerKind
from pipeline.model.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pipeline.match.ledger import LedgerRow
    from pipeline.model.advisory import Impact
    from pipeline.model.incident import Incident
    from pipeline.report.periodic.span import Period


@dataclass(frozen=True, slots=True)
class LeadTime:
    """One incident beside the advisory that came for it.

    ``seconds``: first post minus the moment our logs could raise it; negative = we were late;
    None = no time of publication is known.
    """

    incident_id: str
    advisory_id: str
    raised_at: datetime
    first_published_at: datetime | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Alone:
    """An advisory about access that no incident of ours stands beside.

    ``answer``: whether it hit us, as judged since; None = not judged.
    """

    advisory_id: str
    title: str
    first_published_at: datetime
    answer: str | None


@dataclass(frozen=True, slots=True)
class Leads:
    """Lead times of the incidents that were raised in a period.

    Attributes:
        rows: incidents with an advisory, in order of time.
        without: outages that no advisory came for.
        alone: advisories of the period that no incident stands beside.
        withdrawn: advisories that were taken back as false.
    """

    rows: tuple[LeadTime, ...] = ()
    without: tuple[Incident, ...] = ()
    alone: tuple[Alone, ...] = ()
    withdrawn: int = 0

    @property
    def known(self) -> list[float]:
        """The lead times, seconds."""
        return [r.seconds for r in self.rows if r.seconds is not None]

    @property
    def median(self) -> float | None:
        """Of the known ones, negative ones among them, seconds; None = there is none."""
        return median(self.known) if self.known else None

    @property
    def late(self) -> int:
        """How many advisories came before us."""
        return sum(s < 0 for s in self.known)


def lead_times(
    rows: Iterable[LedgerRow],
    incidents: Mapping[str, Incident],
    impacts: Mapping[str, Impact],
    period: Period,
) -> Leads:
    """Lead times of a period.

    Args:
        rows: of the lead-time ledger, of any time.
        incidents: by id, those that were not taken back. One may be raised, by the delay of
            its log, when it was over.
        impacts: by advisory.
        period: an incident belongs to the period in which it was raised, an advisory that
            stands alone to that of its first post.
    """
    best: dict[str, LeadTime] = {}
    raised: set[str] = set()
    alone: dict[str, Alone] = {}
    withdrawn: set[str | None] = set()
    matched: set[str | None] = set()
    for row in rows:
        if row.kind is LedgerKind.WITHDRAWN:
            if period.holds(row.first_published_at):
                withdrawn.add(row.advisory_id)
            continue
        if row.kind is LedgerKind.UNMATCHED_ADVISORY:
            # Each tenant that heard of it has such a row.
            alone |= {a.advisory_id: a for a in _alone(row, impacts, period)}
            continue
        matched.add(row.advisory_id)
        if row.incident_id in incidents and period.holds(row.raised_at):
            raised.add(str(row.incident_id))
            _take(best, _lead(row))
    lonely = [a for a in alone.values() if a.advisory_id not in matched]
    missing = [incidents[i] for i in raised - best.keys()]
    without = [i for i in missing if i.verdict is Verdict.SERVICE_OUTAGE]
    return Leads(
        tuple(sorted(best.values(), key=lambda r: (r.raised_at, r.incident_id))),
        tuple(sorted(without, key=lambda i: (i.raised_at, i.incident_id))),
        tuple(sorted(lonely, key=lambda a: (a.first_published_at, a.advisory_id))),
        len(withdrawn),
    )


def _take(best: dict[str, LeadTime], found: LeadTime | None) -> None:
    if found is not None:
        best[found.incident_id] = _least(best.get(found.incident_id, found), found)


def _lead(row: LedgerRow) -> LeadTime | None:
    if row.incident_id is None or row.advisory_id is None or row.raised_at is None:
        return None
    return LeadTime(
        row.incident_id, row.advisory_id, row.raised_at, row.first_published_at, row.lead_seconds
    )


def _least(left: LeadTime, right: LeadTime) -> LeadTime:
    """Of several ids of one outage the first that was posted: it is the one to be beaten."""
    return min(
        left,
        right,
        key=lambda r: (r.seconds is None, r.seconds or 0.0, r.advisory_id),
    )


def _alone(row: LedgerRow, impacts: Mapping[str, Impact], period: Period) -> list[Alone]:
    at = row.first_published_at
    if row.advisory_id is None or at is None or not row.in_scope or not period.holds(at):
        return []
    impact = impacts.get(row.advisory_id)
    answer = None if impact is None else str(impact.answer)
    return [Alone(row.advisory_id, row.title, at, answer)]
