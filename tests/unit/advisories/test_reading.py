"""Every trap of advisory wording, in words of our own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.advisories.issue import read_issue
from connectors.advisories.reading import service_names
from connectors.advisories.vocabulary import Vocabulary, vocabulary
from pipeline.match.regions import REGION_COUNTRIES
from pipeline.model.advisory import Advisory, Symptom
from pipeline.model.vocabulary import Client, Service

C = Client
IOS, ANDROID, OWA = C.OUTLOOK_IOS, C.OUTLOOK_ANDROID, C.OWA
MAC_NEW, CLASSIC = C.OUTLOOK_MAC_NEW, C.OUTLOOK_WINDOWS_CLASSIC


def read(
    title: str = "Users may be unable to access their mailboxes",
    impact: str = "",
    *posts: str,
    service: str = "Exchange Online",
    status: str = "serviceDegradation",
    advisory_id: str = "EX900001",
) -> Advisory:
    return read_issue(
        {
            "id": advisory_id,
            "title": title,
            "service": service,
            "status": status,
            "impactDescription": impact,
            "lastModifiedDateTime": "2026-03-09T00:00:00Z",
            "posts": [
                {
                    "createdDateTime": f"2026-03-0{day}T08:00:00Z",
                    "postType": "regular",
                    "description": {"contentType": "html", "content": content},
                }
                for day, content in enumerate(posts, start=1)
            ],
        }
    )


@pytest.mark.parametrize(
    ("text", "clients"),
    [
        ("through the Outlook mobile apps or the new Outlook for Mac desktop client",
         {IOS, ANDROID, MAC_NEW}),
        ("using OUTLOOK MOBILE", {IOS, ANDROID}),
        ("with Outlook for iOS", {IOS}),
        ("with Outlook for iOS and Android", {IOS, ANDROID}),
        ("through the new Outlook for Mac", {MAC_NEW}),
        ("with Outlook for Mac", {C.OUTLOOK_MAC}),
        ("with Outlook on the Web", {OWA}),
        ("with Outlook on the web through Android and iOS devices", {OWA}),
        ("with Outlook on the web via mobile browsers", {OWA}),
        ("with Outlook Web App (OWA)", {OWA}),
        ("using the Outlook desktop client", {CLASSIC}),
        ("using the classic Outlook desktop client", {CLASSIC}),
        ("over the Messaging Application Programming Interface (MAPI)", {CLASSIC}),
        ("over the Internet Mailbox Access Protocol 4 (IMAP4)", {C.IMAP4}),
        ("over the Internet Message Access Protocol (IMAP)", {C.IMAP4}),
        ("with POP3 or IMAP4", {C.POP3, C.IMAP4}),
        ("over Exchange ActiveSync (EAS)", {C.ACTIVESYNC}),
        ("with the iOS native mail app", {C.ACTIVESYNC}),
        ("through Exchange Web Services (EWS)", {C.EWS}),
        ("in some connection methods", set()),
        ("from their bowatie shop", set()),  # "owa" inside a word
    ],
)  # fmt: skip
def test_clients_named(text: str, clients: set[Client]) -> None:
    assert set(read(impact=f"Some users are unable to connect {text}.").clients) == clients


def test_clients_are_found_wherever_they_stand() -> None:
    title = "Users may be unable to access their mailboxes in some connection methods"
    for place in ("User impact", "More info", "Scope of impact", "Current status", "Final status"):
        post = f"Title: {title}{place}: This affects the Outlook mobile apps."
        assert set(read(title, "", "We're looking into it.", post).clients) == {IOS, ANDROID}, place
    assert read("Users are unable to use Outlook on the web").clients == (OWA,)


def test_the_cause_counts_only_where_nothing_else_names_a_client() -> None:
    cause = "Root cause: A change to Exchange Web Services (EWS) failed."
    assert read("Title", "", cause).clients == (C.EWS,)
    assert read("Users can't reach Outlook on the web", "", cause).clients == (OWA,)


def test_outlook_desktop_is_classic_with_less_certainty() -> None:
    vague = read(impact="Users can't connect with the Outlook desktop client.")
    exact = read(impact="Users can't connect with the classic Outlook desktop client.")
    assert vague.clients == exact.clients == (CLASSIC,)
    assert vague.client_weights[CLASSIC] < exact.client_weights[CLASSIC] == 1.0
    assert 0 < vague.client_weights[C.OUTLOOK_WINDOWS_NEW] < 0.5


def test_other_methods_not_impacted_excludes_all_that_are_not_named() -> None:
    advisory = read(
        impact="Users can't connect with IMAP4, but other connection methods were not impacted."
    )
    assert advisory.clients == (C.IMAP4,)
    assert {OWA, IOS, CLASSIC, C.POP3} <= set(advisory.excluded_clients)
    assert C.IMAP4 not in advisory.excluded_clients


@pytest.mark.parametrize(
    "sentence",
    [
        "Outlook on the web isn't affected.",
        "Outlook on the web is not impacted and may be used meanwhile.",
        "Users can use Outlook on the web as a workaround.",
        "While we work on it, users can still access email through Outlook on the web.",
        "Outlook on the web is unaffected.",
        "Users are able to connect through Outlook on the web.",
        "Outlook on the web continues to work as expected.",
        "Outlook on the web works.",
    ],
)
def test_what_still_works_is_excluded(sentence: str) -> None:
    advisory = read(impact="Users can't connect with the Outlook mobile apps.")
    with_post = read(
        "Users may be unable to access their mailboxes",
        "Users can't connect with the Outlook mobile apps.",
        f"More info: {sentence}",
    )
    assert with_post.clients == advisory.clients == (ANDROID, IOS)
    assert with_post.excluded_clients == (OWA,)


def test_what_no_longer_works_is_affected() -> None:
    assert read(impact="Outlook on the web no longer works.").clients == (OWA,)


def test_what_is_affected_elsewhere_is_not_excluded() -> None:
    post = "More info: Users of the Outlook desktop client can use Outlook on the web."
    advisory = read("t", "Users can't connect with the Outlook desktop client.", post)
    assert (advisory.clients, advisory.excluded_clients) == ((CLASSIC,), (OWA,))


def test_any_connection_method() -> None:
    advisory = read(impact="Users can't connect through any Exchange Online connection method.")
    assert advisory.all_clients
    assert advisory.clients == ()
    later = read("t", "Users can't connect through any connection method.",
                 "More info: Only IMAP4 fails; other connection methods are not affected.")  # fmt: skip
    assert not later.all_clients
    assert later.clients == (C.IMAP4,)


def test_a_migration_from_imap_names_no_imap_client() -> None:
    advisory = read(
        "Admins can't migrate some user mailboxes from IMAP in the Exchange admin center"
    )
    assert advisory.clients == ()
    assert advisory.symptom is Symptom.ADMIN


@pytest.mark.parametrize(
    ("title", "symptom"),
    [
        ("Users may be unable to access their Exchange Online mailboxes", Symptom.ACCESS),
        ("Users can\u2019t sign in to Outlook on the web", Symptom.ACCESS),
        ("Some users have problems connecting to Outlook", Symptom.ACCESS),
        ("Users can't access archived email messages in Outlook on the web", Symptom.FEATURE),
        ("MailTips may show Free/Busy wrongly in Outlook desktop", Symptom.FEATURE),
        ("Users' search results may be empty", Symptom.FEATURE),
        ("Users may see delays sending and receiving email messages", Symptom.MAIL_FLOW),
        ("Some messages are marked as phishing and quarantined", Symptom.FILTERING),
        ("Valid email is flagged as spam", Symptom.FILTERING),
        ("Admins may be unable to access the Microsoft 365 admin center", Symptom.ADMIN),
        ("Something is odd", Symptom.UNKNOWN),
    ],
)
def test_symptom(title: str, symptom: Symptom) -> None:
    assert read(title).symptom is symptom


def test_the_symptom_of_a_vague_title_comes_from_the_posts() -> None:
    post = "More info: Affected users are unable to access their mailbox."
    assert read("Exchange Online incident", "", post).symptom is Symptom.ACCESS


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("Exchange Online", (Service.EXCHANGE_ONLINE,)),
        ("Microsoft Teams", (Service.TEAMS,)),
        ("Microsoft Copilot (Microsoft 365)", (Service.COPILOT,)),
        ("Microsoft 365 suite", ()),
        ("Microsoft Forms", (Service.OTHER,)),
        ("Something New", None),
    ],
)
def test_service_names(service: str, expected: tuple[Service, ...] | None) -> None:
    assert service_names(service) == expected


def test_services_and_clients_of_a_suite_advisory() -> None:
    loud = read(
        "Users can't access several services",
        "Affected: Microsoft Teams, SharePoint Online, Outlook desktop client, Outlook on the Web.",
        service="Microsoft 365 suite",
    )
    assert set(loud.services) == {Service.TEAMS, Service.SHAREPOINT}
    assert set(loud.clients) == {C.TEAMS, CLASSIC, OWA}
    web = read("Users can't access Office.com and Copilot", service="Microsoft 365 suite")
    assert set(web.services) == {Service.OFFICE_WEB, Service.COPILOT}
    assert set(web.clients) == {C.OFFICE_WEB, C.COPILOT}
    # Teams beside Exchange, no client named: not Teams alone.
    both = read(
        "Users can't use Microsoft Teams and Exchange Online", service="Microsoft 365 suite"
    )
    assert both.clients == ()


def test_a_service_named_beside_the_advisorys_own_is_not_affected_by_it() -> None:
    post = "More info: The Microsoft Teams calendar depends on it."
    assert read("t", "", post).services == (Service.EXCHANGE_ONLINE,)


@pytest.mark.parametrize(
    ("scope", "regions"),
    [
        ("Users in the United Kingdom may be affected.", {"GB"}),
        ("Users served from North America and Germany.", {"north_america", "DE"}),
        ("Any user may be affected, though those in Europe see it most.", set()),
        ("Users in France are not affected.", set()),
    ],
)
def test_regions(scope: str, regions: set[str]) -> None:
    assert set(read("t", "", f"Scope of impact: {scope}").regions) == regions


def test_times_are_kept_apart() -> None:
    advisory = read(
        "t",
        "",
        "Start time: Wednesday, March 4, 2026, at 9:00 AM UTCNext update by: Thursday, "
        "March 5, 2026, at 1:00 PM UTC",
        "Start time: Monday, February 23, 2026, at 2:00 PM UTC",
    )
    assert advisory.text_start_at == datetime(2026, 2, 23, 14, tzinfo=UTC)
    assert advisory.first_published_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert advisory.start_at is None


@pytest.mark.parametrize(
    ("text", "restored"),
    [
        ("Final status: We've confirmed that the issue is resolved.", True),
        ("Final status: We watched the service and impact was remediated.", True),
        ("Current status: Service has been restored.", True),
        ("Final status: A fix is out.End time: Monday, March 2, 2026, at 2:00 PM UTC", True),
        ("Current status: We expect the issue to be resolved tomorrow.", False),
        ("Current status: We're monitoring to ensure the issue is resolved.", False),
        ("Current status: Service is restored for some users.", False),
        ("Current status: The issue isn't resolved.", False),
        ("Current status: The issue has not been resolved.", False),
        ("Current status: We'll provide an update once the impact is mitigated.", False),
    ],
)
def test_declared_restorations(text: str, restored: bool) -> None:  # noqa: FBT001 # a parameter
    advisory = read("t", "", "Current status: We're looking.", text)
    assert (advisory.restored_at is not None) == restored
    if restored:
        assert advisory.restored_at == datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("status", ["serviceRestored", "ServiceRestored", "SERVICERESTORED"])
def test_a_status_declares_restoration_in_any_case(status: str) -> None:
    advisory = read("t", "", "Current status: Looking.", status=status)
    assert advisory.is_resolved
    assert advisory.restored_at == datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize("status", ["falsePositive", "FalsePositive"])
def test_false_positives_by_status(status: str) -> None:
    assert read(status=status).is_false_positive


def test_false_positives_by_word() -> None:
    taken_back = "Final status: We've determined that the service was operating normally."
    assert read("t", "", taken_back).is_false_positive
    assert not read("t", "", taken_back, "More info: It is back.").is_false_positive


def test_references_to_other_advisories() -> None:
    advisory = read(
        "t", "", "More info: This continues EX900000; EX900001 is this one; see MC12345."
    )
    assert advisory.refers_to == ("EX900000",)


def test_every_row_of_the_table_is_found_as_itself() -> None:
    table: Vocabulary = vocabulary()
    for phrase in table.phrases:
        found = list(table.find(f"the {phrase.text.upper()} thing", phrase.only_service))
        assert phrase in found, phrase.text
        assert phrase.source, phrase.text


def test_every_region_of_the_table_is_known_to_the_matcher() -> None:
    for phrase in vocabulary().phrases:
        for region in phrase.regions:
            assert region in REGION_COUNTRIES or (len(region) == 2 and region.isupper())
