"""A public status page as a feed of advisories: for when nobody can sign in.

It says little, but it says it without a token, so it still speaks when Graph does not. Every
advisory of it carries the origin ``status_page``. An entry in trouble is told with each text
that differs, and told to be over when the page says so or shows it no more.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from connectors.advisories.pace import Pace
from connectors.advisories.page_advisories import advisories, follow
from connectors.advisories.page_feed import Entry, FormError, read_entries
from connectors.advisories.versions import in_order, read_cursor
from connectors.http.answers import RefusedError
from pipeline.model.clock import SystemClock, parse_rfc3339, rfc3339
from pipeline.model.contracts import AdvisoryPoll
from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.http.client import HttpClient
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

_CURSOR_VERSION: Final = 1
_ACCEPT: Final = {"Accept": "application/rss+xml, application/json;q=0.9, */*;q=0.1"}
_REMEDY: Final = (
    "open it in a browser, and write the address of the page's RSS or JSON into status_page.address"
)


@dataclass(slots=True)
class _Looked:
    """What the page said last; ``received`` is told to the next call."""

    at: datetime | None = None
    entries: list[Entry] = field(default_factory=list)
    received: int = 0


class StatusPageFeed:
    """Reads one feed of a public status page.

    Args:
        http: of the page's host; it needs no tokens.
        address: of the feed, whole.
        every: pause between two looks, whoever asks and how often.
        clock: tells when to look again.
    """

    def __init__(
        self,
        http: HttpClient,
        address: str,
        *,
        every: timedelta = timedelta(minutes=5),
        clock: Clock | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._http, self._address, self._pace = http, address, Pace(every, self._clock)
        self._what = f"Status page at {urlsplit(address).hostname}"
        self._looked = _Looked()
        self._open: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        """Return what is new of entries in trouble, ordered by id and time of modification.

        Between two looks no request is made; a call without a cursor is then answered with
        all that is held. The cursor holds the entries in trouble and what was told of them.

        Raises:
            AuthError: the page's certificate is not to be trusted.
            FatalError: there is no status feed at the address.
            RetriableError: it does not answer, or not now; told again, without a request,
                until the pause after a failure is over.
            StateError: the cursor is of another version.
        """
        before = read_cursor(cursor, _CURSOR_VERSION, self._what, "open", "looked")
        with self._lock:
            if self._pace.due:
                self._pace.ask(self._look)
            elif cursor is not None or self._looked.at is None:
                self._pace.check()
            return self._tell(before, first=cursor is None)

    def _look(self) -> None:
        at = self._clock.now()
        try:
            entries = read_entries(self._http.get(self._address, headers=_ACCEPT).body)
        except RefusedError as refused:
            raise FatalError(
                f"{self._what}: refuses the address (HTTP {refused.status}); {_REMEDY}"
            ) from None
        except FormError as error:
            raise FatalError(f"{self._what}: gives no status feed: {error}; {_REMEDY}") from None
        self._looked = _Looked(at, entries, len(entries))

    def _tell(self, before: dict[str, Any], *, first: bool) -> AdvisoryPoll:
        looked, at = self._looked, self._looked.at or self._clock.now()
        earlier = before["looked"].get("at")
        told, found = follow(
            self._open if first else before["open"],
            looked.entries,
            None if earlier is None else parse_rfc3339(earlier),
            at,
        )
        if first:
            found = advisories(told)
        else:
            self._open = told
        received, looked.received = looked.received, 0
        return AdvisoryPoll(
            advisories=sorted(found, key=in_order),
            rejects=(),
            cursor={"v": _CURSOR_VERSION, "open": told, "looked": {"at": rfc3339(at)}},
            received=max(received, len(found)),
            ignored=max(0, received - len(found)),
        )
