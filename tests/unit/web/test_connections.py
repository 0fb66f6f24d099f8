"""Connections of browsers: who does not finish asking goes, who asks stays."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time

import pytest

from pipeline.runtime.listening import Address
from pipeline.web import server as tested
from tests.unit.web.serving import site


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tested, "_REQUEST_SECONDS", 0.5)
    with site(tmp_path, count=0) as made:
        yield made


def seconds_until_closed(connection, word, *, every=0.2):
    began = time.monotonic()
    connection.settimeout(every)
    while time.monotonic() - began < 10:
        try:
            connection.sendall(word)
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:  # closed while a word was on its way
            break
    else:
        pytest.fail("the connection is still open")
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "word"),
    [
        (b"", b""),
        (b"", b"x"),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X: y\r\n"),
        (b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n", b"x"),
    ],
    ids=["says nothing", "a letter at a time", "a header at a time", "a body that does not come"],
)
def test_who_does_not_finish_asking_is_sent_away(place, first, word):
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.sendall(first)
        assert seconds_until_closed(connection, word) < 5
    assert place.ask("/healthz").status == 200


def test_a_second_request_has_no_longer_than_the_first(place):
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert seconds_until_closed(connection, b"x") < 5


def test_who_asks_now_and_then_keeps_the_connection(place):
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    connection.connect()
    held = connection.sock
    for _ in range(4):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        time.sleep(0.4)
    assert connection.sock is held  # the client makes another one where it was closed
    connection.close()


def test_an_answer_may_take_longer_than_asking(monkeypatch):
    monkeypatch.setattr(tested, "_REQUEST_SECONDS", 0.5)

    async def slow(_scope, _receive, send):
        await asyncio.sleep(1.5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    with tested.WebServer(slow, Address("127.0.0.1", 0).listen()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"late"
        connection.close()
