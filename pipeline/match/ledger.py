"""The lead-time ledger: for every incident and every advisory, who was first and by how much.

Nothing is left out: late flags, incidents that no advisory came for, and advisories that
no incident stands beside are rows like the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from pipeline.model.advisory import Symptom
from pipeline.model.knowledge import known_at, moments
from pipeline.model.vocabulary import Client, Service, Verdict  # noqa: TC001 # read back at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident


_IN_SCOPE = frozenset({Symptom.ACCESS, Symptom.UNKNOWN})


class LedgerKind(StrEnum):
    """What a row is about."""

    FIRST = "first"  # we raised it before the first post
    LATE = "late"  # the first post came before us
    UNMATCHED_INCIDENT = "unmatched_incident"
    UNMATCHED_ADVISORY = "unmatched_advisory"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One incident beside one advisory, or either alone (``outrider.ledger/1``).

    Attributes:
        raised_at: when we first raised it (of the first revision; later corrections do not
            move it). onset_at, resolved_at, verdict: of the newest revision.
        matched_at: when the match was first told.
        api_start_first, api_start_last: the API's start in the first and the newest version
            that we hold. text_start_at: the start in the text, as last told.
        lead_seconds: first post minus raised_at; negative = we were late.
        lead_start_api, lead_start_text: that clock minus our onset, seconds.
        in_scope: false for an advisory that no log of ours can show (feature, mail flow...).
    """

    SCHEMA: ClassVar[str] = "outrider.ledger/1"

    kind: LedgerKind
    incident_id: str | None = None
    advisory_id: str | None = None
    tenants: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    clients: tuple[Client, ...] = ()
    verdict: Verdict | None = None
    onset_at: datetime | None = None
    raised_at: datetime | None = None
    matched_at: datetime | None = None
    resolved_at: datetime | None = None
    first_published_at: datetime | None = None
    api_start_first: datetime | None = None
    api_start_last: datetime | None = None
    text_start_at: datetime | None = None
    restored_at: datetime | None = None
    end_at: datetime | None = None
    score: float | None = None
    lead_seconds: float | None = None
    lead_start_api: float | None = None
    lead_start_text: float | None = None
    title: str = ""
    symptom: Symptom | None = None
    in_scope: bool = True
    arrival: str = "measured"


def ledger(incidents: Sequence[Incident], advisories: Sequence[Advisory]) -> tuple[LedgerRow, ...]:
    """Build all rows.

    Args:
        incidents: revisions of the match stage, in any order.
        advisories: all versions.

    Returns:
        Rows in order of the earlier of raised_at and first post. An incident matched to a
        group of ids has a row for each.
    """
    groups: dict[str, list[Advisory]] = {}
    for version in advisories:
        groups.setdefault(version.advisory_id, []).append(version)
    revisions: dict[str, list[Incident]] = {}
    for incident in incidents:
        revisions.setdefault(incident.incident_id, []).append(incident)
    rows: list[LedgerRow] = []
    matched: set[str] = set()
    for chain in revisions.values():
        chain.sort(key=lambda i: i.revision)
        pairs = _matches(chain[-1])
        matched |= pairs.keys()
        rows.extend(_row(chain, groups.get(id_), id_, value) for id_, value in pairs.items())
        if not pairs:
            rows.append(_row(chain, None, None, None))
    rows.extend(_alone(groups[id_]) for id_ in groups.keys() - matched)
    return tuple(sorted(rows, key=_order))


def _order(row: LedgerRow) -> tuple[bool, str, str, str]:
    times = [t for t in (row.raised_at, row.first_published_at) if t is not None]
    first = min(times).isoformat() if times else ""
    return (not times, first, row.incident_id or "", row.advisory_id or "")


def _matches(last: Incident) -> dict[str, float | None]:
    """By advisory id the score, None for an id known only as a relisting."""
    found: dict[str, float | None] = {}
    for match in (last.advisory, *last.other_advisories):
        if match is not None:
            found[match.advisory_id] = match.score
            for later in match.relisted_as:
                found.setdefault(later, None)
    return found


def _seconds(moment: datetime | None, base: datetime) -> float | None:
    return None if moment is None else (moment - base).total_seconds()


def _newest(versions: Sequence[Advisory]) -> Advisory:
    """All versions put together as of the last word of any of them."""
    times = [m for v in versions for m in moments(v)]
    known = known_at(versions, max(times)) if times else None
    return versions[-1] if known is None else known


def _advisory_side(row: LedgerRow, versions: Sequence[Advisory]) -> LedgerRow:
    known = _newest(versions)
    dated = sorted((max(moments(v)), v.start_at) for v in versions if moments(v) and v.start_at)
    return replace(
        row,
        title=known.title,
        symptom=known.symptom,
        in_scope=known.symptom in _IN_SCOPE,
        services=row.services or known.services,
        clients=row.clients or known.clients,
        first_published_at=known.first_published_at,
        api_start_first=dated[0][1] if dated else known.start_at,
        api_start_last=dated[-1][1] if dated else known.start_at,
        text_start_at=known.text_start_at,
        restored_at=known.restored_at,
        end_at=known.end_at,
        kind=LedgerKind.WITHDRAWN if known.is_false_positive else row.kind,
    )


def _alone(versions: Sequence[Advisory]) -> LedgerRow:
    row = LedgerRow(LedgerKind.UNMATCHED_ADVISORY, advisory_id=versions[0].advisory_id)
    return _advisory_side(row, versions)


def _row(
    chain: Sequence[Incident],
    versions: Sequence[Advisory] | None,
    advisory_id: str | None,
    score: float | None,
) -> LedgerRow:
    first, last = chain[0], chain[-1]
    row = LedgerRow(
        kind=LedgerKind.UNMATCHED_INCIDENT,
        incident_id=last.incident_id,
        advisory_id=advisory_id,
        tenants=last.tenants,
        services=last.services,
        clients=last.clients,
        verdict=last.verdict,
        onset_at=last.onset_at,
        raised_at=first.raised_at,
        resolved_at=last.resolved_at,
        score=score,
        arrival=last.arrival,
    )
    if advisory_id is None:
        return row
    told = (i.published_at for i in chain if advisory_id in _matches(i))
    row = replace(row, matched_at=next(told, None))
    if versions is None:  # matched once, and no longer among the advisories given
        held = next((m for m in (last.advisory, *last.other_advisories) if m is not None), None)
        lead = held.lead_seconds if held is not None and held.advisory_id == advisory_id else None
        return replace(row, kind=_who(lead), lead_seconds=lead)
    row = _advisory_side(row, versions)
    lead = _seconds(row.first_published_at, first.raised_at)
    return replace(
        row,
        kind=row.kind if row.kind is LedgerKind.WITHDRAWN else _who(lead),
        lead_seconds=lead,
        lead_start_api=_seconds(row.api_start_last, last.onset_at),
        lead_start_text=_seconds(row.text_start_at, last.onset_at),
    )


def _who(lead: float | None) -> LedgerKind:
    return LedgerKind.FIRST if lead is not None and lead >= 0 else LedgerKind.LATE
