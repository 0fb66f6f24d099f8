"""Slack: one thread for each incident, also over restarts and lost answers; nobody is pinged."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connectors.sinks.memory import Forgetful
from connectors.sinks.slack import SlackSink
from connectors.sinks.slack_blocks import MOST_CHARACTERS, content
from pipeline.ledger.notes import Notes
from pipeline.ledger.store import Ledger
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError
from pipeline.model.notice import NoticeReason
from tests.contracts.sink_checks import CUT, DOWN
from tests.services.server import Reply
from tests.services.slack import CHANNEL, TOKEN, is_block, no, texts_of
from tests.sinks.notices import LINK, MESSAGE, group, notice, opened, record, resolved
from tests.sinks.people_cases import slack_receiver, slack_webhook_receiver


@contextmanager
def posting(receiver=None):
    receiver = receiver or slack_receiver()
    try:
        yield receiver.sink(), receiver
    finally:
        receiver.close()


def threads(service):
    """By the first message's ts, the number of its replies."""
    found = {m["ts"]: 0 for m in service.messages.values() if "thread_ts" not in m}
    for message in service.messages.values():
        if "thread_ts" in message:
            found[message["thread_ts"]] += 1
    return list(found.values())


def test_the_first_notice_begins_a_thread_and_the_others_stand_in_it():
    with posting() as (sink, receiver):
        sink.deliver([record("inc-1", 1), record("inc-2", 1), record("inc-1", 2)])
        receiver.wait(5)
        sink.deliver([record("inc-1", 3)])
        assert sorted(threads(receiver.service)) == [0, 2]


def test_the_first_message_is_kept_up_to_date_and_the_end_is_told_to_all():
    with posting() as (sink, receiver):
        sink.deliver([notice(), notice(opened(revision=2), reason=NoticeReason.SPREAD), resolved()])
        first, spread, over = receiver.service.messages.values()
        assert first["blocks"][0]["text"]["text"].startswith("🟢 OVER (was high): ")
        assert spread["reply_broadcast"] is False
        assert over["reply_broadcast"] is True
        assert over["thread_ts"] == first["ts"]


def test_a_restart_finds_the_thread_in_the_ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    notes = Notes(ledger.path, "slack.oncall")
    with posting(slack_receiver(notes)) as (sink, receiver):
        sink.deliver([record("inc-1", 1)])
        receiver.sink().deliver([record("inc-1", 2)])
        assert threads(receiver.service) == [1]
    notes.close()
    ledger.close()


def test_what_comes_again_after_a_restart_is_not_posted_again():
    with posting() as (sink, receiver):
        sink.deliver([record("inc-1", 1), record("inc-1", 2)])
        receiver.wait(5)
        again = receiver.sink().deliver([record("inc-1", 1), record("inc-1", 2)])
        assert list(again.accepted) == [("inc-1", 1), ("inc-1", 2)]
        assert receiver.accepted() == [("inc-1", 1), ("inc-1", 2)]


@pytest.mark.parametrize("revision", [1, 2])
def test_a_lost_answer_is_looked_up_and_posted_once(revision):
    with posting() as (sink, receiver):
        if revision == 2:
            sink.deliver([record("inc-1", 1)])
        # Of the second notice the first request brings the thread's head up to date.
        receiver.fail(CUT, after=revision - 1)
        with pytest.raises(RetriableError):
            sink.deliver([record("inc-1", revision)])
        receiver.fail(None)
        assert receiver.sink().deliver([record("inc-1", revision)]).accepted == [
            ("inc-1", revision)
        ]
        assert receiver.accepted().count(("inc-1", revision)) == 1
        receiver.wait(5)
        receiver.sink().deliver([record("inc-1", 3)])
        assert threads(receiver.service) == [revision], "all stand in one thread"


def test_a_bot_that_may_not_read_posts_again_with_the_same_reference():
    with posting() as (sink, receiver):
        receiver.service.scopes = {"chat:write"}
        receiver.fail(CUT)
        with pytest.raises(RetriableError):
            sink.deliver([record("inc-1", 1)])
        receiver.fail(None)
        receiver.sink().deliver([record("inc-1", 1)])
        assert receiver.accepted() == [("inc-1", 1)] * 2
        last = [list(texts_of(m["blocks"]))[-1]["text"] for m in receiver.service.messages.values()]
        assert last == ["inc-1, revision 1"] * 2


def test_a_request_that_never_arrived_is_posted_once():
    with posting() as (sink, receiver):
        receiver.fail(DOWN)
        with pytest.raises(RetriableError):
            sink.deliver([record("inc-1", 1)])
        receiver.fail(None)
        sink.deliver([record("inc-1", 1)])
        assert receiver.accepted() == [("inc-1", 1)]


def test_a_thread_whose_head_was_deleted_begins_anew():
    with posting() as (sink, receiver):
        sink.deliver([record("inc-1", 1)])
        receiver.service.messages.clear()
        assert sink.deliver([record("inc-1", 2)]).accepted == [("inc-1", 2)]
        assert threads(receiver.service) == [0]


@pytest.mark.parametrize("error", ["edit_window_closed", "cant_update_message"])
def test_a_head_that_is_too_old_to_change_still_gets_its_reply(error):
    with posting() as (sink, receiver):
        sink.deliver([record("inc-1", 1)])
        receiver.service.update = lambda _sent: no(error)
        sink.deliver([record("inc-1", 2)])
        assert threads(receiver.service) == [1]


def test_another_channel_begins_threads_of_its_own():
    memory = Forgetful()
    memory.put("inc-1", {"to": "C0OTHER", "channel": "C0OTHER", "ts": "1.000001", "done": 4})
    with posting(slack_receiver(memory)) as (sink, receiver):
        assert sink.deliver([record("inc-1", 4)]).accepted == [("inc-1", 4)]
        assert memory.get("inc-1")["to"] == CHANNEL
        assert threads(receiver.service) == [0]


HOSTILE = (
    "<!channel> <!here> <@U0123ABC> @everyone &lt;!channel&gt; <https://evil.example|click> :boom:"
)


@pytest.mark.parametrize("build", [slack_receiver, slack_webhook_receiver])
def test_text_of_a_log_pings_nobody_and_makes_no_link(build):
    with posting(build()) as (sink, receiver):
        sink.deliver([notice(opened(headline=HOSTILE))])
        assert not receiver.service.pings
        (sent,) = [*receiver.service.messages.values(), *receiver.service.posted]
        assert "&lt;!channel&gt;" in sent["text"]
        texts = list(texts_of(sent["blocks"]))
        marked = {t["text"] for t in texts if t["type"] == "mrkdwn"}
        link = f"<{LINK.replace('&', '&amp;')}|Open the incident>"
        questions = {"Who", "Clients", "Where", "Since", "Still works", "Whose fault", "Advisory"}
        assert marked == {link, *(f"*{q}*" for q in questions)}, "only words of ours are marked up"
        assert all(t["emoji"] is False for t in texts if t["type"] == "plain_text")
        assert sent["unfurl_links"] is False


@pytest.mark.parametrize("char", ["\U0001f600", "&", "<", "a", '"'])
def test_blocks_stay_within_their_limits_whatever_they_tell(char):
    message = MESSAGE(group(12))
    large = replace(
        message,
        title=char * 300,
        reason=char * 5000,
        facts=tuple((q, char * 3000) for q, _ in message.facts),
        evidence_for=(char * 4000,) * 9,
        incidents=(char * 3000,) * 60,
    )
    made = content(large)
    assert len(made["blocks"]) <= 50
    assert all(map(is_block, made["blocks"]))
    assert len(json.dumps(made["blocks"], ensure_ascii=False)) <= MOST_CHARACTERS
    assert len(made["text"]) <= 3010
    assert any("*Who*" in t["text"] for t in texts_of(made["blocks"]))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_auth", FatalError),
        ("token_revoked", FatalError),
        ("missing_scope", FatalError),
        ("channel_not_found", FatalError),
        ("not_in_channel", FatalError),
        ("is_archived", FatalError),
        ("ratelimited", ThrottledError),
        ("internal_error", RetriableError),
        ("fatal_error", RetriableError),
        ("invalid_blocks", None),
        ("msg_blocks_too_long", None),
        ("something_new", None),
    ],
)
def test_each_error_of_a_method_has_its_consequence(error, kind):
    with posting() as (sink, receiver):
        receiver.service.error = error
        if kind is None:
            assert sink.deliver([record("inc-1", 1)]).rejected == [("inc-1", 1)]
            return
        with pytest.raises(kind, match=error):
            sink.deliver([record("inc-1", 1)])


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, b"invalid_payload", None),
        (400, b"user_not_found", None),
        (403, b"action_prohibited", AuthError),
        (404, b"channel_not_found", FatalError),
        (404, b"no_service", FatalError),
        (410, b"channel_is_archived", FatalError),
        (429, b"rate_limited", ThrottledError),
        (500, b"rollup_error", RetriableError),
        (503, b"<html>", RetriableError),
    ],
)
def test_each_answer_of_a_webhook_has_its_consequence(status, word, kind):
    with posting(slack_webhook_receiver()) as (sink, receiver):
        receiver.service.broken = Reply(status, body=word, headers={"Retry-After": "9"})
        if kind is None:
            assert sink.deliver([record("inc-1", 1)]).rejected == [("inc-1", 1)]
            return
        with pytest.raises(kind) as told:
            sink.deliver([record("inc-1", 1)])
        if isinstance(told.value, RetriableError):
            assert told.value.retry_after == 9


def test_slack_is_asked_no_sooner_than_it_wants():
    with posting() as (sink, receiver):
        receiver.service.broken = Reply(
            429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "31"}
        )
        with pytest.raises(ThrottledError) as told:
            sink.deliver([record("inc-1", 1), record("inc-2", 1)])
        assert told.value.retry_after == 31
        assert len(receiver.service.requests) == 1


def test_a_page_that_is_no_json_is_tried_again():
    with posting() as (sink, receiver):
        receiver.service.broken = Reply(200, body=b"<html>proxy</html>")
        with pytest.raises(RetriableError, match="without JSON"):
            sink.deliver([record("inc-1", 1)])


def test_a_token_that_no_header_can_hold_is_told_without_being_shown():
    sink = SlackSink(lambda: f"{TOKEN}\nx", CHANNEL, MESSAGE, address="http://localhost:9")
    with pytest.raises(FatalError, match="line end") as told:
        sink.deliver([record("inc-1", 1)])
    assert TOKEN not in repr(told.value)
    sink.close()
