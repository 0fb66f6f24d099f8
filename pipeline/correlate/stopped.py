"""Feeds that have stopped, as incidents of their own: blind is not healthy, and somebody has to know.

The gap that the windows find (:mod:`pipeline.window.gaps`) tells what is missing once it is
certain that something is; this tells at once that nothing can come, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.correlate.words import moment
from pipeline.model.clock import rfc3339
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.ids import content_id
from pipeline.model.incident import Evidence, Incident, IncidentState, RevisionReason, Severity
from pipeline.model.vocabulary import Service, Source, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# Who has looked for ten minutes at a feed that works again need not be told twice.
_STEADY: Final = timedelta(minutes=10)
# So long blind, and an outage of half a working day may have gone unseen.
_LONG: Final = timedelta(hours=4)
_CONFIDENCE: Final = 0.99
_WEIGHT: Final = 4.0  # log-odds: a feed that says itself that it brings nothing
_WHAT: Final = {
    FeedState.FAILING: "nothing is read from",
    FeedState.BEHIND: "behind with",
    FeedState.SILENT: "nothing comes from",
}
_SERVICE: Final = {Source.EXCHANGE_AUDIT: Service.EXCHANGE_ONLINE}


@dataclass(slots=True)
class StoppedFeeds:
    """What was told, and who has ever been well.

    Attributes:
        told: by feed, the newest revision of its incident; those resolved are forgotten.
        well: feeds that have caught up once: the first reading of a week is no trouble.
    """

    told: dict[str, Incident] = field(default_factory=dict)
    well: frozenset[str] = frozenset()


def advance(
    state: StoppedFeeds, tenant: str, notices: Mapping[str, FeedNotice], now: datetime
) -> tuple[StoppedFeeds, tuple[Incident, ...]]:
    """Revisions that follow from how the feeds do.

    Args:
        state: what was told.
        tenant: whose feeds they are.
        notices: the newest of each feed.
        now: the tenant's clock.
    """
    told, issued = dict(state.told), []
    well = state.well | {f for f, n in notices.items() if n.state is FeedState.WORKING}
    for feed, notice in sorted(notices.items()):
        before = told.get(feed)
        made = _revision(before, tenant, notice, now, reading_first=feed not in well)
        if made is None:
            continue
        issued.append(made)
        if made.state.over:
            del told[feed]
        else:
            told[feed] = made
    return StoppedFeeds(told, well), tuple(issued)


def _revision(
    before: Incident | None,
    tenant: str,
    notice: FeedNotice,
    now: datetime,
    *,
    reading_first: bool,
) -> Incident | None:
    late = max(now, notice.at) - notice.complete_to
    stopped = notice.state is not FeedState.WORKING
    if before is None:
        # How far its first reading still is behind says nothing; for how long it fails does.
        behind = late
        if reading_first:
            failing = notice.state is FeedState.FAILING
            behind = max(now, notice.at) - notice.since if failing else timedelta(0)
        due = stopped and behind >= timedelta(seconds=notice.alarm_seconds)
        return _opened(tenant, notice, now) if due else None
    if not stopped:
        return _resolved(before, notice, now) if now - notice.since >= _STEADY else None
    if late >= _LONG and before.severity is not Severity.HIGH:
        return replace(
            _next(before, RevisionReason.SEVERITY_UP, notice, now),
            severity=Severity.HIGH,
            headline=_headline(notice, before.onset_at),
            evidence=(_evidence(notice, now),),
            last_evidence_at=now,
        )
    return None


def _opened(tenant: str, notice: FeedNotice, now: datetime) -> Incident:
    onset = notice.complete_to
    return Incident(
        incident_id=content_id("inc", tenant, notice.feed, "stopped", rfc3339(onset)),
        revision=1,
        reason=RevisionReason.OPENED,
        state=IncidentState.OPEN,
        tenants=(tenant,),
        services=_services(notice.sources),
        clients=(),
        onset_at=onset,
        raised_at=now,
        published_at=now,
        severity=Severity.HIGH if now - onset >= _LONG else Severity.MEDIUM,
        verdict=Verdict.TELEMETRY_GAP,
        confidence=_CONFIDENCE,
        headline=_headline(notice, onset),
        evidence=(_evidence(notice, now),),
        scope=(),
        affected_users=0,
        user_minutes_lost=0.0,
        healthy_clients=(),
        error_codes=(),
        flag_ids=(),
        last_evidence_at=now,
    )


def _resolved(before: Incident, notice: FeedNotice, now: datetime) -> Incident:
    return replace(
        _next(before, RevisionReason.RESOLVED, notice, now),
        state=IncidentState.RESOLVED,
        resolved_at=notice.at,
        headline=f"{notice.feed} is read again since {moment(notice.at)}, after it had stopped at "
        f"{moment(before.onset_at)}; what came meanwhile is read now",
    )


def _next(before: Incident, reason: RevisionReason, notice: FeedNotice, now: datetime) -> Incident:
    return replace(
        before,
        revision=before.revision + 1,
        reason=reason,
        published_at=max(now, notice.at, before.published_at),
    )


def _headline(notice: FeedNotice, onset: datetime) -> str:
    return (
        f"We are blind: {_WHAT[notice.state]} {notice.feed} since {moment(onset)}: {notice.problem}"
    )


def _evidence(notice: FeedNotice, now: datetime) -> Evidence:
    minutes = (now - notice.complete_to) / timedelta(minutes=1)
    return Evidence(
        Verdict.TELEMETRY_GAP,
        _WEIGHT,
        f"the reader of {notice.feed} is {notice.state.value}, {minutes:.0f} minutes behind",
        {"minutes_behind": round(minutes, 1), "alarm_minutes": notice.alarm_seconds / 60},
    )


def _services(sources: Iterable[Source]) -> tuple[Service, ...]:
    return tuple(sorted({_SERVICE.get(s, Service.IDENTITY) for s in sources}))
