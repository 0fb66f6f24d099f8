"""The advisories about the simulated outages, in our own words.

As in life they come late, name the clients only inside their posts, and one closes early
and comes back under another id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.simulate.issues import issue, post, quick, spoken, two_posts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pipeline.simulate.spec import SimulationSpec

_HOUR = timedelta(hours=1)


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


def _all_protocols(start: datetime, end: datetime) -> list[dict[str, Any]]:
    return two_posts(
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
    return two_posts(
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
    return two_posts(
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
    return two_posts(
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
        out += two_posts(
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
