"""The JSON interface: what each address answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipeline.model.clock import from_us, rfc3339
from pipeline.web import query
from pipeline.web.problems import ProblemError, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.runtime.health import Health
    from pipeline.web.ledgers import Readers


@dataclass(frozen=True, slots=True)
class Backend:
    """What is served.

    Attributes:
        mode: ``embedded`` (a run on this machine writes the ledger) or ``kafka`` (it is
            followed from topics).
        readers: of the ledger.
        health: of the loop behind it.
        ready: whether the ledger is as good as it should be.
        lag: what is still to come, by name; see the OpenAPI document.
        committed_at: when the ledger was last written; None = not known.
        version: of the program.
    """

    mode: str
    readers: Readers
    health: Health
    ready: Callable[[], bool]
    lag: Callable[[Reader], dict[str, int]]
    committed_at: Callable[[], datetime | None]
    version: str


class Api:
    """Handlers, each called on a thread of its own.

    Args:
        backend: what is served.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def incidents(self, request: Request) -> Response:
        """A page of incidents, the newest first."""
        return self._list(request, "incident", query.INCIDENTS)

    def flags(self, request: Request) -> Response:
        """A page of flags, the newest first."""
        return self._list(request, "flag", query.FLAGS)

    def incident(self, request: Request) -> Response:
        """Every revision of one incident."""
        return self._history(request, "incident")

    def flag(self, request: Request) -> Response:
        """Every revision of one flag."""
        return self._history(request, "flag")

    def tenants(self, request: Request) -> Response:
        """What there is of each tenant."""
        query.read(request.query_params, ())
        with self._backend.readers.borrow() as reader:
            counts = reader.tenant_counts()
        items = [
            {
                "tenant": c.tenant,
                "incidents": c.incidents,
                "flags": c.flags,
                "newest_raised_at": rfc3339(datetime.fromtimestamp(max(c.raised, 0), UTC)),
            }
            for c in counts
        ]
        return json_response(request, {"items": items})

    def dead_summary(self, request: Request) -> Response:
        """Dead letters by reason."""
        query.read(request.query_params, ())
        with self._backend.readers.borrow() as reader:
            counts = reader.dead_counts()
        items = [
            {
                "reason": c.reason,
                "letters": c.letters,
                "waiting": c.letters - c.queued - c.replayed,
                "queued": c.queued,
                "replayed": c.replayed,
                "first_at": rfc3339(from_us(c.oldest)),
                "last_at": rfc3339(from_us(c.newest)),
            }
            for c in counts
        ]
        return json_response(request, {"letters": sum(c.letters for c in counts), "items": items})

    def status(self, request: Request) -> Response:
        """How far the ledger is, and whether anything is wrong."""
        query.read(request.query_params, ())
        backend = self._backend
        with backend.readers.borrow() as reader:
            newest, lag = reader.newest_document(), backend.lag(reader)
            completeness = reader.completeness()
        committed = backend.committed_at()
        told = {
            "mode": backend.mode,
            "version": backend.version,
            "ready": backend.ready() and backend.readers.damage is None,
            "problem": backend.health.problem or backend.readers.damage,
            "newest_document": newest,
            "last_commit_at": None if committed is None else rfc3339(committed),
            "lag": lag,
            "completeness": completeness,
        }
        return json_response(request, told)

    def _list(self, request: Request, kind: str, allowed: tuple[query.Parameter, ...]) -> Response:
        found = query.read(request.query_params, allowed)
        asked, limit = query.wanted(kind, found), query.limit(found)
        begun = query.read_cursor(found, asked)
        with self._backend.readers.borrow() as reader:
            as_of, after = begun or (reader.newest_document(), None)
            page = reader.page(asked, as_of=as_of, after=after, limit=limit)
        told: dict[str, Any] = {"items": [d.document for d in page.documents], "next": None}
        headers = {}
        if page.rest is not None:
            told["next"] = query.cursor_of(as_of, page.rest, asked)
            rest = [(n, v) for n, v in request.query_params.multi_items() if n != "cursor"]
            link = urlencode([*rest, ("cursor", told["next"])])
            headers["Link"] = f'<?{link}>; rel="next"'
        return json_response(request, told, headers)

    def _history(self, request: Request, kind: str) -> Response:
        query.read(request.query_params, ())
        name = request.path_params["id"]
        with self._backend.readers.borrow() as reader:
            found = reader.revisions(kind, name)
        if not found:
            raise ProblemError(404, f"there is no {kind} of this id")
        told = {f"{kind}_id": name, "revisions": [d.document for d in found]}
        return json_response(request, told)
