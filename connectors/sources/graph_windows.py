"""A report of Microsoft Graph read by windows of time, each record once, late ones too.

Links to next pages are not for keeping (microsoft-graph-docs issue 6892), so the position is a
time: every stretch is read when it is seven minutes old, and looked at again when it is half an
hour and two hours old, for records that appeared late or came again with another outcome. What
is first read when it is that old already, after an outage or a first start, is read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.http.answers import RefusedError
from connectors.http.paging import PagingGuard
from connectors.normalise.intake import Intake
from connectors.sources.graph_cursor import (
    FULL_PAGES,
    SECOND,
    Place,
    Stretch,
    narrowed,
    place_of,
    seconds,
)
from connectors.sources.graph_errors import Refused
from connectors.sources.graph_listing import HEADERS, PAGE_RECORDS, page_of
from connectors.sources.json_documents import DocumentReader
from connectors.sources.readable import Memory
from pipeline.model.clock import SystemClock, rfc3339
from pipeline.model.contracts import Poll
from pipeline.model.errors import OutriderError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.http.client import HttpClient
    from connectors.normalise.intake import Portion
    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.graph_listing import Listing, Page
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

# Seven minutes are what Splunk's add-on trails by; the last one is Microsoft's "up to two hours"
# for a sign-in to be whole (entra-docs, reports-faq.yml), and ten minutes on top.
AGES: Final = (timedelta(minutes=7), timedelta(minutes=30), timedelta(minutes=130))
# How long Entra keeps the records (entra-docs, reference-reports-data-retention.md).
KEPT: Final = timedelta(days=30)
KEPT_WITHOUT_LICENCE: Final = timedelta(days=7)
# 350 kB of cursor; a tenant with more than four records a second gets the oldest ones twice.
MOST_DIGESTS: Final = 32_768

_REQUESTS: Final = 5  # of one poll
# A window that Graph fails to answer at all may be too much for it, if it is longer than this.
_WIDE: Final = timedelta(minutes=15)
# A clock that is set may jump back by less.
_WRONG: Final = timedelta(minutes=10)
_CLOCK_SECONDS: Final = 60.0
_OLD: Final = "old"
_DENSE: Final = "dense"


@dataclass(slots=True)
class _Work:
    """What one poll has done.

    Attributes:
        known: digests of records that were given before.
        portions: of the stretches that are whole.
        requests: made.
        refused: whether the last one was, for a reason that is known.
        moved: whether there is a new cursor.
    """

    known: set[bytes]
    portions: list[Portion] = field(default_factory=list)
    requests: int = 0
    refused: bool = False
    moved: bool = False

    @property
    def left(self) -> int:
        return _REQUESTS - self.requests


class _Window(NamedTuple):
    """What a stretch holds.

    Attributes:
        portion: its new records.
        digests: of these.
        pages: of all its records, the last one as a part.
        complete: whether these are all.
    """

    portion: Portion
    digests: set[bytes]
    pages: float
    complete: bool


class _TooManyPagesError(Exception):
    """A window has more pages than one may have."""


class GraphWindows:
    """Reads one report.

    Args:
        client: of Microsoft Graph, with the identity and the budget of the tenant.
        settings: key, sites, and the tenant, which not all records name.
        listing: the report.
        lookback: how far back the very first reading goes.
        clock: tells how old things are.
        kept: how long the service keeps records.
        ages: of a stretch at its first reading and at each later one, growing.
        most_digests: of records that are remembered, so as to tell them once.
    """

    def __init__(
        self,
        client: HttpClient,
        settings: NormaliseSettings,
        listing: Listing,
        *,
        lookback: timedelta,
        clock: Clock | None = None,
        kept: timedelta = KEPT,
        ages: Sequence[timedelta] = AGES,
        most_digests: int = MOST_DIGESTS,
    ) -> None:
        self.listing = listing
        self._client, self._settings = client, settings
        self._clock: Clock = clock or SystemClock()
        self._lookback, self._kept = lookback, kept
        self._ages, self._most_digests = tuple(ages), most_digests
        self._reasons = {
            _OLD: f"{listing.who}: older than the {kept.days} days that Entra keeps; where the logs "
            "were exported, read them with 'outrider backfill'",
            _DENSE: f"{listing.who}: more records in one second than {_REQUESTS} pages hold; "
            "read these logs from Event Hubs or a storage account instead",
        }

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next windows: at most five requests, without waiting for anything.

        Raises:
            ThrottledError: nothing may be asked now.
            RetriableError: no answer, or a failure of the service's own.
            AuthError: a permission, a licence or a role is missing, or no token is given.
            FatalError: anything else that a person has to change.
            StateError: the cursor is of another version.
        """
        place = self._place(cursor)
        work = _Work({d for digests in place.seen.values() for d in digests})
        try:
            while work.left > 0:
                allowed = self._client.left
                pages = min(work.left, FULL_PAGES, work.left if allowed is None else allowed)
                stretch = place.next(self._now(), self._ages, pages)
                # The shortest window may take all the requests of a poll.
                if stretch is None or (work.requests and stretch.length <= SECOND):
                    break
                self._take(place, stretch, work, pages, worked=cursor is not None)
        except OutriderError:
            # What is whole is told; what failed comes up again behind it.
            if not work.moved:
                raise
        given = work.portions
        missing = place.missing(self._now(), self._reasons)
        return Poll(
            batches=[p.table for p in given if p.table.num_rows],
            rejects=[r for p in given for r in p.rejects],
            missing=missing,
            cursor=place.cursor(),
            complete_to=place.at[0],
            received=sum(p.received for p in given),
            ignored=sum(p.ignored for p in given),
        )

    def _now(self) -> datetime:
        """The present by the clock that is behind: by the other, records might be overtaken."""
        now = self._clock.now()
        return min(now, now + self._client.skew)

    def _place(self, cursor: Cursor | None) -> Place:
        now = self._now()
        oldest = seconds(now - self._kept)
        if cursor is None:
            return Place([max(seconds(now - self._lookback), oldest)] * len(self._ages))
        place = place_of(cursor, self.listing.name, len(self._ages))
        if place.at[0] < oldest:
            place.lack(place.at[0], oldest, _OLD, seconds(now))
        place.at = [max(at, oldest) for at in place.at]
        if place.at[0] > now + _WRONG:
            raise RetriableError(
                f"{self.listing.who}: is read up to {rfc3339(place.at[0])} already, which is still "
                "to come by this machine's clock; set the clock",
                retry_after=_CLOCK_SECONDS,
            )
        return place

    def _take(
        self, place: Place, stretch: Stretch, work: _Work, pages: int, *, worked: bool
    ) -> None:
        """Read a stretch and move behind it, or make the next one narrower."""
        before = work.requests
        try:
            window = self._read(place, stretch, work, pages, worked=worked)
        except _TooManyPagesError:
            times = 4 if pages == FULL_PAGES else 2
            place.width, work.moved = narrowed(stretch.length, times), True
            return
        except RetriableError as error:
            throttled = isinstance(error, ThrottledError)
            answered = work.requests - before > 1
            heavy = stretch.length > _WIDE and not throttled and not work.refused
            # A shorter window needs fewer requests in a row, and less work of the service.
            if stretch.length > SECOND and (answered or heavy):
                times = 2 if throttled else 4 if answered else 16
                place.width, work.moved = narrowed(stretch.length, times), True
            raise
        place.move(stretch, self._now(), self._ages)
        if window.complete:
            place.fill(stretch.start, stretch.end)
        else:
            place.lack(stretch.start, stretch.end, _DENSE, seconds(self._now()))
        place.remember(stretch.end, sorted(window.digests), self._most_digests)
        place.adapt(stretch, window.pages)
        work.known |= window.digests
        work.portions.append(window.portion)
        work.moved = True

    def _read(
        self, place: Place, stretch: Stretch, work: _Work, pages: int, *, worked: bool
    ) -> _Window:
        """What a stretch holds that was not given before.

        Raises:
            _TooManyPagesError: they are too many.
        """
        listing, key = self.listing, self._settings.key
        told = f"{listing.name} {rfc3339(stretch.start)}/{rfc3339(stretch.end)}"
        intake = Intake(self._settings, told)
        shortest = stretch.length <= SECOND
        most = work.left if shortest else max(pages, 1)
        guard, link = PagingGuard(listing.who, most), None
        digests, records, full = set[bytes](), 0, PAGE_RECORDS
        for number in range(1, most + 1):
            page = self._page(place, stretch, link, work, worked=worked)
            records += len(page.records)
            if number == 1 and page.next_link is not None:
                full = max(len(page.records), 1)  # it may be fewer than were asked for
            new = []
            for ordinal, record in enumerate(page.records):
                digest = listing.digest(record, key)
                if digest not in work.known and digest not in digests:
                    digests.add(digest)
                    new.append(ordinal)
            if new:
                for _ in DocumentReader(Memory(page.only(new), 0), intake).run():
                    pass  # a page is not so long that its records would have to be given between
            if page.next_link is None:
                return _Window(intake.portion(), digests, records / full, complete=True)
            if number < most:
                link = guard.follow(page.next_link)
        if not shortest:
            raise _TooManyPagesError
        return _Window(intake.portion(), digests, records / full, complete=False)

    def _page(
        self, place: Place, stretch: Stretch, link: str | None, work: _Work, *, worked: bool
    ) -> Page:
        listing = self.listing
        while True:
            asked = (
                listing.query(stretch.start, stretch.end, whole=place.whole)
                if link is None
                else None
            )
            work.requests += 1
            work.refused = False
            try:
                answer = self._client.get(link or listing.address, params=asked, headers=HEADERS)
            except RefusedError as refused:
                work.refused = True
                refusal = listing.refusal(refused, first_page=link is None)
                if refusal.kind is Refused.SELECT and not place.whole:
                    place.whole = True
                    continue
                raise refusal.error(worked=worked) from None
            return page_of(answer, listing.who)
