"""Webhooks: signed, dated, and known again by their key."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
import requests

from connectors.sinks.encoders.encoder import key_text
from connectors.sinks.webhook import WebhookSink, signature
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError
from tests.contracts.sink_checks import CUT
from tests.services.server import Reply
from tests.services.webhooks import SECRET, WINDOW_SECONDS
from tests.sinks.notices import notice, opened, record
from tests.sinks.people_cases import webhook_receiver
from tests.sinks.records import record as flag_or_incident


@contextmanager
def posting(**options):
    receiver = webhook_receiver(**options)
    try:
        yield receiver.sink(), receiver
    finally:
        receiver.close()


def test_the_document_arrives_whole_and_signed():
    with posting() as (sink, receiver):
        sink.deliver([notice()])
        assert receiver.service.documents == {"inc-33c65910ec91c732:1": notice()}
        headers = receiver.service.requests[-1].headers
        assert headers["idempotency-key"] == "inc-33c65910ec91c732:1"
        assert headers["outrider-kind"] == "notice"
        assert headers["outrider-signature"].startswith("t=1773913200,kid=2026-03,v1=")


def test_flags_and_incidents_can_go_the_same_way():
    with posting() as (sink, receiver):
        sink.deliver([flag_or_incident("flag-1", 1), flag_or_incident("inc-1", 1)])
        assert receiver.accepted() == [("flag-1", 1), ("inc-1", 1)]


def test_a_signature_is_hmac_sha256_over_time_and_body():
    # By another program: printf '1773913200.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
    assert signature("0123456789abcdef", 1773913200, b"{}") == (
        "d7d37203552b42fb173b3a841c115953f33a842d92a155fbe57370dae01d1453"
    )


def test_what_was_recorded_is_refused_when_it_is_played_again_later():
    with posting() as (sink, receiver):
        sink.deliver([notice()])
        seen = receiver.service.requests[-1]
        names = ("outrider-signature", "idempotency-key", "content-type")
        headers = {name: seen.headers[name] for name in names}

        def play_again(body):
            return requests.post(seen.url, data=body, headers=headers, timeout=5).status_code

        assert play_again(seen.body) == 409
        assert play_again(seen.body.replace(b"high", b"low ")) == 401
        receiver.wait(WINDOW_SECONDS + 1)
        assert play_again(seen.body) == 401


def test_a_new_secret_is_told_by_its_name():
    with posting() as (_, receiver):
        receiver.service.keys["2026-04"] = "another-secret-0123456789"
        for key_id, secret in receiver.service.keys.items():
            sink = WebhookSink(
                lambda: receiver.service.address,
                lambda secret=secret: secret,
                key_id=key_id,
                clock=receiver.service.clock,
            )
            sink.deliver([record(key_id, 1)])
            sink.close()
        assert receiver.accepted() == [("2026-03", 1), ("2026-04", 1)]


def test_a_document_whose_answer_was_lost_comes_with_the_same_key_and_the_same_bytes():
    with posting() as (sink, receiver):
        receiver.fail(CUT)
        with pytest.raises(RetriableError):
            sink.deliver([notice()])
        receiver.fail(None)
        receiver.service.clock.advance(timedelta(seconds=60))
        assert receiver.sink().deliver([notice()]).accepted == [("inc-33c65910ec91c732", 1)]
        first, second = receiver.service.bodies
        assert first == second
        assert len(receiver.service.documents) == 1


def test_hostile_text_breaks_neither_header_nor_body():
    odd = "a\r\nX-Evil: 1\u202e\x00|=\ud800"
    with posting() as (sink, receiver):
        document = {**notice(opened(headline=odd)), "notice_id": odd}
        assert sink.deliver([document]).accepted == [(odd, 1)]
        assert "x-evil" not in receiver.service.requests[-1].headers
        assert receiver.service.documents[key_text(odd, 1)] == document


@pytest.mark.parametrize("secret", ["", "too short", "x" * 15])
def test_a_secret_that_could_be_guessed_is_not_used(secret):
    with posting() as (_, receiver):
        sink = WebhookSink(lambda: receiver.service.address, lambda: secret)
        with pytest.raises(FatalError, match="at least 16 bytes"):
            sink.deliver([notice()])
        assert not receiver.service.requests


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, "accepted"),
        (202, "accepted"),
        (204, "accepted"),
        (301, FatalError),
        (400, "rejected"),
        (401, AuthError),
        (403, AuthError),
        (404, FatalError),
        (409, "accepted"),
        (410, FatalError),
        (413, "rejected"),
        (422, "rejected"),
        (429, ThrottledError),
        (500, RetriableError),
        (503, RetriableError),
    ],
)
def test_each_answer_has_its_consequence(status, error):
    with posting() as (sink, receiver):
        receiver.service.broken = Reply(status, headers={"Retry-After": "5"})
        if isinstance(error, str):
            assert getattr(sink.deliver([notice()]), error) == [("inc-33c65910ec91c732", 1)]
            return
        with pytest.raises(error) as told:
            sink.deliver([notice()])
        assert SECRET not in repr(told.value)


def test_numbers_that_json_has_no_word_for_are_refused():
    with posting() as (sink, _):
        document = {**notice(), "score": float("nan")}
        assert sink.deliver([document]).rejected == [("inc-33c65910ec91c732", 1)]
