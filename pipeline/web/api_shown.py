"""The JSON interface to what the dashboard shows: now, the timeline, advisories, leads, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipeline.ledger.showing import Place
from pipeline.model.clock import SystemClock, from_us, rfc3339
from pipeline.model.documents import to_json
from pipeline.web import query, query_shown
from pipeline.web.problems import ProblemError, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.showing import AdvisoryShown, Series
    from pipeline.model.clock import Clock
    from pipeline.web.ledgers import Readers


class ShownApi:
    """Handlers, each called on a thread of its own.

    Args:
        readers: of the ledger.
        clock: tells which day is the last one.
    """

    def __init__(self, readers: Readers, clock: Clock | None = None) -> None:
        self._readers, self._clock = readers, clock or SystemClock()

    def front(self, request: Request) -> Response:
        """The counts of the front page."""
        found = query.read(request.query_params, (query.TENANT,))
        with self._readers.borrow() as reader:
            front = reader.front(tuple(found.get("tenant", ())), now=self._clock.now())
        return json_response(request, _whole(front))

    def now(self, request: Request) -> Response:
        """A page of tenants, each with its cells as last judged."""
        tenants, after, limit, asked = self._by_tenant(request)
        with self._readers.borrow() as reader:
            held = reader.now(tenants, after=after, limit=limit + 1)
        return _page_of_tenants(request, held, limit, asked)

    def sources(self, request: Request) -> Response:
        """A page of tenants, each with its feeds and logs."""
        tenants, after, limit, asked = self._by_tenant(request)
        with self._readers.borrow() as reader:
            held = reader.sources(tenants, after=after, limit=limit + 1)
        return _page_of_tenants(request, held, limit, asked)

    def timeline(self, request: Request) -> Response:
        """The hours of a tenant's cells, by signal."""
        found = query.read(request.query_params, query_shown.TIMELINE)
        limit = query.limit(found)
        with self._readers.borrow() as reader:
            held = reader.now(tuple(found.get("tenant", ())), limit=1)
            if not held:
                return json_response(request, {"items": []})
            since, until = query_shown.stretch(found, held[0].at)
            series = reader.timeline(
                held[0].tenant,
                since=since,
                until=until,
                sources=found.get("source", ()),
                services=found.get("service", ()),
                clients=found.get("client", ()),
                signals=found.get("signal", ()),
                limit=limit,
            )
        return json_response(request, {"items": [_hours(s) for s in series]})

    def advisories(self, request: Request) -> Response:
        """A page of advisories, each with what it means for us."""
        found = query.read(request.query_params, query_shown.ADVISORIES)
        asked = ("advisories", found.get("tenant"), found.get("answer"))
        with self._readers.borrow() as reader:
            page = reader.advisories(
                found.get("tenant", ()),
                answers=found.get("answer", ()),
                after=query_shown.place(found, asked),
                limit=query.limit(found),
            )
        return _page(request, [_advisory(a) for a in page.advisories], page.rest, asked)

    def advisory(self, request: Request) -> Response:
        """Every version of an advisory, what it means for each tenant, and its leads."""
        query.read(request.query_params, ())
        with self._readers.borrow() as reader:
            held = reader.advisory(request.path_params["id"])
        if held is None:
            raise ProblemError(404, "there is no advisory of this id")
        told = {
            "advisory_id": held.advisory_id,
            "versions": held.versions,
            "impacts": [{"tenant": t, "impact": i} for t, i in held.impacts],
            "leads": held.leads,
        }
        return json_response(request, told)

    def ledger(self, request: Request) -> Response:
        """A page of the lead-time ledger, and all of it in numbers."""
        found = query.read(request.query_params, query_shown.LEDGER)
        asked = ("ledger", found.get("tenant"), found.get("kind"))
        tenants = found.get("tenant", ())
        with self._readers.borrow() as reader:
            summary = reader.lead_summary(tenants)
            page = reader.leads(
                tenants,
                kinds=found.get("kind", ()),
                after=query_shown.place(found, asked),
                limit=query.limit(found),
            )
        return _page(request, page.leads, page.rest, asked, {"summary": _whole(summary)})

    def deliveries(self, request: Request) -> Response:
        """What became of an incident at each destination."""
        query.read(request.query_params, ())
        name = request.path_params["id"]
        with self._readers.borrow() as reader:
            if not reader.revisions("incident", name):
                raise ProblemError(404, "there is no incident of this id")
            held = reader.deliveries_of(name)
            lags = reader.sink_lags()
        told = {
            "incident_id": name,
            "items": [_whole(h) for h in held],
            "sinks": [
                {**lag._asdict(), "oldest_at": None if lag[3] is None else rfc3339(lag[3])}
                for lag in lags
            ],
        }
        return json_response(request, told)

    def search(self, request: Request) -> Response:
        """Incidents and advisories that hold some words."""
        found = query.read(request.query_params, query_shown.SEARCH)
        with self._readers.borrow() as reader:
            hits = reader.search(
                found.get("q", [""])[0],
                kinds=found.get("kind", ()),
                tenants=found.get("tenant", ()),
                limit=query.limit(found),
            )
        items = [{**_whole(h), "at": rfc3339(from_us(h.at * 1_000_000))} for h in hits]
        return json_response(request, {"items": items})

    @staticmethod
    def _by_tenant(request: Request) -> tuple[tuple[str, ...], str, int, object]:
        found = query.read(request.query_params, query_shown.NOW)
        tenants = tuple(found.get("tenant", ()))
        asked = (request.url.path, tenants)
        begun = query_shown.place(found, asked)
        return tenants, "" if begun is None else begun.id, query.limit(found), asked


def _whole(value: Any) -> dict[str, Any]:
    """A dataclass as JSON, with null for what is not known."""
    told: dict[str, Any] = to_json(value)
    return {name: told.get(name) for name in type(value).__dataclass_fields__}


def _page_of_tenants(request: Request, held: list[Any], limit: int, asked: object) -> Response:
    rest = Place(0, held[limit - 1].tenant) if len(held) > limit else None
    return _page(request, [to_json(t) for t in held[:limit]], rest, asked)


def _page(
    request: Request,
    items: list[Any],
    rest: Place | None,
    asked: object,
    more: dict[str, Any] | None = None,
) -> Response:
    told: dict[str, Any] = {**(more or {}), "items": items, "next": None}
    headers = {}
    if rest is not None:
        told["next"] = query_shown.behind(rest, asked)
        others = [(n, v) for n, v in request.query_params.multi_items() if n != "cursor"]
        headers["Link"] = f'<?{urlencode([*others, ("cursor", told["next"])])}>; rel="next"'
    return json_response(request, told, headers)


def _hours(series: Series) -> dict[str, Any]:
    told: dict[str, Any] = to_json(series)
    told["hour"] = [rfc3339(from_us(at * 1_000_000)) for at in series.hour]
    return told


def _advisory(shown: AdvisoryShown) -> dict[str, Any]:
    return {
        "advisory_id": shown.advisory_id,
        "last_word_at": rfc3339(from_us(shown.at * 1_000_000)),
        "versions": shown.versions,
        "impacts": shown.impacts._asdict(),
        "tenant": shown.tenant,
        "impact": shown.impact,
        "advisory": shown.document,
    }
