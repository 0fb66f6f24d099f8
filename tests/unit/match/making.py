"""Incidents and advisories for the tests of this folder, in words of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.advisories.issue import read_issue
from pipeline.model.clock import rfc3339
from pipeline.model.incident import Incident, IncidentState, RevisionReason, ScopeSlice, Severity
from pipeline.model.vocabulary import Client, Service, Verdict

if TYPE_CHECKING:
    from pipeline.model.advisory import Advisory

C = Client
MOBILE_AND_MAC = (C.OUTLOOK_ANDROID, C.OUTLOOK_IOS, C.OUTLOOK_MAC_NEW)
T0 = datetime(2026, 3, 17, 14, tzinfo=UTC)


def at(hours: float) -> datetime:
    """``hours`` after the outage began."""
    return T0 + timedelta(hours=hours)


def incident(
    incident_id: str = "inc-1",
    *,
    onset: float = 0,
    raised: float = 1,
    published: float | None = None,
    resolved: float | None = None,
    clients: tuple[Client, ...] = MOBILE_AND_MAC,
    countries: tuple[tuple[str, int], ...] = (),
    **more: Any,
) -> Incident:
    state = IncidentState.OPEN if resolved is None else IncidentState.RESOLVED
    base = Incident(
        incident_id=incident_id,
        revision=1,
        reason=RevisionReason.OPENED if resolved is None else RevisionReason.RESOLVED,
        state=state,
        tenants=("contoso",),
        services=(Service.EXCHANGE_ONLINE,),
        clients=clients,
        onset_at=at(onset),
        raised_at=at(raised),
        published_at=at(raised if published is None else published),
        severity=Severity.HIGH,
        verdict=Verdict.SERVICE_OUTAGE,
        confidence=0.9,
        headline="h",
        evidence=(),
        scope=tuple(ScopeSlice("country", c, 1.0, 0.5, n) for c, n in countries),
        affected_users=120,
        user_minutes_lost=5.0,
        healthy_clients=(),
        error_codes=(),
        flag_ids=("flag-1",),
        resolved_at=None if resolved is None else at(resolved),
    )
    return replace(base, **more)


TITLE = "Some users may be unable to access their Exchange Online mailboxes in some ways"
WHO = "More info: It concerns the Outlook mobile apps and the new Outlook for Mac."


def spoken(moment: datetime) -> str:
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment:%A, %B} {moment.day}, {moment.year}, at {moment.hour % 12 or 12}:{moment:%M} {half} UTC"


def advisory(
    advisory_id: str = "EX900001",
    posts: tuple[tuple[float, str], ...] = ((66.0, WHO),),
    *,
    title: str = TITLE,
    start: float | None = None,
    end: float | None = None,
    modified: float | None = None,
    status: str = "serviceDegradation",
    service: str = "Exchange Online",
    impact: str = "",
) -> Advisory:
    """Posts are (hours after the outage began, text after the title)."""
    last = max((h for h, _ in posts), default=0.0) if modified is None else modified
    return read_issue(
        {
            "id": advisory_id,
            "title": title,
            "service": service,
            "status": status,
            "impactDescription": impact,
            "startDateTime": None if start is None else rfc3339(at(start)),
            "endDateTime": None if end is None else rfc3339(at(end)),
            "lastModifiedDateTime": rfc3339(at(last)),
            "posts": [
                {
                    "createdDateTime": rfc3339(at(hours)),
                    "postType": "regular",
                    "description": {"contentType": "html", "content": f"Title: {title}<br>{text}"},
                }
                for hours, text in posts
            ],
        }
    )
