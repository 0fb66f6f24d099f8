"""One revision of an incident, from its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.correlate.headline import headline, severity
from pipeline.correlate.lifecycle import busiest, ebbed_since, ended_at, start_of
from pipeline.correlate.look import look, look_at_gap
from pipeline.correlate.scope import slices
from pipeline.correlate.verdict import judge
from pipeline.model.incident import Incident, IncidentState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case, CorrelateState
    from pipeline.model.flag import Flag
    from pipeline.model.incident import RevisionReason, ScopeSlice


def compose(
    state: CorrelateState,
    case: Case,
    flags: Mapping[str, Flag],
    hour: int,
    *,
    reason: RevisionReason,
    published_at: datetime,
    settings: CorrelateSettings,
) -> Incident:
    """Write the next revision of ``case``.

    Args:
        state: user-hours, changes and the other incidents.
        case: the incident; what was counted for it is kept there.
        flags: the members to speak of (a first revision knows only the first).
        hour: last hour known, since 1970.
        reason: why there is a revision.
        published_at: when it could be known; never before the previous revision.
        settings: knobs.
    """
    now = start_of(hour + 1)
    scope: tuple[ScopeSlice, ...] = ()
    if case.gap is not None:
        picture = look_at_gap(case.gap, settings)
        quiet: datetime | None = case.gap.end
    else:
        picture, rows, mix = look(state, case, flags, hour, settings)
        scope = slices(state.history, picture.tally, rows, mix)
        quiet = ebbed_since(flags.values(), now, settings)
    judgement = judge(picture)
    previous = case.published
    if previous is not None:
        published_at = max(published_at, previous.published_at)
    lost = picture.tally.lost_minutes
    return Incident(
        incident_id=case.incident_id,
        revision=previous.revision + 1 if previous else 1,
        reason=reason,
        state=case.state,
        tenants=(case.tenant,),
        services=picture.services,
        clients=picture.clients,
        onset_at=picture.onset_at,
        raised_at=min([f.raised_at for f in flags.values()], default=_first(case, published_at)),
        published_at=published_at,
        severity=severity(picture, judgement, lost, busiest(state.history, case.tenant), settings),
        verdict=judgement.verdict,
        confidence=judgement.confidence,
        headline=headline(picture, judgement, case.state, quiet),
        evidence=judgement.evidence,
        scope=scope,
        affected_users=picture.users,
        user_minutes_lost=round(lost, 1),
        healthy_clients=picture.healthy,
        error_codes=picture.codes,
        flag_ids=tuple(sorted(flags, key=lambda i: (flags[i].onset_at, i))),
        resolved_at=quiet if case.state is IncidentState.RESOLVED else None,
        last_evidence_at=_last_evidence(flags.values(), min(now, published_at), settings),
        arrival=settings.arrival,
    )


def _first(case: Case, published_at: datetime) -> datetime:
    """A gap without flags was raised when it was first published."""
    return case.published.raised_at if case.published else published_at


def _last_evidence(
    flags: Iterable[Flag], now: datetime, settings: CorrelateSettings
) -> datetime | None:
    ends = [max(f.alarm_at, ended_at(f, now, settings) or now) for f in flags]
    return max(ends, default=None)
