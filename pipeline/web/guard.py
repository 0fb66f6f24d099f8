"""Around every request: who may ask, headers for browsers, errors in one form, and the count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from starlette.datastructures import Headers, MutableHeaders

from pipeline.ledger.trouble import DamagedError
from pipeline.model.errors import OutriderError
from pipeline.web.problems import ProblemError

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.metrics import Metrics
    from pipeline.web.access import Access
    from pipeline.web.session import Person

# Whoever starts and stops the process has no token; these tell nothing but that it lives.
OPEN: Final = frozenset({"/healthz", "/readyz"})
METHODS: Final = ("GET", "HEAD")
# Under this, whatever is wrong is told as a problem document, never as a page.
_MACHINES: Final = ("/api/", "/metrics", "/healthz", "/readyz")
DAMAGED: Final = "the ledger is damaged; the log of the server tells what to do"
_STRICT_SECONDS: Final = 31_536_000
_QUERY_BYTES: Final = 4096
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Doors(Protocol):
    """What the pages say about addresses, and how they say no."""

    def open(self, path: str) -> bool:
        """Whether somebody who has not signed in may ask for it."""
        ...

    def takes_forms(self, path: str) -> bool:
        """Whether a form may be sent there."""
        ...

    def refuse(self, problem: ProblemError, person: Person | None) -> Response:
        """A problem as a page."""
        ...

    def sign_in(self, headers: Headers, path: str, query: str) -> Response:
        """What a browser gets whose person is not known."""
        ...


class Guard:
    """ASGI middleware, the outermost one; it leaves the :class:`Person` in ``scope["person"]``.

    Args:
        app: what answers.
        access: who may ask.
        doors: of the pages.
        metrics: counts requests by route and status.
        log: one line for each request that failed here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        doors: Doors,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._app, self._access, self._doors = app, access, doors
        self._metrics, self._log = metrics, log
        self._headers = dict(HEADERS)
        if access.secure:
            self._headers["Strict-Transport-Security"] = f"max-age={_STRICT_SECONDS}"

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
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            early = self._check(scope)
            await (early or self._app)(scope, receive, sending)
        except Exception as error:  # whatever it is, the asker gets an answer
            if status:
                raise  # half of an answer is out; the connection ends
            await self._told(self._problem(error, scope), scope)(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.answering.labels(route).observe(time.monotonic() - began)

    def _check(self, scope: Scope) -> Response | None:
        """An answer that needs no application; None = go on."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        form = method == "POST" and self._doors.takes_forms(path)
        if method not in METHODS and not form:
            raise ProblemError(
                405, "this only reads: use GET or HEAD", headers={"Allow": ", ".join(METHODS)}
            )
        if not self._access.host_is_good(headers.get("host")):
            raise ProblemError(421, "ask for this machine by its loopback address or as localhost")
        if len(scope["query_string"]) > _QUERY_BYTES:
            raise ProblemError(414, f"the query is longer than {_QUERY_BYTES} bytes")
        if form and not self._access.origin_is_good(headers):
            raise ProblemError(403, "this form was not sent by a page of this server")
        person = scope["person"] = self._access.person(headers)
        if person is None and path not in OPEN and not self._doors.open(path):
            if _is_visit(scope, headers):
                query = scope["query_string"].decode("ascii", "replace")
                return self._doors.sign_in(headers, path, query)
            raise ProblemError(
                401,
                "send the token of this server as 'Authorization: Bearer TOKEN'",
                headers={"WWW-Authenticate": 'Bearer realm="outrider"'},
            )
        return None

    def _told(self, problem: ProblemError, scope: Scope) -> Response:
        if _is_page(scope, Headers(scope=scope)):
            return self._doors.refuse(problem, scope.get("person"))
        return problem.response()

    def _problem(self, error: Exception, scope: Scope) -> ProblemError:
        if isinstance(error, ProblemError):
            return error
        known = isinstance(error, OutriderError)
        self._log.error(
            "request",
            route=getattr(scope.get("route"), "path", "none"),
            outcome="failed",
            error=str(error) if known else type(error).__name__,
        )
        # What went wrong names files of this machine: that is for its own log.
        if isinstance(error, DamagedError):
            return ProblemError(503, DAMAGED)
        if known:
            return ProblemError(
                503, "the ledger cannot be read now; try again", headers={"Retry-After": "5"}
            )
        return ProblemError(500, "that should not happen; the log of the server tells more")


def _is_page(scope: Scope, headers: Headers) -> bool:
    """Whether a browser shows the answer to a person."""
    return "text/html" in headers.get("accept", "") and not scope["path"].startswith(_MACHINES)


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether a person has gone there; a script of a page that asks for it has not."""
    mode = headers.get("sec-fetch-mode", "navigate")
    return scope["method"] in METHODS and mode == "navigate" and _is_page(scope, headers)
