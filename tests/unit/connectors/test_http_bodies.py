"""Bytes that are posted, answers of any status, and headers that hold a secret."""

from __future__ import annotations

import gzip
import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from connectors.http.answers import RefusedError
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from pipeline.model.clock import ManualClock
from pipeline.model.errors import AuthError, ConfigError, PacedError, RetriableError
from tests.services.server import Reply, Service, serving

SECRET = "Splunk token-of-the-tests-3Fv"  # noqa: S105 # of a service that lives for a minute
NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)


class Echo(Service):
    reply = Reply(document={"fine": True})

    def answer(self, _request):
        return self.reply


@pytest.fixture
def echo():
    with serving(Echo(ManualClock(NOW))) as service:
        yield service


@pytest.fixture
def asking(echo):
    made = []

    def make(**options):
        made.append(HttpClient("Sink", echo.root, clock=ManualClock(NOW), **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_bytes_go_as_they_are(echo, asking):
    asking().post("a", body=b"\x00{}\n", headers={"Content-Type": "application/x-ndjson"})
    (request,) = echo.requests
    assert request.body == b"\x00{}\n"
    assert request.headers["content-type"] == "application/x-ndjson"
    assert "content-encoding" not in request.headers


def test_bytes_can_be_packed_and_the_same_bytes_give_the_same_body(echo, asking):
    client = asking()
    for _ in range(2):
        client.post("a", body=b"x" * 1000, packed=True)
    one, two = echo.requests
    assert one.headers["content-encoding"] == "gzip"
    assert gzip.decompress(one.body) == b"x" * 1000
    assert one.body == two.body
    assert one.body[4:8] == bytes(4), "the time of packing"
    assert len(one.body) < 100


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 503])
def test_an_answer_of_any_status_can_be_read(echo, asking, status):
    echo.reply = Reply(status, {"code": 6, "invalid-event-number": 2})
    answer = asking().post("a", body=b"x", any_status=True)
    assert answer.status == status
    assert answer.document("x") == {"code": 6, "invalid-event-number": 2}
    assert "invalid-event-number" not in repr(answer)
    assert echo.root not in repr(answer)


def test_without_asking_for_it_a_failure_is_raised(echo, asking):
    echo.reply = Reply(400, {"code": 6})
    with pytest.raises(RefusedError):
        asking().post("a", body=b"x")


def test_no_answer_is_raised_all_the_same(echo, asking):
    echo.broken = lambda _request: None
    with pytest.raises(RetriableError, match="no whole answer"):
        asking().post("a", body=b"x", any_status=True)


def test_a_pause_that_is_asked_for_holds_the_budget_also_where_the_caller_reads_it(echo, asking):
    echo.reply = Reply(429, {}, {"Retry-After": "60"})
    client = asking(budget=Budget(5, 1.0, "Sink"))
    answer = client.post("a", body=b"x", any_status=True)
    assert client.wait(answer) == 60
    with pytest.raises(PacedError):
        client.post("a", body=b"x")
    assert len(echo.requests) == 1


def test_a_pause_is_told_in_seconds_or_as_a_date_or_not_at_all(echo, asking):
    client = asking()
    date = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    for text, seconds in (("2.5", 2.5), (date, 90.0), ("soon", 30.0), ("99999999", 3600.0)):
        echo.reply = Reply(503, {}, {"Retry-After": text})
        assert client.wait(client.get("a", any_status=True)) == seconds
    echo.reply = Reply(503)
    assert client.wait(client.get("a", any_status=True)) is None


@pytest.mark.parametrize(
    "reply", [Reply(), Reply(401), Reply(503), None, Reply(200, body=b"ab", cut=1)]
)
def test_a_header_with_a_secret_goes_with_each_request_and_shows_nowhere(
    echo, asking, reply, caplog
):
    caplog.set_level(logging.DEBUG)
    echo.broken = reply if reply is not None else lambda _request: None
    client, shown = asking(secret_headers=lambda: {"Authorization": SECRET}), ""
    try:
        shown += repr(client.post("a", body=b"x"))
    except (RetriableError, RefusedError) as error:
        shown += "".join(traceback.format_exception(error)) + repr(error)
    assert echo.requests[0].headers["authorization"] == SECRET
    assert SECRET.split()[1] not in shown + caplog.text + repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    "text", ["Splunk a\nb-3Fv", "Splunk \u20ac3Fv", "Splunk \xe43Fv", "", " 3Fv"]
)
def test_a_secret_that_no_header_can_hold_is_told_without_it(echo, asking, text):
    client = asking(secret_headers=lambda: {"Authorization": text})
    with pytest.raises(ConfigError, match="the secret in Authorization holds") as caught:
        client.post("a", body=b"x", any_status=True)
    assert "3Fv" not in "".join(traceback.format_exception(caught.value))
    assert not echo.requests


class Tokens:
    def __init__(self):
        self.given, self.refused = 0, []

    def token(self, scope):
        assert scope == "s"
        self.given += 1
        return f"t{len(self.refused)}"

    def refuse(self, _scope, token):
        self.refused.append(token)


def test_a_refused_token_is_renewed_once_and_the_second_answer_can_be_read(echo, asking):
    tokens = Tokens()
    echo.reply = Reply(401, {"error": {"code": "InvalidToken"}})
    client = asking(tokens=tokens, scope="s")
    assert client.post("a", body=b"x", any_status=True).status == 401
    assert [r.headers["authorization"] for r in echo.requests] == ["Bearer t0", "Bearer t1"]
    with pytest.raises(AuthError, match="refuses a new token"):
        client.post("a", body=b"x")
    echo.broken = lambda r: Reply(401 if r.headers["authorization"] == "Bearer t2" else 200)
    assert client.post("a", body=b"x").status == 200
