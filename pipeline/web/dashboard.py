"""The pages of the dashboard: addresses, what answers each, and who may open which door."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from pipeline.model.clock import SystemClock
from pipeline.web import assets
from pipeline.web.pages import Frame
from pipeline.web.pages_advisories import AdvisoryPages
from pipeline.web.pages_forms import FormPages
from pipeline.web.pages_incident import IncidentPage
from pipeline.web.pages_incidents import IncidentsPage
from pipeline.web.pages_lists import ListPages
from pipeline.web.pages_now import NowPage
from pipeline.web.pages_sign_in import AT_ENTRA, BACK, SIGN_IN, SIGN_OUT, SignInPages
from pipeline.web.rendering import Renderer, Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.notify.settings import NotifySettings
    from pipeline.web.access import Access
    from pipeline.web.api import Backend
    from pipeline.web.oidc import Oidc
    from pipeline.web.problems import ProblemError
    from pipeline.web.session import Person

POLL_SECONDS: Final = 10.0
_OPEN: Final = frozenset({SIGN_IN, AT_ENTRA, BACK, "/favicon.ico"})
_ANSWERS: Final = re.compile(r"/incidents/[^/]+/(?:ack|unack|silence)")


@dataclass(frozen=True, slots=True)
class Look:
    """How the pages are shown.

    Attributes:
        time_zone: IANA name of the clock that is told beside UTC.
        poll_seconds: after how long an open page asks for what is new; 0 = never.
        oidc: the sign-in at Entra; None = there is none.
        writing: opens the ledger to acknowledge and silence; None = nobody may.
        clock: tells what is now.
        notify: of the process that tells people from the same ledger; None = it is another's.
    """

    time_zone: str = "UTC"
    poll_seconds: float = POLL_SECONDS
    oidc: Oidc | None = None
    writing: Callable[[], Ledger] | None = None
    clock: Clock = field(default_factory=SystemClock)
    notify: NotifySettings | None = None


class Dashboard:
    """Every page, and what :class:`pipeline.web.guard.Guard` asks of them.

    Args:
        backend: what is shown.
        access: who may see it.
        look: how it is shown.
    """

    def __init__(self, backend: Backend, access: Access, look: Look) -> None:
        self._assets = assets.load()
        site = Site(self._assets, backend.version, look.time_zone, look.poll_seconds)
        writing = look.writing if access.write else None
        self._frame = Frame(backend, Renderer(site), access, look.clock, writing, look.notify)
        self._sign_in = SignInPages(self._frame, look.oidc)
        self._signs_in = access.by_token or access.by_oidc

    def routes(self) -> list[Route]:
        """Addresses of the pages."""
        frame, sign_in = self._frame, self._sign_in
        incident, lists, forms = IncidentPage(frame), ListPages(frame), FormPages(frame)
        advisories = AdvisoryPages(frame)
        return [
            Route("/", NowPage(frame).now),
            Route("/incidents", IncidentsPage(frame).incidents),
            Route("/incidents/{id}", incident.incident),
            Route("/incidents/{id}/ack", forms.ack, methods=["POST"]),
            Route("/incidents/{id}/unack", forms.unack, methods=["POST"]),
            Route("/incidents/{id}/silence", forms.silence, methods=["POST"]),
            Route("/advisories", advisories.advisories),
            Route("/advisories/{id}", advisories.advisory),
            Route("/ledger", advisories.ledger),
            Route("/sources", lists.sources),
            Route("/destinations", lists.destinations),
            Route("/search", lists.search),
            Route("/help", lists.help),
            Route(SIGN_IN, sign_in.show),
            Route(SIGN_IN, sign_in.sign_in, methods=["POST"]),
            Route(SIGN_OUT, sign_in.sign_out, methods=["POST"]),
            Route(AT_ENTRA, sign_in.entra),
            Route(BACK, sign_in.back),
            Route("/favicon.ico", self._icon),
            Route(assets.PREFIX + "{name}", self._asset),
        ]

    def open(self, path: str) -> bool:
        """Whether somebody who has not signed in may ask for it."""
        return path in _OPEN or path.startswith(assets.PREFIX)

    def takes_forms(self, path: str) -> bool:
        """Whether a form may be sent there."""
        if path in {SIGN_IN, SIGN_OUT}:
            return self._signs_in
        return self._frame.writing is not None and _ANSWERS.fullmatch(path) is not None

    def refuse(self, problem: ProblemError, person: Person | None) -> Response:
        """A problem as a page."""
        return self._frame.refuse(problem, person)

    def sign_in(self, headers: Headers, path: str, query: str) -> Response:
        """What a browser gets whose person is not known."""
        return self._sign_in.visit(headers, path, query)

    def _asset(self, request: Request) -> Response:
        return assets.answer(self._assets, request.url.path)

    def _icon(self, _request: Request) -> Response:
        return assets.answer(self._assets, self._assets["icon.svg"].path)
