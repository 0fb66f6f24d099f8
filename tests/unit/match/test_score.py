from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.relist import continues, later_ids
from pipeline.match.score import THRESHOLD, client_overlap, score
from pipeline.model.vocabulary import Client, Service, Verdict
from tests.unit.match.making import T0, WHO, advisory, at, incident, spoken

C = Client


def value(ours: object, theirs: object) -> float:
    match = score(ours, theirs)  # type: ignore[arg-type] # built by the makers
    return 0.0 if match is None else match.score


def test_the_advisory_of_the_outage_fits_with_reasons_and_leads() -> None:
    issue = advisory(posts=((66, f"{WHO}<br>Start time: {spoken(at(1))}"),), start=60)
    match = score(incident(), issue)
    assert match is not None
    assert match.score > 0.9
    assert match.lead_seconds == 65 * 3600
    assert match.start_used == "text"
    assert match.lead_seconds_start == 3600
    text = " | ".join(match.reasons)
    for part in ("Exchange Online", "3 of our 3 clients", "1 h 0 min after our onset",
                 "symptom: access", "2 d 17 h after we raised"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(("start", "text", "used"), [
    (-5, None, "api"), (70, -5, "text"), (70, None, "first_post"), (-9, -5, "api"),
])  # fmt: skip
def test_the_earliest_start_is_used(start: float, text: float | None, used: str) -> None:
    told = WHO if text is None else f"{WHO}<br>Start time: {spoken(at(text))}"
    match = score(incident(), advisory(posts=((66, told),), start=start))
    assert match is not None
    assert match.start_used == used


def test_a_late_detection_has_a_negative_lead() -> None:
    match = score(incident(raised=100), advisory())
    assert match is not None
    assert match.lead_seconds == -34 * 3600
    assert any("34 h 0 min before we raised" in r for r in match.reasons)


def test_a_false_positive_cancels() -> None:
    assert value(incident(), advisory()) > THRESHOLD
    assert score(incident(), advisory(status="FalsePositive")) is None


@pytest.mark.parametrize(
    "title",
    [
        "Users can't access archived email messages in Outlook mobile",
        "Users' search results may be empty in Outlook mobile",
        "Valid email is flagged as spam in Outlook mobile",
        "Admins can't see reports in the Microsoft 365 admin center",
        "Users may see delays sending and receiving email messages",
    ],
)
def test_only_access_matches_an_access_outage(title: str) -> None:
    assert score(incident(), advisory(title=title)) is None


def test_mail_flow_may_match_authenticated_smtp() -> None:
    issue = advisory(title="Users may see delays sending email messages", posts=((2, "Looking."),))
    assert value(incident(clients=(C.SMTP_AUTH,)), issue) >= THRESHOLD
    assert score(incident(clients=(C.OWA,)), issue) is None


def test_another_service_is_ruled_out_and_the_suite_weighs_less() -> None:
    near = ((2.0, WHO),)
    assert (
        score(
            incident(), advisory(posts=near, service="Microsoft Teams", title="Users can't sign in")
        )
        is None
    )
    suite = advisory(posts=near, service="Microsoft 365 suite")
    assert THRESHOLD <= value(incident(), suite) < value(incident(), advisory(posts=near))


def test_identity_reaches_every_service() -> None:
    issue = advisory(
        posts=((2, "Looking."),), service="Microsoft Entra", title="Users can't sign in"
    )
    assert issue.services == (Service.IDENTITY,)
    assert value(incident(), issue) >= THRESHOLD


def test_no_client_named_weighs_less_and_may_still_match() -> None:
    vague = advisory(posts=((2, "Looking."),))
    exact = advisory(posts=((2, WHO),))
    assert THRESHOLD <= value(incident(), vague) < value(incident(), exact)


def test_an_excluded_client_does_not_match() -> None:
    post = "More info: Only IMAP4 users are hit; other connection methods are not impacted."
    assert score(incident(), advisory(posts=((2, post),))) is None
    assert value(incident(clients=(C.IMAP4,)), advisory(posts=((2, post),))) >= THRESHOLD


def test_outlook_on_the_web_on_phones_is_not_outlook_mobile() -> None:
    post = "More info: Outlook on the web through Android and iOS devices fails."
    issue = advisory(posts=((2, post),))
    assert score(incident(clients=(C.OUTLOOK_ANDROID, C.OUTLOOK_IOS)), issue) is None
    assert value(incident(clients=(C.OWA,)), issue) > 0.8


def test_coarse_and_fine_mac_are_one_and_siblings_are_not() -> None:
    weights = {C.OUTLOOK_MAC_NEW: 1.0}
    assert client_overlap([C.OUTLOOK_MAC], weights) == 1.0
    assert client_overlap([C.OUTLOOK_MAC_NEW], weights) == 1.0
    assert 0 < client_overlap([C.OUTLOOK_MAC_LEGACY], weights) < 0.5
    assert client_overlap([C.OWA], weights) == 0.0


def test_vague_wording_of_the_desktop_client_weighs_less() -> None:
    ours = incident(clients=(C.OUTLOOK_WINDOWS_CLASSIC,))
    vague = advisory(posts=((2, "More info: The Outlook desktop client fails."),))
    exact = advisory(posts=((2, "More info: Classic Outlook desktop client fails."),))
    assert THRESHOLD <= value(ours, vague) < value(ours, exact)


def test_part_of_the_named_clients_is_enough() -> None:
    assert value(incident(clients=(C.OUTLOOK_IOS,)), advisory()) >= THRESHOLD


@pytest.mark.parametrize(("resolved", "start", "fits"), [
    (5, 2, True), (5, 10, True), (5, 40, False), (None, 66, True),
])  # fmt: skip
def test_times_must_touch_within_a_day(resolved: float | None, start: float, fits: bool) -> None:  # noqa: FBT001 # a parameter
    issue = advisory(posts=((start, WHO),))
    assert (score(incident(resolved=resolved), issue) is not None) == fits


def test_an_advisory_long_over_does_not_match() -> None:
    done = advisory(posts=((-200, WHO), (-150, "Final status: The issue is resolved.")))
    assert score(incident(), done) is None
    still_open = advisory(posts=((-200, WHO),))
    assert score(incident(), still_open) is not None
    forgotten = advisory(posts=((-31 * 24, WHO),), modified=-31 * 24)
    assert score(incident(), forgotten) is None


def test_regions_decide_where_the_countries_are_known() -> None:
    issue = advisory(posts=((2, f"{WHO} Users in the United Kingdom see it."),))
    inside = value(incident(countries=(("GB", 50),)), issue)
    unknown = value(incident(), issue)
    assert inside > unknown > THRESHOLD
    assert score(incident(countries=(("DE", 50),)), issue) is None
    america = advisory(posts=((2, f"{WHO} Users in North America see it."),))
    assert score(incident(countries=(("US", 40), ("CA", 10))), america) is not None


def test_our_own_verdict_weighs() -> None:
    ours = incident()
    other = replace(ours, verdict=Verdict.TENANT_CHANGE)
    issue = advisory(posts=((2, WHO),))
    assert value(other, issue) < value(ours, issue)


@given(
    clients=st.sets(st.sampled_from(list(Client))),
    weights=st.dictionaries(st.sampled_from(list(Client)), st.floats(0.1, 1.0)),
)
def test_the_overlap_is_a_share(clients: set[Client], weights: dict[Client, float]) -> None:
    found = client_overlap(clients, weights)
    assert 0.0 <= found <= 1.0
    if clients and {*clients} == {*weights} and set(weights.values()) == {1.0}:
        assert found == pytest.approx(1.0)


def relisted() -> tuple[object, object]:
    first = advisory("EX900001", ((66, WHO), (300, "Final status: The issue is resolved.")))
    again = advisory("EX900002", ((380, f"{WHO}<br>Start time: {spoken(T0)}"),), start=380)
    return first, again


def test_a_relisting_is_known_by_its_fingerprint_and_its_start_in_the_past() -> None:
    first, again = relisted()
    assert continues(again, first)
    assert not continues(first, again)
    assert later_ids(first, [again, first]) == ("EX900002",)


def test_a_new_outage_of_the_same_clients_is_no_relisting() -> None:
    first, _ = relisted()
    fresh = advisory("EX900003", ((380, f"{WHO}<br>Start time: {spoken(at(379))}"),))
    assert not continues(fresh, first)


def test_a_relisting_may_name_its_forerunner_instead() -> None:
    first, _ = relisted()
    named = advisory("EX900004", ((380, "More info: Continues EX900001."),))
    other = advisory(
        "EX900005", ((380, "More info: Not like EX900001."),), service="Microsoft Teams"
    )
    assert continues(named, first)
    assert not continues(other, first)


def test_other_clients_are_no_relisting() -> None:
    first, _ = relisted()
    other = advisory("EX900006", ((380, f"More info: IMAP4.<br>Start time: {spoken(T0)}"),))
    assert not continues(other, first)


def test_lists_are_followed_through_each_other() -> None:
    one = advisory("EX900001", ((10, WHO),))
    two = advisory("EX900002", ((50, "More info: Continues EX900001."),))
    three = advisory("EX900003", ((90, "More info: Continues EX900002."),))
    assert later_ids(one, [three, one, two]) == ("EX900002", "EX900003")
