"""Around every request: who may ask, headers for browsers, errors in one form, and the count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers, MutableHeaders

from pipeline.model.errors import OutriderError
from pipeline.web.problems import ProblemError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.metrics import Metrics
    from pipeline.web.access import Access

# Whoever starts and stops the process has no token; these tell nothing but that it lives.
OPEN: Final = frozenset({"/healthz", "/readyz"})
METHODS: Final = ("GET", "HEAD")
_QUERY_BYTES: Final = 4096
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Authorization",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """ASGI middleware, the outermost one.

    Args:
        app: what answers.
        access: who may ask.
        metrics: counts requests by route and status.
        log: one line for each request that failed here.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        self._app, self._access = app, access
        self._metrics, self._log = metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, sending)
        except Exception as error:  # whatever it is, the asker gets an answer
            if status:
                raise  # half of an answer is out; the connection ends
            await self._problem(error, scope)(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.answering.labels(route).observe(time.monotonic() - began)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["method"] not in METHODS:
            raise ProblemError(
                405, "this only reads: use GET or HEAD", headers={"Allow": ", ".join(METHODS)}
            )
        if not self._access.host_is_good(headers.get("host")):
            raise ProblemError(421, "ask for this machine by its loopback address or as localhost")
        if scope["path"] not in OPEN and not self._access.token_is_good(
            headers.get("authorization")
        ):
            raise ProblemError(
                401,
                "send the token of this server as 'Authorization: Bearer TOKEN'",
                headers={"WWW-Authenticate": 'Bearer realm="outrider"'},
            )
        if len(scope["query_string"]) > _QUERY_BYTES:
            raise ProblemError(414, f"the query is longer than {_QUERY_BYTES} bytes")

    def _problem(self, error: Exception, scope: Scope) -> Any:
        if isinstance(error, ProblemError):
            return error.response()
        known = isinstance(error, OutriderError)
        self._log.error(
            "request",
            route=getattr(scope.get("route"), "path", "none"),
            outcome="failed",
            error=str(error) if known else type(error).__name__,
        )
        # What went wrong names files of this machine: that is for its own log.
        if known:
            return ProblemError(
                503, "the ledger cannot be read now; try again", headers={"Retry-After": "5"}
            ).response()
        return ProblemError(
            500, "that should not happen; the log of the server tells more"
        ).response()
