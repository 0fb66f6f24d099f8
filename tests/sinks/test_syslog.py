"""Syslog over TLS to a strict receiver that hangs up, stalls, restarts and refuses certificates."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from connectors.sinks import syslog, syslog_connection
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.syslog import SyslogSink
from connectors.sinks.syslog_connection import Receiver
from connectors.sinks.syslog_frame import Messages
from pipeline.model.errors import AuthError, ConfigError, FatalError, RetriableError
from tests.services.syslog import SyslogServer
from tests.sinks.records import record
from tests.unit.connectors.encoded import (
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)

EACH = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


class Files:
    """An authority, the receiver's certificate and ours."""

    def __init__(self, folder):
        self.folder, self.ca, self.stranger = folder, trustme.CA(), trustme.CA()
        self.ca_file = self.write("ca.pem", self.ca.cert_pem)
        self.stranger_file = self.write("stranger.pem", self.stranger.cert_pem)
        self.ours = self.pair("ours", self.ca.issue_cert("outrider.example.net"))
        self.unknown = self.pair("unknown", self.stranger.issue_cert("outrider.example.net"))

    def write(self, name, *blobs):
        path = self.folder / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return path

    def pair(self, name, issued):
        return {
            "certificate_file": self.write(f"{name}.pem", *issued.cert_chain_pems),
            "key_file": self.write(f"{name}.key", issued.private_key_pem),
        }

    def tls(self, *names, mutual=False, newest=None, **issue):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("localhost", "127.0.0.1")), **issue).configure_cert(context)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        if newest is not None:
            context.maximum_version = newest
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("syslog"))


@pytest.fixture
def serve(files):
    held = []

    def start(tls=None, **more):
        held.append(SyslogServer(tls or files.tls(), **more))
        return held[-1]

    yield start
    for server in held:
        server.stop()


@pytest.fixture
def make(files):
    held = []

    def start(server, form="json", *, seconds=5.0, confirmed=False, octets=8192, **receiver):
        told = {"host": "localhost", "port": server.port, "ca_file": files.ca_file, **receiver}
        messages = Messages(FORMS[form], octets=octets, hostname="monitor.example.net")
        held.append(SyslogSink(Receiver(**told), messages, seconds=seconds, confirmed=confirmed))
        return held[-1]

    yield start
    for sink in held:
        sink.close()


def revisions(*numbers, name="inc-1"):
    return [record(name, number) for number in numbers]


def keys(documents):
    return [key_of(document) for document in documents]


def until(true, seconds=5.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not come"
        time.sleep(0.005)


@EACH
def test_each_form_arrives_in_a_message_that_tells_its_key(form, serve, make):
    server = serve()
    documents = [incident(), flag(), hostile_incident(), hostile_flag()]
    documents = [d | {"revision": n} for n, d in enumerate(documents, 1)]
    done = make(server, form.name).deliver(documents)
    assert (done.accepted, done.rejected, done.retry_after) == (keys(documents), [], None)
    until(lambda: len(server.accepted) == 4)
    assert server.keys == keys(documents)
    assert [form.key(message.text) for message in server.accepted] == keys(documents)
    assert server.errors == []


def test_the_header_tells_when_from_where_what_and_how_bad(serve, make):
    server = serve()
    make(server).deliver([incident(), flag()])
    until(lambda: len(server.accepted) == 2)
    first, second = server.accepted
    assert (first.facility, first.severity, first.kind) == (16, 3, "incident")
    assert (first.time, first.host, first.app, first.process) == (
        "2026-03-21T17:05:00.000000Z", "monitor.example.net", "outrider", "-",
    )  # fmt: skip
    assert first.data == {
        "outrider@32473": {
            "id": "inc-33c65910ec91c732",
            "revision": "4",
            "kind": "incident",
            "tenant": "9a3f1c52-7d1e-4a55-8f10-5d2c1b0a9f8e",
            "severity": "high",
            "verdict": "service_outage",
        }
    }
    assert (second.severity, second.kind) == (6, "flag")
    assert not {"severity", "verdict"} & set(second.data["outrider@32473"])


def test_what_no_size_can_hold_is_rejected_and_the_others_go_on(serve, make):
    server = serve()
    huge = record("inc-" + "x" * 9_000, 1)
    newer = record("inc-2", 1) | {"severity": "apocalyptic"}
    done = make(server).deliver([huge, newer, *revisions(1)])
    assert (done.accepted, done.rejected) == ([("inc-1", 1)], keys([huge, newer]))
    until(lambda: server.keys == [("inc-1", 1)])


def test_the_connection_is_kept(serve, make):
    server = serve()
    sink = make(server)
    for number in range(1, 6):
        sink.deliver(revisions(number))
    until(lambda: len(server.accepted) == 5)
    assert server.connections == 1


def test_in_plain_text_only_the_frames_are_the_same(serve, make):
    server = serve()
    server.tls = None
    make(server, tls=False).deliver(revisions(1, 2))
    until(lambda: server.keys == [("inc-1", 1), ("inc-1", 2)])


def test_a_portion_of_many_is_sent_in_pieces_in_order(serve, make):
    server = serve()
    wanted = revisions(*range(1, 151))
    assert make(server).deliver(wanted).accepted == keys(wanted)
    until(lambda: server.keys == keys(wanted))


def test_a_hangup_is_noticed_before_the_next_write_and_the_unsure_goes_again(serve, make):
    server = serve()
    sink = make(server)
    assert sink.deliver(revisions(1, 2)).accepted
    until(lambda: len(server.accepted) == 2)
    server.stop("reset")
    server.start()
    assert sink.deliver(revisions(3)).accepted == [("inc-1", 3)]
    until(lambda: len(server.accepted) == 5)
    assert [n for _, n in server.keys] == [1, 2, 1, 2, 3]


def test_what_the_receiver_dropped_unread_at_its_restart_is_not_lost(serve, make):
    server = serve()
    sink = make(server)
    sink.deliver(revisions(1))
    until(lambda: len(server.accepted) == 1)
    server.fault = lambda _count: "stall"
    # Its system acknowledges what its program never reads.
    assert sink.deliver(revisions(2)).accepted == [("inc-1", 2)]
    time.sleep(0.1)
    server.stop("reset")
    server.fault = lambda _count: None
    server.start()
    sink.deliver(revisions(3))
    until(lambda: len(server.accepted) == 4)
    assert [n for _, n in server.keys] == [1, 1, 2, 3]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_hangup_within_a_portion_loses_nothing(how, serve, make):
    server = serve()
    sink, wanted = make(server), revisions(*range(1, 41))
    troubles = iter([how])
    server.fault = lambda count: next(troubles, None) if count == 7 else None
    left = list(wanted)
    for _ in range(5):
        try:
            done = sink.deliver(left)
        except RetriableError:
            continue
        left = [d for d in left if key_of(d) not in done.accepted]
        if not left:
            break
    sink.deliver(revisions(41))
    until(lambda: set(server.keys) == set(keys([*wanted, *revisions(41)])))
    assert list(dict.fromkeys(server.keys)) == keys([*wanted, *revisions(41)])


def test_a_receiver_that_closes_for_idleness_gets_nothing_twice(serve, make, monkeypatch):
    monkeypatch.setattr(syslog_connection, "_QUIET_SECONDS", 0.05)
    server = serve()
    sink = make(server)
    sink.deliver(revisions(1))
    until(lambda: len(server.accepted) == 1)
    time.sleep(0.2)
    server.stop("close")
    server.start()
    sink.deliver(revisions(2))
    until(lambda: len(server.accepted) == 2)
    assert [n for _, n in server.keys] == [1, 2]


def test_a_connection_is_renewed_in_order_and_nothing_goes_again(serve, make, monkeypatch):
    monkeypatch.setattr(syslog, "_RENEW_OCTETS", 3_000)
    server = serve()
    sink = make(server)
    for number in range(1, 5):
        sink.deliver(revisions(number))
    until(lambda: len(server.accepted) == 4)
    assert [n for _, n in server.keys] == [1, 2, 3, 4]
    assert server.connections == 2


def test_confirmed_counts_only_what_was_read(serve, make):
    server = serve()
    sink = make(server, confirmed=True, seconds=1.0)
    assert sink.deliver(revisions(1)).accepted
    assert server.keys == [("inc-1", 1)]  # already here, without waiting
    server.fault = lambda _count: "stall"
    with pytest.raises(RetriableError, match="did not close"):
        sink.deliver(revisions(2))
    server.fault = lambda _count: None
    server.wake()
    assert sink.deliver(revisions(2)).accepted
    assert set(server.keys) == {("inc-1", 1), ("inc-1", 2)}


@pytest.mark.parametrize(("tls", "kills"), [(True, 100), (False, 40)], ids=["tls", "tcp"])
def test_a_hundred_kills_on_both_sides_lose_nothing_where_it_is_confirmed(
    tls, kills, serve, make, monkeypatch
):
    monkeypatch.setattr(syslog, "_SETTLING_SECONDS", 0.1)
    chance = random.Random(5)
    server = serve()
    server.tls = server.tls if tls else None
    more = {"confirmed": True, "seconds": 0.8, "tls": tls}
    sink, wanted, at = make(server, **more), revisions(*range(1, 401)), 0
    for _ in range(kills):
        kind = chance.choice(("well", "close", "reset", "restart", "killed"))
        broken, stop = chance.randrange(4), [kind]
        ends = len(server.accepted) + broken
        if kind in {"close", "reset"}:
            server.fault = lambda count, ends=ends, stop=stop: (
                stop.pop() if count >= ends and stop else None
            )
        if kind == "restart":
            server.stop(chance.choice(("close", "reset")))
            server.start()
        portion = wanted[at : at + chance.randrange(1, 5)]
        try:
            done = sink.deliver(portion)
        except RetriableError:
            done = None
        server.fault = lambda _count: None
        if kind == "killed":
            sink = make(server, **more)  # before anybody noted what was settled
        elif done is not None:
            at += len(done.accepted)
    assert at > kills / 2
    sink.deliver(wanted[at : at + 5])
    assert list(dict.fromkeys(server.keys)) == keys(wanted[: at + 5])
    assert not server.errors or all("cut off" in told for told in server.errors)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "tcp"])
def test_a_hundred_outages_of_the_receiver_lose_nothing_and_change_no_order(tls, serve, make):
    chance = random.Random(3)
    server = serve()
    server.tls = server.tls if tls else None
    sink, wanted, at = make(server, tls=tls), revisions(*range(1, 401)), 0
    for _ in range(100):
        kind, ends, stop = chance.choice(("well", "close", "reset", "restart")), [], []
        if kind in {"close", "reset"}:
            ends, stop = [len(server.accepted) + chance.randrange(4)], [kind]
        server.fault = lambda count, ends=ends, stop=stop: (
            stop.pop() if stop and count >= ends[0] else None
        )
        if kind == "restart":
            server.stop(chance.choice(("close", "reset")))
            server.start()
        try:
            at += len(sink.deliver(wanted[at : at + chance.randrange(1, 4)]).accepted)
        except RetriableError:
            continue
    # What was hung up on in the last of them shows at the next.
    server.fault = lambda _count: None
    for _ in range(3):
        time.sleep(0.1)
        at += len(sink.deliver(wanted[at : at + 1]).accepted)
    assert at > 100
    until(lambda: set(server.keys) == set(keys(wanted[:at])))
    assert list(dict.fromkeys(server.keys)) == keys(wanted[:at])


def test_a_receiver_that_reads_nothing_ends_the_call_in_time(serve, make):
    server = serve()
    server.fault = lambda _count: "stall"
    sink = make(server, seconds=0.5)
    wanted = revisions(*range(1, 9))
    # More than the buffers of both systems hold.
    for document in wanted:
        document["headline"] = "x" * 60_000
    sink._messages = Messages(FORMS["json"], octets=2**20, hostname="h")
    began, failed = time.monotonic(), None
    for n in range(200):
        try:
            sink.deliver([d | {"revision": 8 * n + d["revision"]} for d in wanted])
        except RetriableError as error:
            failed = error
            break
        began = time.monotonic()
    assert "no answer in time" in str(failed)
    assert time.monotonic() - began < 1.5


def test_a_port_that_takes_us_and_says_nothing_ends_the_call_in_time(make):
    with socket.create_server(("127.0.0.1", 0)) as silent:

        class Place:
            port = silent.getsockname()[1]

        began = time.monotonic()
        with pytest.raises(RetriableError, match="no answer in time"):
            make(Place, seconds=0.3).deliver(revisions(1))
        assert time.monotonic() - began < 1.0


def test_what_its_system_has_no_room_for_does_not_count(make):
    with socket.socket() as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        full.listen()

        class Place:
            port = full.getsockname()[1]

        # Our own system takes all of it at once.
        with pytest.raises(RetriableError, match="no answer in time"):
            make(Place, tls=False, seconds=0.4).deliver(revisions(*range(1, 21)))


def test_a_receiver_that_closes_in_order_what_it_has_not_read_gets_it_again(
    serve, make, monkeypatch
):
    monkeypatch.setattr(syslog_connection, "_QUIET_SECONDS", 0.0)
    server = serve()
    sink = make(server)
    sink.deliver(revisions(1))
    until(lambda: len(server.accepted) == 1)
    server.fault = lambda _count: "stall"
    wanted = revisions(*range(2, 27))
    while wanted:
        done = sink.deliver(wanted)
        wanted = [d for d in wanted if key_of(d) not in done.accepted]
    # The alert that closes TLS goes out, and then the reset of its system.
    server.stop("close")
    server.fault = lambda _count: None
    server.start()
    sink.deliver(revisions(27))
    until(lambda: set(server.keys) == {("inc-1", n) for n in range(1, 28)})


def test_a_certificate_that_is_refused_late_is_not_taken_for_a_delivery(files, make):
    tls = files.tls(mutual=True)
    with socket.create_server(("127.0.0.1", 0)) as slow:

        class Place:
            port = slow.getsockname()[1]

        def refuse():
            raw, _ = slow.accept()
            raw.recv(1, socket.MSG_PEEK)
            made = tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            made.settimeout(0)
            # What it lacks is to come; on a busy machine all of it may be there, and is refused.
            with suppress(ssl.SSLError):
                made.do_handshake()
            time.sleep(0.3)  # our side believes meanwhile that it is done
            made.settimeout(5)
            with suppress(ssl.SSLError):
                made.do_handshake()
            made.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(AuthError, match="certificate_file"):
            make(Place).deliver(revisions(1))
        thread.join()


def test_nothing_listening_is_told(serve, make):
    server = serve()
    server.stop()
    with pytest.raises(RetriableError, match="nothing listens there") as told:
        make(server).deliver(revisions(1))
    assert told.value.retry_after > 0
    server.start()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_certificate_is_shown_where_the_receiver_asks_for_one(newest, files, serve, make):
    server = serve(files.tls(mutual=True, newest=newest))
    make(server, **files.ours).deliver(revisions(1))
    until(lambda: server.keys == [("inc-1", 1)])
    with pytest.raises(AuthError, match="certificate"):
        make(server, **files.unknown).deliver(revisions(2))
    with pytest.raises(AuthError, match="certificate_file"):
        make(server).deliver(revisions(2))
    assert server.keys == [("inc-1", 1)]


def test_a_certificate_that_cannot_be_trusted_is_told_and_nothing_is_sent(files, serve, make):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for tls, told, more in [
        (files.tls("elsewhere.example.net"), "for another host name", {}),
        (files.tls("localhost", not_after=yesterday), "has expired", {}),
        (files.tls(), "not trusted", {"ca_file": files.stranger_file}),
        (files.tls(), "not trusted", {"ca_file": None}),
    ]:
        server = serve(tls)
        with pytest.raises(AuthError, match=told):
            make(server, **more).deliver(revisions(1))
        assert server.accepted == []


def test_a_receiver_that_speaks_no_tls_is_told(make):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        class Place:
            port = plain.getsockname()[1]

        sink = make(Place, seconds=2.0)

        def answer():
            made, _ = plain.accept()
            made.recv(10)
            made.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            made.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FatalError, match="speaks no TLS"):
            sink.deliver(revisions(1))
        thread.join()


def test_a_file_that_is_none_is_told_at_once_and_later(files, serve, make, tmp_path):
    server = serve()
    with pytest.raises(ConfigError, match="holds no authorities"):
        make(server, ca_file=files.ours["key_file"])
    path = tmp_path / "ca.pem"
    path.write_bytes(files.ca_file.read_bytes())
    sink = make(server, ca_file=path)
    path.unlink()
    with pytest.raises(FatalError, match="cannot be read"):
        sink.deliver(revisions(1))


def test_renewed_files_are_read_with_the_next_connection(files, serve, make, tmp_path):
    server = serve()
    path = tmp_path / "ca.pem"
    path.write_bytes(files.stranger_file.read_bytes())
    sink = make(server, ca_file=path)
    with pytest.raises(AuthError, match="not trusted"):
        sink.deliver(revisions(1))
    path.write_bytes(files.ca_file.read_bytes())
    assert sink.deliver(revisions(1)).accepted
