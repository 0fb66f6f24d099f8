"""Notices for tests of sinks: an outage that goes on, one that is over, a group."""

from __future__ import annotations

from functools import partial

from pipeline.model.documents import to_json
from pipeline.model.incident import IncidentState, RevisionReason, Severity
from pipeline.model.notice import Notice, NoticeItem, NoticeReason
from pipeline.notify.clean import clean
from pipeline.notify.wording import message_of
from tests.unit.report import sample_folder

MESSAGE = partial(message_of, time_zone="Europe/Berlin")
LINK = "https://outrider.example.com/incidents/inc-33c65910ec91c732?tab=1&day=2"
HEADLINE = (
    "Outlook for iOS, Outlook for Android and new Outlook for Mac: 74 users fail to sign in since "
    "Thu 19 Mar 07:41 UTC; Outlook on the web and classic Outlook for Windows work"
)
HEAD = "HIGH: "


def opened(**changes):
    """The first revision of an outage."""
    return sample_folder.incident(
        **{
            "revision": 1,
            "reason": RevisionReason.OPENED,
            "state": IncidentState.OPEN,
            "headline": HEADLINE,
            "affected_users": 74,
            "user_minutes_lost": 4_100.0,
            "resolved_at": None,
            "advisory": None,
            **changes,
        }
    )


def notice(*incidents, **changes):
    """``outrider.notice/1`` of one outage that has just begun, or of those given."""
    incidents = incidents or (opened(),)
    base = {
        "notice_id": incidents[0].incident_id,
        "revision": incidents[0].revision,
        "sink": "slack.oncall",
        "at": sample_folder.RAISED,
        "reason": NoticeReason(incidents[0].reason),
        "state": incidents[0].state,
        "severity": Severity.HIGH,
        "group": {},
        "incidents": tuple(NoticeItem(NoticeReason(i.reason), i) for i in incidents),
        "link": LINK,
    }
    return to_json(Notice(**{**base, **changes}))


def resolved(**changes):
    return notice(sample_folder.incident(), at=sample_folder.RESOLVED, **changes)


def group(count=3, **changes):
    """A group whose second incident is recovering."""
    members = [
        opened(
            incident_id=f"inc-{n:016x}",
            state=IncidentState.RECOVERING if n == 1 else IncidentState.OPEN,
        )
        for n in range(count)
    ]
    return notice(
        *members,
        **{
            "notice_id": "grp-1f0c",
            "revision": 3,
            "group": {"service": "exchange_online"},
            **changes,
        },
    )


def record(name, revision, text=HEADLINE):
    """As the checks of sinks want it: one incident, whose headline is ``text``."""
    return notice(opened(incident_id=name, headline=text), notice_id=name, revision=revision)


def shown(text):
    """What of a headline stands in a title."""
    return clean(HEAD + clean(text)).removeprefix(HEAD)


def without_head(title):
    assert title.startswith(HEAD), title
    return title.removeprefix(HEAD)


def read_reference(text):
    """(id, revision) of the last line of a message."""
    name, _, revision = text.rpartition(", revision ")
    return name, int(revision)
