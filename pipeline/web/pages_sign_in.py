"""Signing in and out with a browser: by the token, or at Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from pipeline.model.errors import OutriderError
from pipeline.web.pages_forms import checked_form, read_form
from pipeline.web.problems import ProblemError
from pipeline.web.rendering import HEADERS

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.web.oidc import Oidc
    from pipeline.web.pages import Frame

SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
AT_ENTRA: Final = "/sign-in/entra"
BACK: Final = "/sign-in/back"
_LONGEST: Final = 1024
_FRESH: Final = {**HEADERS, "Cache-Control": "no-store"}


class SignInPages:
    """Handlers of the sign-in.

    Args:
        frame: what pages are made with.
        oidc: the sign-in at Entra; None = there is none.
    """

    def __init__(self, frame: Frame, oidc: Oidc | None) -> None:
        self._frame, self._oidc = frame, oidc

    def visit(self, headers: Headers, path: str, query: str) -> Response:
        """What somebody gets who is not signed in, or whose browser kept that to itself."""
        target = local(path + (f"?{query}" if query else ""))
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # Strict cookies do not come with a link of another site, such as a chat: ask anew
            # from a page of our own.
            return self._hop(target)
        return RedirectResponse(f"{SIGN_IN}?next={quote(target, safe='')}", 303, _FRESH)

    def show(self, request: Request) -> Response:
        """The page to sign in with."""
        person = request.scope["person"]
        target = local(request.query_params.get("next", "/"))
        if person is not None:
            return RedirectResponse(target, 303, _FRESH)
        return self._page(target)

    async def sign_in(self, request: Request) -> Response:
        """Take the token of a form; it never stands in an address."""
        form = await read_form(request)
        target, access = local(form.get("next", "/")), self._frame.access
        if not access.by_token or not access.token_is_good(f"Bearer {form.get('token', '')}"):
            return self._page(target, status=401, wrong="That is not the token of this server.")
        answer = RedirectResponse(target, 303, _FRESH)
        answer.headers.append("Set-Cookie", access.sessions.begin("token"))
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await checked_form(request, self._frame)
        answer = RedirectResponse(SIGN_IN, 303, _FRESH)
        ended = self._frame.access.sessions.end(request.scope["person"])
        answer.headers.append("Set-Cookie", ended)
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    async def entra(self, request: Request) -> Response:
        """Send the browser to Entra."""
        target = local(request.query_params.get("next", "/"))
        oidc = self._known()
        try:
            address, flow = await run_in_threadpool(oidc.begin, target)
        except OutriderError as error:
            oidc.failed(error)
            return self._page(target, status=503, wrong=_NO_ENTRA)
        answer = RedirectResponse(address, 303, _FRESH)
        answer.headers.append("Set-Cookie", self._frame.access.sessions.begin_flow(flow))
        return answer

    async def back(self, request: Request) -> Response:
        """Hear what Entra says of a person who comes back."""
        oidc, sessions = self._known(), self._frame.access.sessions
        flow = sessions.read_flow(request.headers)
        if flow is None:
            return self._page("/", status=400, wrong="This sign-in took too long, or is not yours.")
        target = local(str(flow.get("next", "/")))
        try:
            name = await run_in_threadpool(oidc.finish, flow, dict(request.query_params))
        except ProblemError as error:
            answer = self._page(target, status=error.status, wrong=error.detail)
        except OutriderError as error:
            oidc.failed(error)
            answer = self._page(target, status=401, wrong=_REFUSED)
        else:
            # The browser was sent here by another site: only a page of ours may go on.
            answer = self._hop(target)
            answer.headers.append("Set-Cookie", sessions.begin("oidc", name))
        answer.headers.append("Set-Cookie", sessions.end_flow())
        return answer

    def _known(self) -> Oidc:
        if self._oidc is None:
            raise ProblemError(404, "nobody signs in at Entra here; serve.oidc lets them")
        return self._oidc

    def _hop(self, target: str) -> Response:
        return self._frame.renderer.page("page_hop.html", {"target": target})

    def _page(
        self,
        target: str,
        *,
        status: int = 200,
        wrong: str = "",
    ) -> Response:
        return self._frame.renderer.page(
            "page_sign_in.html",
            {
                "target": target,
                "by_token": self._frame.access.by_token,
                "by_oidc": self._frame.access.by_oidc,
                "wrong": wrong,
            },
            status=status,
        )


_NO_ENTRA: Final = "The sign-in service does not answer now; try again in a minute."
_REFUSED: Final = "The sign-in was refused, or belongs to another page; begin anew."


def local(target: str) -> str:
    r"""An address of this server, whatever was asked for.

    >>> local("/incidents?state=open"), local("//evil.example"), local("/\\evil.example")
    ('/incidents?state=open', '/', '/')
    """
    parts = urlsplit(target) if target.isprintable() and len(target) <= _LONGEST else None
    good = (
        parts is not None
        and not parts.scheme
        and not parts.netloc
        and target.startswith("/")
        and not target.startswith(("//", "/\\"))
        and not target.startswith((SIGN_IN, SIGN_OUT))
    )
    return target if good else "/"
