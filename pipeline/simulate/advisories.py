"""Service health issues as Graph gives them, about the simulated outages.

Field names follow Graph ``serviceHealthIssue``; the sections of a post (Title, User
impact, More info, Current status, Scope of impact, Start time, Next update by) follow the
form of public advisories, in our own words. As in life the API start is moved back on
closure, and clients are named only inside the posts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.simulate.spec import SimulationSpec

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


def ex1256020(start: datetime, rollback: datetime, end: datetime) -> list[dict[str, Any]]:
    """The outage listed a day late, closed too early, and listed again under another id."""
    title = (
        "Some users may be intermittently unable to access their Exchange Online mailboxes in "
        "some connection methods"
    )
    impact = (
        "Users may be intermittently unable to access their Exchange Online mailboxes in some "
        "connection methods."
    )
    info = (
        "The impact is specific to users of the Outlook mobile apps or the new Outlook for Mac "
        "desktop client. Restarting the app doesn't help. Outlook on the web is not impacted and "
        "may be used meanwhile."
    )
    begun = ("Start time", spoken(start + 2 * _HOUR))
    first, second = start + timedelta(hours=24, minutes=40), start + timedelta(hours=32)
    third, closed = rollback + 3 * _HOUR, start + timedelta(days=4, hours=3)
    posts = [
        post(
            first,
            title,
            impact,
            [
                ("More info", info),
                ("Current status", "We're reviewing service telemetry to find what fails."),
                ("Scope of impact", "Some users of the named clients may be impacted."),
                begun,
                ("Next update by", spoken(first + 3 * _HOUR)),
            ],
        ),
        quick(second, "A recent change to service accounts is suspected; we're undoing it.", third),
        post(
            third,
            title,
            impact,
            [
                ("More info", info),
                ("Current status", "The change is rolled back and we're watching the recovery."),
                begun,
                ("Next update by", spoken(closed)),
            ],
        ),
        post(
            closed,
            title,
            impact.replace("may be", "may have been"),
            [
                ("More info", info),
                ("Final status", "Telemetry confirms that the rollback has resolved the issue."),
                ("Start time", spoken(start)),
                ("End time", spoken(rollback)),
                ("Root cause", "A change that introduced a new virtual account."),
                ("Next steps", "This is the final update for the event."),
            ],
        ),
    ]
    old = issue("EX1256020", title, impact, posts, start, rollback, listed_start=start + 2 * _HOUR)
    return old + _ex1268771(title, impact, info, start, end)


def _ex1268771(
    title: str, impact: str, info: str, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    again = start + timedelta(days=7, hours=4)
    over = max(end + 5 * _HOUR, again + _HOUR)
    past = ("Start time", spoken(start - timedelta(hours=42)))
    posts = [
        post(
            again,
            title,
            impact,
            [
                ("More info", f"{info} This was first communicated under EX1256020."),
                (
                    "Current status",
                    "Reports show that impact goes on. We're restarting the notification component.",
                ),
                past,
                ("Next update by", spoken(over)),
            ],
        ),
        post(
            over,
            title,
            impact.replace("may be", "may have been"),
            [
                ("More info", info),
                ("Final status", "The restarts are complete and access works again."),
                past,
                ("End time", spoken(end)),
                ("Root cause", "The notification component did not process requests."),
                ("Next steps", "This is the final update for the event."),
            ],
        ),
    ]
    # The API field says when it was relisted, the text says when it began.
    return issue("EX1268771", title, impact, posts, again, end, classification="advisory")


def _loud(
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


def _all_protocols(start: datetime, end: datetime) -> list[dict[str, Any]]:
    return _loud(
        "EX1301177",
        "Users may be unable to access their Exchange Online mailboxes using multiple connection "
        "methods",
        "Users may be unable to access their Exchange Online mailboxes using multiple connection "
        "methods.",
        "Impacted connection methods are Outlook on the web, the classic Outlook desktop client, "
        "Exchange ActiveSync (EAS), Internet Mailbox Access Protocol 4 (IMAP4) and Exchange Web "
        "Services (EWS).",
        "A part of the authentication infrastructure of Exchange Online was overloaded.",
        start,
        end,
        lag=timedelta(minutes=75),
    )


def _office_copilot(start: datetime, end: datetime) -> list[dict[str, Any]]:
    return _loud(
        "MO1253991",
        "Users may be unable to sign in to Office.com and Microsoft 365 Copilot",
        "Users may be unable to sign in to Office.com and Microsoft 365 Copilot.",
        "Users of m365.cloud.microsoft and copilot.cloud.microsoft are impacted as well. Retries "
        "may be successful.",
        "A part of the service that handles sign-in requests received more than it could serve.",
        start,
        end,
        lag=timedelta(minutes=55),
        service="Microsoft 365 suite",
        feature="Portal",
    )


def _imap4(start: datetime, end: datetime) -> list[dict[str, Any]]:
    return _loud(
        "EX1215977",
        "Users may be intermittently unable to access their mailbox using IMAP4",
        "Users may be intermittently unable to access their mailbox using the Internet Mailbox "
        "Access Protocol 4 (IMAP4).",
        "Other connection methods were not impacted. Retries may be successful.",
        "A change to the IMAP4 authentication path did not work as expected.",
        start,
        end,
        lag=timedelta(hours=9),
        classification="advisory",
    )


def _classic_outlook(start: datetime, end: datetime) -> list[dict[str, Any]]:
    return _loud(
        "EX1260911",
        "Users may be unable to access their Exchange Online mailboxes using the classic Outlook "
        "desktop client",
        "Users may be unable to access their Exchange Online mailboxes using the classic Outlook "
        "desktop client.",
        "Impacted users may receive a 401 error message. Outlook on the web works.",
        "A recent service change caused unexpected refusals.",
        start,
        end,
        lag=timedelta(hours=2, minutes=30),
    )


LOUD: Final[dict[str, Callable[[datetime, datetime], list[dict[str, Any]]]]] = {
    "all_protocols": _all_protocols,
    "office_copilot": _office_copilot,
    "imap4": _imap4,
    "classic_outlook": _classic_outlook,
}


def background(spec: SimulationSpec) -> list[dict[str, Any]]:
    """Advisories every tenant has and no outage belongs to: features, admin, mail flow."""
    day = timedelta(days=1)
    out = []
    for advisory_id, title, service, after, length in (
        ("EX1249012", "Users' MailTips may not show free/busy data in Outlook", "Exchange Online", 2, 9),
        ("EX1251340", "Some messages may be marked as spam by mistake", "Exchange Online", 5, 2),
        ("SP1250203", "Users may see delays of search results in SharePoint Online", "SharePoint Online", 9, 4),
        ("TM1252877", "Some users may not see presence information", "Microsoft Teams", 11, 1),
        ("MO1248555", "Admins may be unable to see some usage reports", "Microsoft 365 suite", 1, 12),
    ):  # fmt: skip
        start = spec.begin + after * day + timedelta(hours=9)
        end = min(start + length * day, spec.end)
        if start >= spec.end:
            continue
        out += _loud(
            advisory_id,
            title,
            f"{title}.",
            "The feature named above is impacted; access works.",
            "A code issue in a recent update.",
            start,
            end,
            lag=timedelta(hours=6),
            service=service,
            feature="Features",
            classification="advisory",
        )
    return out
