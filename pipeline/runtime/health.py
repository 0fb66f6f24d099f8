"""``/metrics``, ``/healthz`` and ``/readyz`` of a live run, on a thread of their own."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType

    from pipeline.runtime.metrics import Metrics

# A loop turns at least once a second; a commit to a slow disk or broker may take some.
_STUCK_SECONDS: Final = 120.0


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
        listen: ``HOST:PORT``; port 0 takes a free one.
        health: of the loop.
        metrics: of the loop.
    """

    def __init__(self, listen: str, health: Health, metrics: Metrics) -> None:
        host, _, port = listen.rpartition(":")
        if not port.isdigit():
            raise ConfigError(f"{listen!r} is no HOST:PORT; write 127.0.0.1:9464, say")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = _answer(self.path, health, metrics)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Scrapes are not worth a line each."""

        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
        except OSError as error:
            raise ConfigError(f"cannot listen on {listen}: {error.strerror}") from error
        self._server.daemon_threads = True

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


def _answer(path: str, health: Health, metrics: Metrics) -> tuple[int, str, bytes]:
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()
    if path not in {"/healthz", "/readyz"}:
        return 404, "text/plain", b"see /metrics, /healthz and /readyz\n"
    good = health.alive and (path == "/healthz" or (health.ready and health.problem is None))
    told = {"alive": health.alive, "ready": health.ready, "problem": health.problem}
    told |= {"remark": health.remark} if health.remark else {}
    return 200 if good else 503, "application/json", json.dumps(told).encode() + b"\n"
