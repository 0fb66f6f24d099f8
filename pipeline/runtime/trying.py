"""A test message to a destination of people: opened and closed again, and plainly a test."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.documents import to_json
from pipeline.model.errors import FatalError, RetriableError
from pipeline.model.ids import content_id
from pipeline.model.incident import Incident, IncidentState, RevisionReason, Severity
from pipeline.model.notice import Notice, NoticeItem, NoticeReason
from pipeline.model.vocabulary import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.contracts import Sink

HEADLINE: Final = "TEST of this destination: nothing is wrong"


def try_destination(name: str, sink: Sink, now: datetime) -> str:
    """Send a test message and the word that it is over; the id of its thread.

    Args:
        name: of the destination.
        sink: the destination.
        now: when.

    Raises:
        RetriableError: it cannot be reached now.
        FatalError: it refuses, or a person has to act.
    """
    notices = _notices(name, now)
    for notice in notices:
        done = sink.deliver([notice])
        if done.rejected:
            raise FatalError(f"{name}: refuses the test message; see its own log")
        if not done.accepted:
            raise RetriableError(f"{name}: has not taken the test message", retry_after=None)
    return str(notices[0]["notice_id"])


def _notices(name: str, now: datetime) -> list[dict[str, Any]]:
    opened = Incident(
        incident_id=content_id("inc", "test", name, now.isoformat()),
        revision=1,
        reason=RevisionReason.OPENED,
        state=IncidentState.OPEN,
        tenants=(),
        services=(),
        clients=(),
        onset_at=now,
        raised_at=now,
        published_at=now,
        severity=Severity.LOW,
        verdict=Verdict.UNDETERMINED,
        confidence=0.0,
        headline=HEADLINE,
        evidence=(),
        scope=(),
        affected_users=0,
        user_minutes_lost=0.0,
        healthy_clients=(),
        error_codes=(),
        flag_ids=(),
    )
    over = replace(
        opened,
        revision=2,
        reason=RevisionReason.RESOLVED,
        state=IncidentState.RESOLVED,
        resolved_at=now,
    )
    return [
        to_json(
            Notice(
                notice_id=i.incident_id,
                revision=i.revision,
                sink=name,
                at=now,
                reason=NoticeReason(i.reason),
                state=i.state,
                severity=i.severity,
                group={},
                incidents=(NoticeItem(NoticeReason(i.reason), i),),
            )
        )
        for i in (opened, over)
    ]
