"""The application: addresses, and what answers each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route, Router

from pipeline.web import openapi, openapi_shown, query
from pipeline.web.api import Api, Backend
from pipeline.web.api_shown import ShownApi
from pipeline.web.dashboard import Dashboard, Look
from pipeline.web.guard import DAMAGED, Guard
from pipeline.web.openapi_parts import Answer
from pipeline.web.problems import ProblemError, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.metrics import Metrics
    from pipeline.web.access import Access

PREFIX: Final = "/api/v1"
# By the name of the handler in Api, or in ShownApi.
SHOWN: Final = openapi_shown.answers(PREFIX)
ANSWERS: Final = {
    "incidents": Answer(
        f"{PREFIX}/incidents",
        "The last revision of each incident, the newest first.",
        "IncidentPage",
        query.INCIDENTS,
    ),
    "incident": Answer(
        f"{PREFIX}/incidents/{{id}}",
        "Every revision of one incident.",
        "IncidentHistory",
        (),
        (404,),
    ),
    "flags": Answer(
        f"{PREFIX}/flags",
        "The last revision of each flag, the newest first.",
        "FlagPage",
        query.FLAGS,
    ),
    "flag": Answer(
        f"{PREFIX}/flags/{{id}}", "Every revision of one flag.", "FlagHistory", (), (404,)
    ),
    "tenants": Answer(f"{PREFIX}/tenants", "What there is of each tenant.", "Tenants"),
    "dead_summary": Answer(f"{PREFIX}/dead/summary", "Dead letters by reason.", "DeadSummary"),
    "status": Answer(f"{PREFIX}/status", "How far the ledger is.", "Status"),
    **SHOWN,
}


def application(
    backend: Backend,
    access: Access,
    *,
    metrics: Metrics,
    log: FilteringBoundLogger,
    look: Look | None = None,
) -> ASGIApp:
    """The whole of what is served.

    Args:
        backend: the ledger, and the loop behind it.
        access: who may ask.
        metrics: served, and counted in.
        log: one line for each request that failed here.
        look: how the pages are shown; None = in UTC, and nobody writes.
    """
    pages = Dashboard(backend, access, look or Look())
    api, shown = Api(backend), ShownApi(backend.readers)
    described = openapi.document(ANSWERS.values(), backend.version)
    health = backend.health

    def ready() -> bool:
        return backend.ready() and backend.readers.damage is None

    def told(request: Request, *, good: bool) -> Response:
        states = {"alive": health.alive, "ready": ready() and health.problem is None}
        if good:
            return json_response(request, states)
        # Why not is for those who may ask for the status.
        raise ProblemError(503, DAMAGED if backend.readers.damage else "not ready", more=states)

    def healthz(request: Request) -> Response:
        return told(request, good=health.alive)

    def readyz(request: Request) -> Response:
        return told(request, good=health.alive and ready() and health.problem is None)

    def exposition(_request: Request) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        headers = {"Content-Type": kind, "Cache-Control": "no-store"}
        return Response(metrics.text(), headers=headers)

    def description(request: Request) -> Response:
        return json_response(request, described)

    routes = [
        Route(a.path, getattr(shown if name in SHOWN else api, name)) for name, a in ANSWERS.items()
    ]
    routes += [
        Route(f"{PREFIX}/openapi.json", description),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]
    routes += pages.routes()
    router = Router(routes, redirect_slashes=False, default=_nothing)
    return Guard(router, access=access, doors=pages, metrics=metrics, log=log)


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ProblemError(404, f"there is nothing here; {PREFIX}/openapi.json tells what there is")
