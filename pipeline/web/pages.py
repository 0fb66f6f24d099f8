"""What all pages of the dashboard share: how one is made, and what may be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from pipeline.ledger.showing import Place
from pipeline.model.documents import from_json
from pipeline.web.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.notify.settings import NotifySettings
    from pipeline.web.access import Access
    from pipeline.web.api import Backend
    from pipeline.web.rendering import Renderer
    from pipeline.web.session import Person

PAGE: Final = 50
_LONGEST: Final = 256
_LARGEST: Final = 2**63
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Frame:
    """What pages are made with.

    Attributes:
        backend: what is shown.
        renderer: makes HTML of it.
        access: who may see it.
        clock: tells what is now.
        writing: opens the ledger to acknowledge and silence; None = nobody may.
        notify: tells why a destination is told or not; None = it is decided elsewhere.
    """

    backend: Backend
    renderer: Renderer
    access: Access
    clock: Clock
    writing: Callable[[], Ledger] | None = None
    notify: NotifySettings | None = None

    def show(
        self,
        request: Request,
        name: str,
        build: Callable[[Reader], Mapping[str, Any]],
        *,
        nav: str = "",
    ) -> Response:
        """A page of one moment of the ledger; 304 where nothing can have changed.

        Args:
            request: that asks.
            name: of the template.
            build: makes what the template needs.
            nav: which entry of the navigation it belongs to.
        """
        person: Person = request.scope["person"]
        backend, now = self.backend, self.clock.now()
        written, problem = backend.committed_at(), backend.health.problem
        # By the minute, as some lines tell how long ago something was.
        minute = int(now.timestamp()) // _MINUTE
        tag = self.renderer.tag(request, person, written, problem, backend.ready(), minute)
        known = self.renderer.unchanged(request, tag)
        if known is not None:
            return known
        with backend.readers.borrow() as reader, reader.reading():
            values = dict(build(reader))
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        values |= {"person": person, "nav": nav, "as_of": written, "problem": problem}
        return self.renderer.page(name, values, headers=headers)

    def refuse(self, problem: ProblemError, person: Person | None) -> Response:
        """A problem as a page."""
        return self.renderer.page(
            "page_problem.html",
            {
                "person": person,
                "title": HTTPStatus(problem.status).phrase,
                "detail": problem.detail,
            },
            status=problem.status,
            headers=problem.headers,
        )


def one(request: Request, name: str, allowed: Iterable[str] | None = None) -> str:
    """The value of a parameter, empty if it is not given; the fields of a form may be empty.

    Raises:
        ProblemError: 400; it is too long, given twice, or none of those allowed.
    """
    found = [v for v in request.query_params.getlist(name) if v]
    if len(found) > 1 or any(len(v) > _LONGEST for v in found):
        raise ProblemError(400, f"parameter {name!r} is too long, or given more than once")
    value = found[0] if found else ""
    if value and allowed is not None and value not in (words := list(allowed)):
        raise ProblemError(400, f"parameter {name!r} is none of {', '.join(words)}")
    return value


def some(*values: str) -> tuple[str, ...]:
    """Those that are given."""
    return tuple(v for v in values if v)


def place(request: Request, name: str = "before") -> Place | None:
    """Where a list goes on; None = from its begin.

    Raises:
        ProblemError: 400; it is made up.
    """
    text = one(request, name)
    if not text:
        return None
    at, _, key = text.partition("~")
    digits = at.removeprefix("-")
    if not (key and digits.isascii() and digits.isdecimal() and int(digits) < _LARGEST):
        raise ProblemError(400, f"parameter {name!r} is no place of this list; begin anew")
    return Place(int(at), key)


def links(request: Request, rest: Place | None, name: str = "before") -> tuple[str, str]:
    """Addresses of the first page of a list and of the next one, each empty if there is none."""
    kept = [(n, v) for n, v in request.query_params.multi_items() if n != name and v]
    path = request.url.path
    first = path + (f"?{urlencode(kept)}" if kept else "") if one(request, name) else ""
    if rest is None:
        return first, ""
    return first, f"{path}?{urlencode([*kept, (name, f'{rest.at}~{rest.id}')])}"


def read(kind: type[Any], documents: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Documents as what they are; one that another version wrote otherwise is left out."""
    found = []
    for document in documents:
        try:
            found.append(from_json(kind, dict(document)))
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
    return found


def tenants_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Choices of a filter."""
    return [(n, n) for n in names]
