"""What Azure Storage asks of the HTTP client: hidden parameters, ranges, codes in XML."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime

import pytest

from connectors.http.answers import RefusedError, error_code
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from pipeline.model.clock import ManualClock
from pipeline.model.errors import AuthError, RetriableError, ThrottledError
from tests.services.server import Reply, Service, serving

HIDDEN = "c2lnbmF0dXJl+/="
SHOWN_AS = "c2lnbmF0dXJl%2B%2F%3D"
NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)
DENIED = b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>AuthorizationFailure</Code></Error>'


class Echo(Service):
    """Answers what ``reply`` is."""

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
        options.setdefault("secret", lambda: {"sig": HIDDEN})
        made.append(HttpClient("Storage", echo.root, clock=ManualClock(NOW), **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def shown(error):
    return "".join(traceback.format_exception(error)) + repr(error)


def test_a_hidden_parameter_goes_with_each_request_and_shows_in_no_answer(echo, asking, caplog):
    caplog.set_level(logging.DEBUG)
    client = asking()
    answers = [client.get("a", params={"b": "c"}), client.get(f"{echo.root}/d?e=f")]
    assert [r.query for r in echo.requests] == [
        {"b": "c", "sig": HIDDEN},
        {"e": "f", "sig": HIDDEN},
    ]
    assert SHOWN_AS in echo.requests[0].url
    for text in (repr(answers), caplog.text, repr(client)):
        assert HIDDEN not in text
        assert SHOWN_AS not in text
    assert "sig" not in answers[0].url


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(403, body=DENIED), RefusedError),
        (Reply(503, body=DENIED), RetriableError),
        (Reply(429), ThrottledError),
        (None, RetriableError),
        (Reply(200, body=b"12345", cut=2), RetriableError),
    ],
)
def test_a_hidden_parameter_shows_in_no_error(echo, asking, reply, kind):
    echo.broken = reply if reply is not None else lambda _: None
    with pytest.raises(kind) as caught:
        asking().get("a", params={"b": "c"})
    assert HIDDEN not in shown(caught.value)
    assert SHOWN_AS not in shown(caught.value)


def test_what_gives_the_hidden_parameter_may_refuse(echo, asking):
    def expired():
        raise AuthError("it has expired")

    with pytest.raises(AuthError, match="it has expired"):
        asking(secret=expired).get("a")
    assert not echo.requests


def test_a_part_is_an_answer_and_one_that_is_not_there_a_refusal(echo, asking):
    client = asking()
    echo.reply = Reply(206, body=b"45", headers={"Content-Range": "bytes 3-4/9"})
    answer = client.get("a", headers={"Range": "bytes=3-4", "Accept": "*/*"})
    assert (answer.status, answer.body) == (206, b"45")
    assert answer.headers["content-range"] == "bytes 3-4/9"
    assert echo.requests[0].headers["accept"] == "*/*"
    echo.reply = Reply(416, body=b"<Error><Code>InvalidRange</Code></Error>")
    with pytest.raises(RefusedError) as caught:
        client.get("a", headers={"Range": "bytes=9-"})
    assert (caught.value.status, caught.value.code) == (416, "InvalidRange")


def test_a_code_is_found_in_xml_and_in_a_header(echo, asking):
    assert error_code(DENIED.decode()) == "AuthorizationFailure"
    assert error_code("<Error><Message>Code</Message></Error>") == ""
    echo.reply = Reply(404, headers={"x-ms-error-code": "Container<Not>Found"})
    with pytest.raises(RefusedError) as caught:
        asking().get("a")
    assert caught.value.code == "ContainerNotFound"


def test_a_busy_account_holds_everybody_who_shares_the_budget(echo, asking):
    now = [0.0]
    budget = Budget(100, 1.0, "storage", monotonic=lambda: now[0])
    echo.reply = Reply(503, body=b"<Error><Code>ServerBusy</Code></Error>")
    with pytest.raises(ThrottledError) as caught:
        asking(budget=budget).get("a")
    assert caught.value.retry_after == 30
    now[0] = 29.0
    with pytest.raises(ThrottledError, match="asked for a pause"):
        asking(budget=budget).get("a")
    assert len(echo.requests) == 1
