"""A receiver of syslog over TLS, as the receiver of its sink."""

from __future__ import annotations

import json
import ssl
import threading

import trustme

from connectors.sinks.encoders.plain import JSON
from connectors.sinks.syslog import SyslogSink
from connectors.sinks.syslog_connection import Receiver
from connectors.sinks.syslog_frame import Messages
from tests.contracts.sink_checks import CUT, DENIED, DOWN, REFUSE, SinkCase
from tests.services.syslog import SyslogServer
from tests.sinks.records import record

# Nothing in syslog says "later", and on a connection that is kept nobody can tell whether an
# answer was lost: there is none.
KEPT_CAN = frozenset({DOWN, DENIED, REFUSE})
CAN = KEPT_CAN | {CUT}


class Collector:
    """The service, and certificates for it."""

    def __init__(self, folder, *, confirmed):
        authority = trustme.CA()
        self.ca_file, self.confirmed = folder / "ca.pem", confirmed
        authority.cert_pem.write_to_path(self.ca_file)
        self.open, self.closed = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
        for context in (self.open, self.closed):
            authority.issue_cert("localhost").configure_cert(context)
        # It asks for a certificate, and we have none.
        self.closed.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(self.closed)
        self.server, self.down, self.sinks = SyslogServer(self.open), False, []

    def sink(self):
        receiver = Receiver("localhost", self.server.port, ca_file=self.ca_file)
        messages = Messages(JSON, hostname="here")
        self.sinks.append(SyslogSink(receiver, messages, seconds=5, confirmed=self.confirmed))
        return self.sinks[-1]

    def accepted(self):
        # What its system has is on its way to its program.
        while True:
            before = len(self.server.accepted)
            threading.Event().wait(0.05)
            if len(self.server.accepted) == before:
                return self.server.keys

    def text(self, key):
        (message,) = [m for m in self.server.accepted if m.key == key]
        return json.loads(message.text)["headline"]

    def fail(self, kind, after=0):
        assert after == 0
        if kind == DOWN and not self.down:
            self.server.stop("reset")
        elif kind != DOWN and self.down:
            self.server.start()
        self.down = kind == DOWN
        self.server.at_end = "reset" if kind == CUT else "close"
        self.server.tls = self.closed if kind == DENIED else self.open

    def refuse(self, document):
        """A document of a newer program: the frame has no words for it."""
        return document | {"severity": "apocalyptic"}

    def wait(self, seconds):
        assert 0 <= seconds < 60

    def close(self):
        for sink in self.sinks:
            sink.close()
        if not self.down:
            self.server.stop()


def made(tmp_path, *, confirmed):
    def make():
        collector = Collector(tmp_path, confirmed=confirmed)
        return collector.sink(), collector

    return SinkCase(make=make, document=record, shown=lambda text: text)


def case(tmp_path):
    return made(tmp_path, confirmed=True)


def kept_case(tmp_path):
    return made(tmp_path, confirmed=False)
