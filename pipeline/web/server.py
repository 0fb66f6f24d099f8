"""The HTTP server, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.certificates import load_pair
from pipeline.model.errors import ConfigError, FatalError
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    import socket
    from pathlib import Path
    from types import TracebackType

    from starlette.types import ASGIApp

    from pipeline.runtime.config_serve import Serve

# What matters of a request is counted and logged by pipeline.web.guard, without its query.
logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5
# Further connections get 503 at once, before they cost memory.
_CONNECTIONS: Final = 200
# A whole request: browsers send one at once. Whoever does not would hold a connection for ever, and
# 200 of them would keep everybody else out.
_REQUEST_SECONDS: Final = 10.0
# A request of which something is missing still.
_ASKING: Final = frozenset({h11.IDLE, h11.SEND_BODY})


class Certificate(NamedTuple):
    """What a server shows to browsers: PEM files, and the key's password if it is encrypted."""

    certificate: Path
    key: Path
    password: str | None


def certificate(serve: Serve) -> Certificate | None:
    """The certificate of a section; None = the server speaks plain HTTP.

    Raises:
        ConfigError: a file cannot be read, or certificate and key do not fit.
    """
    if serve.certificate_file is None or serve.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    password = load_pair(context, serve.certificate_file, serve.key_file, lambda: _password(serve))
    return Certificate(serve.certificate_file, serve.key_file, password)


def _password(serve: Serve) -> str:
    if serve.key_password_file is None:
        raise ConfigError(
            f"{serve.key_file}: the key is encrypted; name the file with its password: "
            "serve.key_password_file"
        )
    return read_secret(
        serve.key_password_file, "", "the password of the key", "serve.key_password_file"
    )


class _Asking(H11Protocol):
    """Ends a connection on which a request takes too long to come; answers may take their time.

    Uvicorn itself ends one that is quiet after an answer, and waits for ever for a first request,
    and for the rest of any.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there, and has not asked yet."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self.conn.their_state not in _ASKING:
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(_REQUEST_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class WebServer:
    """Serves an application while it is entered.

    Args:
        app: to serve.
        listening: a bound socket; it is closed at the end.
        tls: this server's certificate; None = plain HTTP.
    """

    def __init__(
        self, app: ASGIApp, listening: socket.socket, tls: Certificate | None = None
    ) -> None:
        self._socket = listening
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                access_log=False,
                backlog=_CONNECTIONS,
                http=_Asking,
                interface="asgi3",
                lifespan="off",
                limit_concurrency=_CONNECTIONS,
                log_config=None,
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_keyfile=None if tls is None else tls.key,
                ssl_keyfile_password=None if tls is None else tls.password,
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
