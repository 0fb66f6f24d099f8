"""The server of a role's health: where it listens, and how long it waits for who asks."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPConnection
from urllib.request import urlopen

import pytest

from pipeline.model.errors import ConfigError
from pipeline.runtime import health as tested
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.metrics import Metrics


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


SIX = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def server(listen, health=None):
    return HealthServer(listen, health or Health(), Metrics())


def status(host, port):
    with urlopen(f"http://{host}:{port}/healthz", timeout=30) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1:0", "127.0.0.1"),
        ("localhost:0", "localhost"),
        pytest.param("[::1]:0", "[::1]", marks=SIX),
        pytest.param("[::]:0", "[::1]", marks=SIX),
        pytest.param("[::]:0", "127.0.0.1", marks=SIX),  # all addresses, the old ones too
    ],
)
def test_it_listens_on_addresses_of_both_families(listen, asked):
    with server(listen) as there:
        assert status(asked, there.port) == 200


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:65536", "127.0.0.1:99999999999", "127.0.0.1", "9464", ":9464", "::1:9464"]
)
def test_what_is_no_address_is_refused_with_the_remedy(listen):
    with pytest.raises(ConfigError, match=r"write 127\.0\.0\.1:9464|in brackets"):
        server(listen)


def test_a_port_that_is_taken_is_named():
    with server("127.0.0.1:0") as there, pytest.raises(ConfigError, match=str(there.port)):
        server(f"127.0.0.1:{there.port}")


def said_until_closed(port, words, *, every):
    """Say a word now and then; what came back until the other side had enough, and when."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=every) as connection:
        for word in words:
            try:
                connection.sendall(word)
                found = connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:  # closed while a word was on its way
                found = b""
            return found, time.monotonic() - began
    pytest.fail("the connection is still open")


@pytest.mark.parametrize("word", [b"", b"x"], ids=["says nothing", "says a letter at a time"])
def test_who_does_not_finish_asking_is_sent_away(word, monkeypatch):
    monkeypatch.setattr(tested, "_CONNECTION_SECONDS", 0.5)
    with server("127.0.0.1:0") as there:
        found, seconds = said_until_closed(there.port, [word] * 50, every=0.2)
        assert found == b""
        assert 0.5 <= seconds < 5
        assert status("127.0.0.1", there.port) == 200


def test_the_end_does_not_wait_for_who_says_nothing():
    with server("127.0.0.1:0") as there:
        waiting = socket.create_connection(("127.0.0.1", there.port))
        began = time.monotonic()
    assert time.monotonic() - began < 3
    waiting.close()


def asked(there, method, path):
    connection = HTTPConnection("127.0.0.1", there.port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize(
    ("health", "status", "told"),
    [
        ({}, 503, {"ready": False, "problem": "it is still starting"}),
        ({"ready": True}, 200, {"ready": True, "problem": None}),
        ({"ready": True, "problem": "none"}, 503, {"ready": False, "problem": "none"}),
        ({"problem": "none"}, 503, {"ready": False, "problem": "none"}),
    ],
)
def test_what_is_told_of_readiness_agrees_with_its_status(health, status, told):
    with server("127.0.0.1:0", Health(**health)) as there:
        found, body = asked(there, "GET", "/readyz?verbose=1")
        assert (found, json.loads(body)) == (status, {"alive": True} | told)
        assert asked(there, "HEAD", "/readyz") == (status, b"")
        assert asked(there, "GET", "/healthz")[0] == 200
