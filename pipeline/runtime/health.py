"""``/metrics``, ``/healthz`` and ``/readyz`` of a live run, on a thread of their own."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from pipeline.runtime.listening import Address

if TYPE_CHECKING:
    from types import TracebackType

    from pipeline.runtime.metrics import Metrics

# A loop turns at least once a second; a commit to a slow disk or broker may take some.
_STUCK_SECONDS: Final = 120.0
# Each connection holds a thread. Whoever asks from beside us needs milliseconds, also for all
# metrics of a busy worker; one that says nothing, or a letter at a time, may not stay.
_CONNECTION_SECONDS: Final = 5.0


@dataclass(slots=True)
class Health:
    """What the loop says of itself; read by another thread.

    ``problem`` is why it does no work now, ``ready`` whether it has begun to, ``remark`` what
    works not as it should while the rest goes on.
    """

    ready: bool = False
    problem: str | None = None
    remark: str | None = None
    turned_at: float = field(default_factory=time.monotonic)

    def turn(self) -> None:
        """The loop has come round."""
        self.turned_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop still turns."""
        return time.monotonic() - self.turned_at < _STUCK_SECONDS


class HealthServer:
    """Serves the three addresses while it is entered.

    Args:
        listen: ``HOST:PORT``, an IPv6 host in brackets; port 0 takes a free one.
        health: of the loop.
        metrics: of the loop.

    Raises:
        ConfigError: that is no address, or nobody can listen there.
    """

    def __init__(self, listen: str, health: Health, metrics: Metrics) -> None:
        address = Address.of(listen)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.wfile.write(self.head())

            def do_HEAD(self) -> None:
                self.head()

            def head(self) -> bytes:
                """Send what goes before the body; gives the body."""
                path = self.path.partition("?")[0]
                status, kind, body = _answer(path, health, metrics)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                return body

            def log_message(self, *_: Any) -> None:
                """Scrapes are not worth a line each."""

        self._server = _Server(address.listen(), Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Start to serve."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Ends every connection after some seconds, whatever it is doing.

    Args:
        listening: a bound socket; it is closed at the end.
        handler: of the requests.
    """

    def __init__(self, listening: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("", 0), handler, bind_and_activate=False)
        self.socket.close()  # its family is fixed, and that of an address is not
        self.socket, self.server_address = listening, listening.getsockname()
        self._began: dict[socket.socket, float] = {}
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own."""
        self._began[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It was answered, or could not be."""
        self._began.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Twice a second: wake the threads whose time is over."""
        over = time.monotonic() - _CONNECTION_SECONDS
        for connection, began in list(self._began.items()):
            if began < over:
                with suppress(OSError):  # it has ended just now
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who went away, or was sent away, before the answer is no fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _answer(path: str, health: Health, metrics: Metrics) -> tuple[int, str, bytes]:
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()
    if path not in {"/healthz", "/readyz"}:
        return 404, "text/plain", b"see /metrics, /healthz and /readyz\n"
    ready = health.ready and health.problem is None
    good = health.alive and (path == "/healthz" or ready)
    problem = health.problem or (None if health.ready else "it is still starting")
    told = {"alive": health.alive, "ready": ready, "problem": problem}
    told |= {"remark": health.remark} if health.remark else {}
    return 200 if good else 503, "application/json", json.dumps(told).encode() + b"\n"
