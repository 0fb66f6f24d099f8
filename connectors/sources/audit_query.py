"""Mailbox audit records by searching the audit log through Microsoft Graph.

The second way, for tenants where the Management Activity API is not open: a search is begun,
asked for until it has succeeded, and its records are read page by page, each in polls of their
own; the search's id and the link to the next page stand in the cursor.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.http.paging import PagingGuard
from connectors.sources.audit_query_api import SERVICE, QueryLostError
from connectors.sources.audit_query_position import Position, Query
from connectors.sources.seen import digest_of
from connectors.sources.taking import Taken
from pipeline.model.clock import SystemClock, parse_rfc3339
from pipeline.model.contracts import Poll
from pipeline.model.errors import OutriderError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.audit_query_api import AuditQueryApi
    from connectors.sources.graph_listing import Page
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

NAME: Final = "audit_query"
_PAGES: Final = 5
_MOST_PAGES: Final = 2_000
_RESTARTS: Final = 3
_LOOK_AGAIN: Final = timedelta(seconds=20)
# One that is not done by then never will be; users tell of up to 45 minutes.
_PATIENCE: Final = timedelta(hours=2)
_DIGEST: Final = 8


class AuditQuerySource:
    """Searches the audit log of one tenant, by the time of the event.

    Args:
        api: the operations, for this tenant.
        settings: of the normaliser.
        lookback: how far the first reading goes back.
        clock: tells the time.
    """

    def __init__(
        self,
        api: AuditQueryApi,
        settings: NormaliseSettings,
        *,
        lookback: timedelta,
        clock: Clock | None = None,
    ) -> None:
        self._api, self._settings, self._lookback = api, settings, lookback
        self._clock: Clock = clock or SystemClock()

    def poll(self, cursor: Cursor | None) -> Poll:
        """Go one step on: begin a search, look at it, or read some of its records.

        Raises:
            ThrottledError, RetriableError, AuthError, FatalError: nothing was done.
            StateError: the cursor is of another version, or damaged.
        """
        now = self._clock.now().replace(microsecond=0)
        position = Position(cursor, now, self._lookback)
        taken = Taken(self._settings, NAME)
        position.forget(now)
        query = position.query
        if query is None:
            self._begin(position, now)
        elif not query.reading:
            self._look(position, query, now)
        else:
            self._read(position, query, taken)
        received = taken.received
        batches, rejects = taken.finish()
        return Poll(
            batches=batches,
            rejects=tuple(rejects),
            cursor=position.cursor(now),
            complete_to=position.to,
            received=received,
            ignored=taken.ignored,
            missing=position.missing(now),
        )

    def _begin(self, position: Position, now: datetime) -> None:
        due = position.next(now)
        if due is None:
            return
        start, end, late = due
        # A clock of ours that is ahead must not pass what has yet to happen by Graph's.
        end = min(end, self._by_graph(now))
        if end <= start:
            return
        # A kill before its id is kept leaves a search that nobody reads, and that harms nobody.
        name, position.version = self._api.create(start, end, position.version)
        made = self._by_graph(now)
        position.asked = now
        position.query = Query(name, start, min(end, made), late, made)

    def _by_graph(self, now: datetime) -> datetime:
        """The time by Graph's clock, if ours is ahead of it; on a full second."""
        return (now - self._api.behind).replace(microsecond=0)

    def _look(self, position: Position, query: Query, now: datetime) -> None:
        # Also after a clock that was set back: not only once it is there again.
        if query.looked is not None and query.looked <= now < query.looked + _LOOK_AGAIN:
            return
        try:
            state = self._api.state(query.name, position.version)
        except QueryLostError:
            position.fail()
            return
        query.looked = now
        if state.status == "succeeded":
            query.reading = not (state.cut and position.cut(now))
        elif state.status in {"failed", "cancelled"} or now - (position.asked or now) > _PATIENCE:
            position.fail()

    def _read(self, position: Position, query: Query, taken: Taken) -> None:
        guard = PagingGuard(f"{SERVICE}, records", _MOST_PAGES)
        for at in range(0, len(query.links), _DIGEST):
            guard.follow(query.links[at : at + _DIGEST].hex())
        for number in range(_PAGES):
            try:
                page = self._api.page(query.name, position.version, query.link)
            except QueryLostError:
                self._start_over(position, query)
                return
            except OutriderError as error:
                # Each page is a whole: what was read before stands.
                if number and isinstance(error, (ThrottledError, RetriableError)):
                    return
                raise
            _take(page, position, query, taken)
            if page.next_link is None:
                position.done()
                return
            if not _follow(guard, query, page.next_link):
                position.fail()
                return

    def _start_over(self, position: Position, query: Query) -> None:
        """Read the pages anew, as links get old; without a link the search itself is lost."""
        if query.link is None or query.restarts >= _RESTARTS:
            position.fail()
            return
        query.link, query.links, query.restarts = None, b"", query.restarts + 1


def _follow(guard: PagingGuard, query: Query, link: str) -> bool:
    """Set a search on its next page; False if that was read before."""
    digest = digest_of(link)
    try:
        guard.follow(digest.hex())
    except RetriableError:
        return False
    query.link, query.links = link, query.links + digest
    return True


def _take(page: Page, position: Position, query: Query, taken: Taken) -> None:
    """Take the records of a page that were not given before."""
    fresh = []
    for number, record in enumerate(page.records):
        name = record.get("id") if isinstance(record, dict) else None
        if not isinstance(name, str) or not name:
            fresh.append(number)
        elif name not in position.seen:
            fresh.append(number)
            position.seen.add(name, _time(record, query))
    if fresh:
        taken.take(page.only(fresh), f"{query.name}/{len(query.links) // _DIGEST}")


def _time(record: dict[str, Any], query: Query) -> datetime:
    """When a record's event was, for how long it is remembered."""
    try:
        told = parse_rfc3339(str(record.get("createdDateTime")))
    except ValueError:
        return query.start
    return min(max(told, query.start), query.end)
