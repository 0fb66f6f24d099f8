"""The HTTP server, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    import socket
    from types import TracebackType

    from starlette.types import ASGIApp

# What matters of a request is counted and logged by pipeline.web.guard, without its query.
logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5
# Further connections get 503 at once, before they cost memory.
_CONNECTIONS: Final = 200


class WebServer:
    """Serves an application while it is entered.

    Args:
        app: to serve.
        listening: a bound socket; it is closed at the end.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                access_log=False,
                backlog=_CONNECTIONS,
                http="h11",
                interface="asgi3",
                lifespan="off",
                limit_concurrency=_CONNECTIONS,
                log_config=None,
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
                ws="none",
            )
        )
        self._thread = threading.Thread(target=self._run, name="web")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            FatalError: it does not start.
        """
        self._thread.start()
        until = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                self._stop()
                raise FatalError("the web server does not start; --debug shows why")
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Answer what was asked, for some seconds, and stop."""
        self._stop()

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
