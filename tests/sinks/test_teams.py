"""Cards in Teams: whole, small, and without a will of their own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connectors.sinks.teams import MOST_BYTES, TeamsSink, card, envelope
from pipeline.model.errors import FatalError, RetriableError, ThrottledError
from tests.services.teams import SIGNATURE, parts, runs, said
from tests.sinks.notices import LINK, MESSAGE, group, notice, opened, record, resolved
from tests.sinks.people_cases import teams_receiver


@contextmanager
def posting():
    receiver = teams_receiver()
    try:
        yield receiver.sink(), receiver
    finally:
        receiver.close()


def test_a_card_tells_title_reason_facts_and_where_to_look():
    with posting() as (sink, receiver):
        sink.deliver([notice()])
        (made,) = receiver.service.cards
    told = runs(made)
    assert told[0].startswith("HIGH: Outlook for iOS")
    assert told[1] == "This has just been found."
    assert told[2:5] == ["Who", "74 users of Exchange Online, 68 user-hours lost", "Clients"]
    assert told[-1] == "inc-33c65910ec91c732, revision 1"
    assert made["body"][0]["style"] == "attention"
    assert made["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open the incident", "url": LINK}
    ]
    assert made["version"] == "1.5"


def test_what_is_over_is_green_and_says_so():
    made = card(MESSAGE(resolved()))
    assert made["body"][0]["style"] == "good"
    assert runs(made)[0].startswith("OVER (was high): ")
    assert runs(made)[1] == "It is over: users work as usual again."


def test_a_group_lists_its_incidents():
    told = runs(card(MESSAGE(group())))
    assert told[0] == "HIGH: 3 incidents: Exchange Online"
    assert sum(text.startswith("• HIGH") for text in told) == 3


def test_text_of_a_log_makes_no_link_no_mention_and_no_date():
    hostile = "[click](https://evil.example) <at>everyone</at> {{DATE(2026-01-01T00:00:00Z)}} @{x}"
    made = card(MESSAGE(notice(opened(headline=hostile))))
    # Markdown is read in other elements; here there is none of them.
    kinds = {part["type"] for part in parts(made)}
    assert kinds == {
        "AdaptiveCard", "Container", "RichTextBlock", "TextRun", "ColumnSet", "Column",
    }  # fmt: skip
    assert set(made["msteams"]) == {"width"}, "entities would make mentions"
    text = json.dumps(made)
    assert "{{DATE" not in text
    assert "@{" not in text
    assert "[click](https://evil.example)" in text, "it is shown as it came"


@pytest.mark.parametrize("char", ["\U0001f600", '"', "\u0416", "a"])
def test_a_card_stays_small_whatever_it_tells_and_keeps_the_facts_longest(char):
    message = MESSAGE(notice())
    large = replace(
        message,
        title=char * 300,
        reason=char * 300,
        facts=tuple((q, char * 600) for q, _ in message.facts),
        evidence_for=(char * 300,) * 5,
        evidence_against=(char * 300,) * 5,
        incidents=(char * 300,) * 11,
        link="https://outrider.example.com/" + "x" * 1900,
    )
    body = envelope(large)
    assert len(body) <= MOST_BYTES
    told = runs(json.loads(body)["attachments"][0]["content"])
    assert "Who" in told
    assert "Advisory" in told
    if len(body) < len(envelope(replace(large, evidence_for=(), evidence_against=()))):
        raise AssertionError("evidence was kept where facts were cut")


def test_no_message_is_too_long_for_a_card():
    endless = replace(
        MESSAGE(notice()),
        title="\U0001f600" * 70_000,
        facts=tuple((f"{n}" * 5000, "\U0001f600" * 70_000) for n in range(50)),
        reference="x" * 70_000,
        link="https://outrider.example.com/" + "x" * 70_000,
    )
    assert len(envelope(endless)) <= MOST_BYTES


def test_four_cards_a_second_and_the_rest_later():
    with posting() as (sink, receiver):
        wanted = [record(f"inc-{n}", 1) for n in range(6)]
        done = sink.deliver(wanted)
        assert len(done.accepted) == 4
        assert 0 < done.retry_after <= 1
        with pytest.raises(ThrottledError):
            sink.deliver(wanted[4:])
        receiver.wait(done.retry_after)
        assert len(sink.deliver(wanted[4:]).accepted) == 2


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "TriggerInputSchemaMismatch", None),
        (400, "WorkflowTriggerIsNotEnabled", FatalError),
        (401, "DirectApiAuthorizationRequired", FatalError),
        (403, "", FatalError),
        (404, "WorkflowNotFound", FatalError),
        (408, "", RetriableError),
        (413, "RequestEntityTooLarge", None),
        (429, "TooManyRequests", ThrottledError),
        (500, "InternalServerError", RetriableError),
        (502, "NoResponse", RetriableError),
        (504, "GatewayTimeout", RetriableError),
    ],
)
def test_each_answer_has_its_consequence(status, code, error):
    with posting() as (sink, receiver):
        receiver.service.broken = said(status, code, {"Retry-After": "7"})
        if error is None:
            assert sink.deliver([notice()]).rejected == [("inc-33c65910ec91c732", 1)]
            return
        with pytest.raises(error) as told:
            sink.deliver([notice()])
        if error is not FatalError:
            assert told.value.retry_after == 7
        assert "Microsoft Teams: " in str(told.value)


def test_a_workflow_that_is_switched_off_is_told_with_its_remedy():
    with posting() as (sink, receiver):
        receiver.service.enabled = False
        with pytest.raises(FatalError, match=r"switched off .*; switch it on in"):
            sink.deliver([notice()])


@pytest.mark.parametrize(
    "address",
    [
        f"http://outrider.example.com/?sig={SIGNATURE}",
        f"{SIGNATURE}",
        f"https://user:{SIGNATURE}@outrider.example.com/",
        f"https://[{SIGNATURE}/",
        "",
    ],
)
def test_an_address_that_is_none_is_told_without_being_shown(address):
    with pytest.raises(FatalError, match="its address must") as told:
        TeamsSink(lambda: address, MESSAGE).deliver([notice()])
    assert SIGNATURE not in repr(told.value) + repr(told.value.__cause__)


def test_a_new_address_is_used_at_once():
    with posting() as (_, first), posting() as (_, second):
        addresses = iter([first.service.address, second.service.address])
        sink = TeamsSink(lambda: next(addresses), MESSAGE)
        sink.deliver([record("inc-1", 1)])
        sink.deliver([record("inc-1", 2)])
        sink.close()
        assert first.accepted() == [("inc-1", 1)]
        assert second.accepted() == [("inc-1", 2)]


def test_a_document_of_a_newer_program_is_refused_and_the_others_go_on():
    with posting() as (sink, receiver):
        odd = {**record("inc-1", 1), "state": "unheard of"}
        done = sink.deliver([odd, record("inc-2", 1)])
        assert done.rejected == [("inc-1", 1)]
        assert receiver.accepted() == [("inc-2", 1)]
