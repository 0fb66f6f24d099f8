"""The form of a service health issue: posts with their sections, and its versions.

Field names follow Graph ``serviceHealthIssue``; the sections of a post (Title, User
impact, More info, Current status, Scope of impact, Start time, Next update by) follow the
form of public advisories. As in life the API start is moved back on closure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pipeline.model.clock import rfc3339

_HOUR = timedelta(hours=1)


def spoken(moment: datetime) -> str:
    """Write a moment as posts do: ``Friday, January 2, 2026, at 12:00 AM UTC``."""
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment:%A, %B} {moment.day}, {moment.year}, at {hour}:{moment:%M} {half} UTC"


def post(at: datetime, title: str, impact: str, sections: list[tuple[str, str]]) -> dict[str, Any]:
    """One post in the HTML of the message center."""
    parts = [("Title", title), ("User impact", impact), *sections]
    html = "<br><br>".join(f"{name}: {text}" for name, text in parts)
    return {
        "createdDateTime": rfc3339(at),
        "postType": "regular",
        "description": {"contentType": "html", "content": f"<p>{html}</p>"},
    }


def quick(at: datetime, text: str, following: datetime) -> dict[str, Any]:
    """A quick update, which has no sections."""
    lead = "This quick update is designed to give the latest information on this issue."
    return {
        "createdDateTime": rfc3339(at),
        "postType": "quick",
        "description": {
            "contentType": "html",
            "content": f"{lead}<br><br>{text}<br><br>Next update by: {spoken(following)}",
        },
    }


def issue(
    advisory_id: str,
    title: str,
    impact: str,
    posts: list[dict[str, Any]],
    start: datetime,
    end: datetime,
    *,
    service: str = "Exchange Online",
    feature: str = "E-Mail and calendar access",
    classification: str = "incident",
    listed_start: datetime | None = None,
) -> list[dict[str, Any]]:
    """Every version of one serviceHealthIssue, one a post; the last one closes it.

    Until then the API says ``listed_start``; on closure it is rewritten to ``start``.
    """
    common: dict[str, Any] = {
        "title": title,
        "id": advisory_id,
        "impactDescription": impact,
        "classification": classification,
        "origin": "microsoft",
        "service": service,
        "feature": feature,
        "featureGroup": feature,
        "highImpact": None,
        "details": [],
    }
    versions = []
    for number in range(1, len(posts) + 1):
        closed = number == len(posts)
        status = "serviceDegradation" if number == 1 else "restoringService"
        versions.append(
            {
                **common,
                "startDateTime": rfc3339(start if closed else listed_start or start),
                "endDateTime": rfc3339(end) if closed else None,
                "lastModifiedDateTime": posts[number - 1]["createdDateTime"],
                "status": "serviceRestored" if closed else status,
                "isResolved": closed,
                "posts": posts[:number],
            }
        )
    return versions


def two_posts(
    advisory_id: str,
    title: str,
    impact: str,
    info: str,
    cause: str,
    start: datetime,
    end: datetime,
    *,
    lag: timedelta,
    **kinds: str,
) -> list[dict[str, Any]]:
    """The versions of an issue with an opening and a closing post, ``lag`` late."""
    first, closed = start + lag, end + timedelta(minutes=95)
    posts = [
        post(
            first,
            title,
            impact,
            [
                ("More info", info),
                ("Current status", "We're analysing service telemetry to find the cause."),
                ("Start time", spoken(start + lag / 2)),
                ("Next update by", spoken(first + 2 * _HOUR)),
            ],
        ),
        post(
            closed,
            title,
            impact.replace("may be", "may have been"),
            [
                ("More info", info),
                ("Final status", "We've confirmed that the issue is resolved."),
                ("Start time", spoken(start)),
                ("End time", spoken(end)),
                ("Preliminary root cause", cause),
                ("Next steps", "This is the final update for the event."),
            ],
        ),
    ]
    listed = start + lag / 2
    return issue(advisory_id, title, impact, posts, start, end, listed_start=listed, **kinds)
