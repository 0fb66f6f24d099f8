"""The words of a notice, read as somebody woken at three in the morning reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings

from pipeline.model.advisory import Symptom
from pipeline.model.documents import to_json
from pipeline.model.incident import IncidentState, RevisionReason, Severity
from pipeline.model.notice import NoticeReason
from pipeline.model.vocabulary import Verdict
from pipeline.notify.wording import message_of
from tests.contracts.strategies import NOTICES
from tests.sinks.notices import MESSAGE, group, notice, opened, resolved
from tests.unit.report import sample_folder

OPENED = """\
HIGH: Outlook for iOS, Outlook for Android and new Outlook for Mac: 74 users fail to sign in since \
Thu 19 Mar 07:41 UTC; Outlook on the web and classic Outlook for Windows work

This has just been found.

Who          74 users of Exchange Online, 68 user-hours lost
Clients      Outlook for iOS, Outlook for Android and new Outlook for Mac
Where        country DE: 61 % of the affected, usually 58 %; client version 4.2610.0: 83 % of the \
affected, usually 35 %
Since        Thu 19 Mar 2026 07:41 UTC (08:41 CET); still going on after 1 h 51 min
Still works  Outlook on the web (99.3 % succeed, 188 of the affected already there) and classic \
Outlook for Windows (99.9 % succeed, 97 of the affected already there)
Whose fault  Microsoft's (96 % sure)
Advisory     no advisory yet (first to know by our logs)

For this verdict:
- 3 clients fell together within 12 min, in 9 countries and 41 networks
- the same users succeed in Outlook on the web: 188 of 341
- no network holds more than 14 % of the affected users
- the mailbox audit log was 98 % complete; other clients are as usual

Against this verdict:
- not one failure in the sign-in log
- one change of the directory in the 24 h before

https://outrider.example.com/incidents/inc-33c65910ec91c732?tab=1&day=2

inc-33c65910ec91c732, revision 1
"""
RESOLVED = """\
OVER (was high): Outlook for iOS, Outlook for Android and new Outlook for Mac: 85% fewer users \
than usual from Thu 19 Mar 07:41 UTC to Sat 21 Mar 15:05 UTC

It is over: users work as usual again.

Who          341 users of Exchange Online, 6 872 user-hours lost
Clients      Outlook for iOS, Outlook for Android and new Outlook for Mac
Where        country DE: 61 % of the affected, usually 58 %; client version 4.2610.0: 83 % of the \
affected, usually 35 %
Since        Thu 19 Mar 2026 07:41 UTC (08:41 CET); over Sat 21 Mar 2026 15:05 UTC (16:05 CET), \
after 2 d 7 h
Still works  Outlook on the web (99.3 % succeed, 188 of the affected already there) and classic \
Outlook for Windows (99.9 % succeed, 97 of the affected already there)
Whose fault  Microsoft's (96 % sure)
Advisory     EX1256020; we knew 3 h 13 min before its first post
"""
GROUP = """\
HIGH: 3 incidents: Exchange Online

At least one of these has just been found.

Who          74 users in the largest; some may be in several
Clients      Outlook for iOS, Outlook for Android and new Outlook for Mac
Since        Thu 19 Mar 2026 07:41 UTC (08:41 CET) (the first of them)
Whose fault  Microsoft's
Advisory     no advisory yet (first to know by our logs)
- HIGH: Outlook for iOS, Outlook for Android and new Outlook for Mac: 74 users fail to sign in \
since Thu 19 Mar 07:41 UTC; Outlook on the web and classic Outlook for Windows work \
(inc-0000000000000000)
- HIGH, recovering: Outlook for iOS, Outlook for Android and new Outlook for Mac: 74 users fail \
to sign in since Thu 19 Mar 07:41 UTC; Outlook on the web and classic Outlook for Windows work \
(inc-0000000000000001)
- HIGH: Outlook for iOS, Outlook for Android and new Outlook for Mac: 74 users fail to sign in \
since Thu 19 Mar 07:41 UTC; Outlook on the web and classic Outlook for Windows work \
(inc-0000000000000002)

https://outrider.example.com/incidents/inc-33c65910ec91c732?tab=1&day=2

grp-1f0c, revision 3
"""


def test_an_outage_that_has_just_begun():
    assert MESSAGE(notice()).text() == OPENED


def test_an_outage_that_is_over():
    assert MESSAGE(resolved()).text().startswith(RESOLVED)


def test_a_group_has_one_headline_and_a_line_for_each():
    assert MESSAGE(group()).text() == GROUP


def test_ten_lines_of_a_group_and_how_many_more():
    lines = MESSAGE(group(14)).incidents
    assert len(lines) == 11
    assert lines[-1] == "and 4 more"
    assert "14 incidents" in MESSAGE(group(14)).title


def test_a_group_tells_how_many_go_on():
    members = [opened(), opened(incident_id="inc-2", state=IncidentState.RESOLVED)]
    message = MESSAGE(notice(*members, notice_id="grp-1", group={"client": "owa", "site": "HQ"}))
    assert message.title == "HIGH: 2 incidents, 1 going on: Outlook on the web and site HQ"
    assert message.incidents[1].startswith("HIGH, over: ")


def test_a_group_tells_whose_fault_each_is_and_adds_no_users_up():
    members = [
        opened(),
        opened(incident_id="inc-2", verdict=Verdict.ATTACK, affected_users=12),
        opened(incident_id="inc-3", verdict=Verdict.ATTACK, affected_users=0),
    ]
    facts = dict(MESSAGE(notice(*members, notice_id="grp-1")).facts)
    assert facts["Whose fault"] == "an attack on accounts (2 of 3) and Microsoft's (1 of 3)"
    assert facts["Who"] == "74 users in the largest; some may be in several"


def test_a_group_that_holds_one_incident_tells_it_whole():
    message = MESSAGE(notice(notice_id="grp-1", revision=7, group={"client": "owa"}))
    assert dict(message.facts)["Whose fault"] == "Microsoft's (96 % sure)"
    assert message.reference == "grp-1, revision 7"
    assert not message.incidents


def test_a_group_that_is_over_says_so():
    members = [opened(incident_id=f"inc-{n}", state=IncidentState.RESOLVED) for n in range(2)]
    message = MESSAGE(notice(*members, notice_id="grp-1", reason=NoticeReason.RESOLVED))
    assert message.reason == "All of these are over."
    assert message.title == "OVER (was high): 2 incidents: Exchange Online"


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (NoticeReason.OPENED, "just been found"),
        (NoticeReason.SPREAD, "has spread"),
        (NoticeReason.SEVERITY_UP, "worse than in the last message: high now"),
        (NoticeReason.MATCHED, "advisory of Microsoft fits it now"),
        (NoticeReason.ADVISORY_CHANGED, "What Microsoft says about it has changed"),
        (NoticeReason.RECOVERING, "not over yet"),
        (NoticeReason.REOPENED, "It is back"),
        (NoticeReason.CORRECTED, "Late records have corrected"),
        (NoticeReason.REMINDER, "nobody has acknowledged it"),
        (NoticeReason.UNSILENCED, "held back until now"),
        (NoticeReason.REROUTED, "last message here"),
    ],
)
def test_why_it_is_told_now_is_said_in_words(reason, says):
    one = MESSAGE(notice(reason=reason)).reason
    several = MESSAGE(group(reason=reason)).reason
    assert says in one
    for text in (one, several):
        assert "_" not in text
        assert text.endswith(".")


def test_every_reason_of_a_revision_has_its_words():
    for reason in RevisionReason:
        assert MESSAGE(notice(reason=NoticeReason(reason))).reason


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (Verdict.SERVICE_OUTAGE, "users work as usual again"),
        (Verdict.TELEMETRY_GAP, "records arrive again"),
        (Verdict.ATTACK, "nothing of it is seen any more"),
        (Verdict.UNDETERMINED, "nothing unusual is seen any more"),
    ],
)
def test_what_is_over_is_called_by_what_it_was(verdict, says):
    over = opened(verdict=verdict, state=IncidentState.RESOLVED, reason=RevisionReason.RESOLVED)
    assert says in MESSAGE(notice(over)).reason


def test_what_was_no_incident_after_all_is_taken_back():
    back = opened(state=IncidentState.RETRACTED, reason=RevisionReason.CORRECTED)
    message = MESSAGE(notice(back))
    assert message.title.startswith("TAKEN BACK (was high): ")
    assert message.reason == "Taken back: late records show that nothing unusual happened."
    assert message.over


def test_what_is_told_elsewhere_is_not_called_over():
    ended = notice(opened(), state=IncidentState.RESOLVED, reason=NoticeReason.REROUTED)
    ended["incidents"][0]["reason"] = "rerouted"
    message = MESSAGE(ended)
    assert message.title.startswith("TOLD ELSEWHERE (high): ")
    assert "OVER" not in message.title
    assert message.over, "for a pager it is: it pages here no more"


def test_an_attack_waits_for_no_advisory():
    members = [opened(incident_id=f"inc-{n}", verdict=Verdict.ATTACK) for n in range(2)]
    for document in (notice(members[0]), notice(*members, notice_id="grp-1")):
        assert dict(MESSAGE(document).facts)["Advisory"] == "none matches"


def test_a_recovering_one_says_so_in_front():
    message = MESSAGE(notice(opened(state=IncidentState.RECOVERING)))
    assert message.title.startswith("HIGH, RECOVERING: ")


def test_nobody_is_sure_of_not_knowing():
    facts = dict(MESSAGE(notice(opened(verdict=Verdict.UNDETERMINED))).facts)
    assert facts["Whose fault"] == "not certain"


def test_the_title_of_an_advisory_is_told_where_it_is_known():
    known = sample_folder.advisory(symptom=Symptom.ACCESS)
    message = message_of(resolved(), advisories={known.advisory_id: known})
    assert known.title in dict(message.facts)["Advisory"]


def test_the_clock_of_the_reader_stands_beside_utc():
    since = dict(message_of(notice(), time_zone="Asia/Kolkata").facts)["Since"]
    assert since.startswith("Thu 19 Mar 2026 07:41 UTC (13:11 IST)")
    assert dict(message_of(notice()).facts)["Since"].startswith("Thu 19 Mar 2026 07:41 UTC;")


def test_a_severity_that_grew_is_the_first_word():
    assert MESSAGE(notice(severity=Severity.CRITICAL)).title.startswith("CRITICAL: ")


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "https://a b",
        "https://x/<b>",
        'https://x/"onmouseover=',
        "https://x/\n",
        "http://[",
        "https://",
        "data:text/html,x",
        "https://x/|y",
    ],
)
def test_what_is_no_address_is_no_link(link):
    assert MESSAGE(notice(link=link)).link == ""


def test_without_a_link_there_is_none():
    assert MESSAGE(notice(link=None)).link == ""


def test_a_clock_that_is_behind_the_onset_tells_no_negative_time():
    early = sample_folder.ONSET - timedelta(minutes=5)
    assert dict(MESSAGE(notice(at=early)).facts)["Since"].endswith("still going on")


@settings(max_examples=30, deadline=None)
@given(NOTICES)
def test_whatever_a_notice_holds_its_message_is_short_plain_lines(found):
    if not found.incidents:
        return
    message = message_of(to_json(found), time_zone="Europe/Berlin")
    assert 0 < len(message.title) <= 300
    texts = [message.title, message.reason, message.reference, *message.incidents]
    texts += [*message.evidence_for, *message.evidence_against, *(a for _, a in message.facts)]
    assert all(text and "\n" not in text and "\x1b" not in text for text in texts)
    assert max(map(len, texts)) <= 600
    assert len(message.text()) < 20_000


def test_text_of_a_log_stays_one_line_and_turns_nothing():
    hostile = "a\r\nb\x1b[31m\u202egpj\x00" + "\u0416" * 70_000
    message = MESSAGE(notice(opened(headline=hostile)))
    assert "\u202e" not in message.title
    assert "\x1b" not in message.title
    assert len(message.title) == 300
