"""Services on loopback that behave as the documents of the real ones say, troubles included.

A service is a :class:`Service` with an ``answer``; :func:`serving` runs it behind a real HTTP
server. :class:`Faults` throws in what every service does now and then, by a seed.
"""

from __future__ import annotations

import json
import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Request(NamedTuple):
    method: str
    path: str  # without the query, unquoted
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    url: str  # as asked, with the query


@dataclass
class Reply:
    """``cut``: hang up after so many bytes of the body, though its whole length was announced."""

    status: int = 200
    document: object = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None

    @property
    def bytes(self):
        if self.body is not None:
            return self.body
        return b"" if self.document is None else json.dumps(self.document).encode()


@dataclass
class Faults:
    """Chances of trouble for each request, drawn in the order in which they come."""

    seed: int = 0
    throttled: float = 0.0
    failing: float = 0.0
    hung_up: float = 0.0
    cut: float = 0.0
    retry_after: str = "1"

    def __post_init__(self):
        self._random = random.Random(self.seed)
        self.dealt = {"throttled": 0, "failing": 0, "hung_up": 0, "cut": 0}

    def deal(self):
        """One of the troubles, or None."""
        draw = self._random.random()
        for name in self.dealt:
            chance = getattr(self, name)
            if draw < chance:
                self.dealt[name] += 1
                return name
            draw -= chance
        return None


class ServiceClock:
    """The services' time; ``speed`` simulated seconds pass in a real one, 0 = only when told."""

    def __init__(self, start, *, speed=0.0):
        self._start, self._speed = start, speed
        self._began = datetime.now(UTC)
        self.ahead = timedelta(0)

    def now(self):
        return self._start + self.ahead + self._speed * (datetime.now(UTC) - self._began)

    def advance(self, by):
        self.ahead += by


class Service:
    """A service; ``requests`` holds what it was asked, ``broken`` answers everything instead.

    ``skew`` is how far its clock, as its Date header tells it, is ahead.
    """

    def __init__(self, clock, faults=None):
        self.clock, self.faults = clock, faults or Faults()
        self.requests = []
        self.broken = None
        self.skew = timedelta(0)
        self.root = ""
        self.lock = threading.RLock()

    def answer(self, request):
        raise NotImplementedError  # each service has its own

    def throttle(self):
        return Reply(
            429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": self.faults.retry_after}
        )

    def handle(self, request):
        """The reply to a request, None = hang up."""
        with self.lock:
            self.requests.append(request)
            if self.broken is not None:
                return self.broken(request) if callable(self.broken) else self.broken
            trouble = self.faults.deal()
            if trouble == "hung_up":
                return None
            if trouble == "throttled":
                return self.throttle()
            if trouble == "failing":
                return Reply(503, {"error": {"code": "serviceNotAvailable"}})
            reply = self.answer(request)
            if trouble == "cut":
                reply.cut = len(reply.bytes) // 2
            return reply


@contextmanager
def serving(service, tls=None):
    """Serve until the block ends: over HTTPS with the context ``tls``, else over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body go in two packets: 40 ms by the kernel

        def go(self):
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {k.lower(): v for k, v in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            request = Request(
                self.command, unquote(parts.path), query, headers, body, service.root + self.path
            )
            reply = service.handle(request)
            if reply is None:
                self.close_connection = True
                return
            content = reply.bytes
            self.send_response_only(reply.status)
            told = format_datetime(service.clock.now() + service.skew, usegmt=True)
            sent = {"Date": told, "Content-Type": "application/json", **reply.headers}
            for name, value in {**sent, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.cut is not None:
                content, self.close_connection = content[: reply.cut], True
            self.wfile.write(content)

        do_GET = do_POST = do_HEAD = go  # noqa: N815 # names of the base class

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_args: None  # a client that was killed hangs up
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.root = f"http{'s' * (tls is not None)}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
