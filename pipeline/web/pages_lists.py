"""The health of sources, destinations, search, and help."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.dead_letter import REFUSED_BY_SINK
from pipeline.notify.clean import clean
from pipeline.notify.words import moment
from pipeline.web.pages import one, some
from pipeline.web.words import label

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.web.pages import Frame

_TENANTS: Final = 50
_HITS: Final = 50
# What waits for less is on its way.
_LATE_SECONDS: Final = 300


class ListPages:
    """Handlers of what stands beside the incidents.

    Args:
        frame: what pages are made with.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def sources(self, request: Request) -> Response:
        """What is read, how far, and what never came."""

        def build(reader: Reader) -> dict[str, Any]:
            tenant = one(request, "tenant")
            found = reader.sources(some(tenant), after=one(request, "after"), limit=_TENANTS)
            letters = [
                (
                    clean(c.reason, 120).replace("_", " "),
                    c.letters,
                    c.letters - c.queued - c.replayed,
                )
                for c in reader.dead_counts()
            ]
            return {
                "tenants": found,
                "dead": letters,
                "next": found[-1].tenant if len(found) == _TENANTS else "",
            }

        return self._frame.show(request, "page_sources.html", build, nav="sources")

    def destinations(self, request: Request) -> Response:
        """Who is told, and what waits."""

        def build(reader: Reader) -> dict[str, Any]:
            now = self._frame.clock.now()
            lags = [
                (
                    clean(s.sink, 80),
                    s.kind,
                    s.waiting,
                    s.oldest_at,
                    0.0 if s.oldest_at is None else (now - s.oldest_at).total_seconds(),
                )
                for s in reader.sink_lags()
            ]
            zone = self._frame.renderer.site.time_zone
            silences = [
                (
                    clean(s.silence_id, 60),
                    "; ".join(clean(m, 120) for m in s.matchers),
                    moment(s.starts_at, zone),
                    moment(s.ends_at, zone),
                    clean(s.by, 80) or "-",
                    clean(s.comment),
                )
                for s in reader.silences(since=int(now.timestamp() * 1_000_000))
            ]
            backend = self._frame.backend
            refused = [c for c in reader.dead_counts() if c.reason == REFUSED_BY_SINK]
            return {
                "lags": lags,
                "late": _LATE_SECONDS,
                "refused": sum(c.letters - c.replayed for c in refused),
                "silences": silences,
                "mode": backend.mode,
                "behind": sorted(backend.lag(reader).items()) if backend.mode == "kafka" else [],
            }

        return self._frame.show(request, "page_destinations.html", build, nav="destinations")

    def search(self, request: Request) -> Response:
        """Incidents and advisories that hold all words."""
        text = one(request, "q")

        def build(reader: Reader) -> dict[str, Any]:
            hits = reader.search(text, limit=_HITS) if text else []
            return {
                "q": text,
                "hits": [
                    (
                        h.kind,
                        h.id,
                        clean(h.title) or clean(h.id, 60),
                        label(h.state, "incident"),
                        clean(h.snippet),
                        datetime.fromtimestamp(h.at, UTC),
                    )
                    for h in hits
                ],
            }

        return self._frame.show(request, "page_search.html", build)

    def help(self, request: Request) -> Response:
        """How to read the pages, and the keys."""
        return self._frame.show(request, "page_help.html", lambda _: {})
