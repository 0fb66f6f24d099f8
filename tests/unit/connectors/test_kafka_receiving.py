"""What comes of a broker's connection is handed on whole, and its end after it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest
import trustme
from kafka.errors import KafkaConnectionError

from connectors.kafka.watching import _received


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield SimpleNamespace(_sock=ours), theirs


def test_nothing_is_no_end(pair):
    assert _received(pair[0]) == (b"", None)


def test_the_end_of_a_connection_shows_after_what_came_before_it(pair):
    transport, broker = pair
    broker.sendall(b"a wrong password")
    broker.close()
    assert _received(transport) == (b"a wrong password", None)
    data, end = _received(transport)
    assert data == b""
    assert isinstance(end, KafkaConnectionError)


def test_an_error_of_the_connection_is_told(pair):
    transport, _ = pair
    transport._sock.close()
    data, end = _received(transport)
    assert (data, type(end)) == (b"", KafkaConnectionError)


def secured(pair):
    """Both ends with TLS, after the handshake."""
    authority = trustme.CA()
    server, client = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("broker").configure_cert(server)
    authority.configure_trust(client)
    transport, broker = pair
    transport._sock.setblocking(True)
    made = {}
    thread = threading.Thread(
        target=lambda: made.update(broker=server.wrap_socket(broker, server_side=True))
    )
    thread.start()
    ours = client.wrap_socket(transport._sock, server_hostname="broker")
    thread.join()
    ours.setblocking(False)
    return SimpleNamespace(_sock=ours), made["broker"]


@pytest.mark.parametrize("kind", [lambda pair: pair, secured], ids=["plain", "tls"])
def test_much_comes_in_several_turns_and_no_byte_waits_unseen(pair, kind):
    transport, broker = kind(pair)
    sent = bytes(range(256)) * 40_000
    thread = threading.Thread(target=broker.sendall, args=(sent,))
    thread.start()
    got, turns = bytearray(), 0
    with transport._sock, broker:
        while len(got) < len(sent):
            # As the client's loop: it reads where the system says that something is there.
            readable, _, _ = select.select([transport._sock], [], [], 10)
            assert readable, f"{len(sent) - len(got)} bytes wait where no loop sees them"
            data, end = _received(transport)
            assert end is None
            got += data
            turns += 1
        thread.join()
    assert got == sent
    assert turns > 1
