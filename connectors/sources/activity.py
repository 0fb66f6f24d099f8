"""Mailbox audit records from the Office 365 Management Activity API.

The cursor names stretches of *availability*, which say nothing of when things happened: a blob
may hold older records than the one before it. Each blob is given once: the cursor holds the
names (contentId) of those given in the last 8 days. The service puts one record into several
blobs now and then; those are told apart by the record's own Id, exactly and for 8 days, where
records are counted into windows, so this source gives such a record as often as it comes.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connectors.sources.activity_api import KEPT
from connectors.sources.activity_blobs import fetch
from connectors.sources.activity_errors import OFF, OLD, SERVICE, SubscriptionError
from connectors.sources.activity_gaps import MOST_OWED
from connectors.sources.activity_position import Position
from connectors.sources.taking import Taken
from pipeline.model.clock import SystemClock
from pipeline.model.contracts import Missing, Poll
from pipeline.model.errors import AuthError, OutriderError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.activity_api import ActivityApi, Content
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

EXCHANGE: Final = "Audit.Exchange"
KINDS: Final = (EXCHANGE, "Audit.AzureActiveDirectory", "Audit.General")

# What one poll does at most: a few seconds of work.
_BLOBS: Final = 64
_AT_ONCE: Final = 16
_RECORDS: Final = 20_000
_SECONDS: Final = 10.0
_LISTINGS: Final = 4
_PAUSE: Final = 10.0
_LOOK_AGAIN: Final = timedelta(hours=1)
_ABSENT: Final = "absent"


class ActivitySource:
    """Reads the audit log of one tenant, by availability.

    Args:
        api: the operations, for this tenant.
        settings: of the normaliser.
        kinds: of content: some of :data:`KINDS`.
        lookback: how far the first reading goes back; the service keeps 7 days.
        clock: tells the time.
        monotonic: seconds that never go back, to end a poll by.
    """

    def __init__(
        self,
        api: ActivityApi,
        settings: NormaliseSettings,
        *,
        kinds: Sequence[str] = (EXCHANGE,),
        lookback: timedelta = KEPT,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._settings = api, settings
        self._kinds, self._lookback = tuple(dict.fromkeys(kinds)), lookback
        self._clock: Clock = clock or SystemClock()
        self._monotonic = monotonic

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read some of what became available.

        Raises:
            ThrottledError, RetriableError, AuthError, FatalError: nothing was read.
            StateError: the cursor is of another version, or damaged.
        """
        # The service takes times on full seconds.
        now = self._clock.now().replace(microsecond=0)
        position = Position(cursor, self._kinds, now, self._lookback)
        reading = _Reading(self._api, self._settings, position, now, self._monotonic)
        reading.run()
        received = reading.taken.received
        batches, rejects = reading.taken.finish()
        return Poll(
            batches=batches,
            rejects=tuple(rejects),
            cursor=position.cursor(now),
            complete_to=position.complete_to,
            received=received,
            ignored=reading.taken.ignored,
            missing=[*position.missing(now), *reading.held_up],
        )


class _Reading:
    """One poll: moves a position on, over what it takes."""

    def __init__(
        self,
        api: ActivityApi,
        settings: NormaliseSettings,
        position: Position,
        now: datetime,
        monotonic: Callable[[], float],
    ) -> None:
        self._api, self._position, self._now = api, position, now
        self.taken = Taken(settings, "activity")
        self._room, self._listings = _BLOBS, _LISTINGS
        self._monotonic, self._until = monotonic, monotonic() + _SECONDS
        self._looked = self._found_off = self._moved = False
        self._errors: dict[str, OutriderError] = {}

    @property
    def held_up(self) -> list[Missing]:
        """Kinds that could not be read while others could."""
        return [
            Missing(self._position.feeds[kind].to, self._now, str(error))
            for kind, error in self._errors.items()
            if not isinstance(error, ThrottledError) and self._position.feeds[kind].to < self._now
        ]

    def run(self) -> None:
        """Read.

        Raises:
            OutriderError: nothing was read, and why.
        """
        self._look_at_subscriptions()
        if not self._found_off:
            self._ask_again()
            self._read_on()
        if self._errors and not self._moved:
            error = next(iter(self._errors.values()))
            if isinstance(error, ThrottledError):
                # A quota frees one request after the other; the list alone takes several.
                raise ThrottledError(str(error), retry_after=max(error.retry_after or 0.0, _PAUSE))
            raise error

    def _look_at_subscriptions(self) -> None:
        """See that every kind has a subscription, and start those that have none."""
        position, now = self._position, self._now
        off = [k for k in position.kinds if position.feeds[k].off is not None]
        # Also after a clock that was set back: not only once it is there again.
        looked = position.checked
        if not off and looked is not None and looked <= now < looked + _LOOK_AGAIN:
            return
        statuses = self._api.subscriptions()
        position.checked, self._looked = now, True
        for kind in position.kinds:
            enabled = statuses.get(kind, _ABSENT) == "enabled"
            try:
                self._see_to(kind, enabled=enabled)
            except OutriderError as error:
                self._errors[kind] = error
                position.checked = None

    def _see_to(self, kind: str, *, enabled: bool) -> None:
        feed, now = self._position.feeds[kind], self._now
        if enabled and feed.off is None:
            return
        if feed.off is None and feed.listed:
            # Stands in the cursor before it is started: a kill in between would hide the gap.
            feed.off = feed.to
            self._found_off = self._moved = True
            return
        if not enabled:
            self._api.start(kind)
        if feed.off is not None and feed.off < now:
            self._position.gaps.lose(kind, OFF, feed.off, now, now)
            feed.off, feed.started = None, now
        else:
            feed.start_anew(now)
        self._moved = True

    def _ask_again(self) -> None:
        """Ask for the blobs that are owed and due."""
        position, now = self._position, self._now
        for content, why in position.gaps.expired(now):
            self._lose(content, why)
        due = position.gaps.due(position.kinds, now)[:_AT_ONCE]
        if due:
            _, error = self._give(due)
            if error is not None:
                self._stop_at(due[0].kind, error)

    def _read_on(self) -> None:
        """Read each kind on; one that is refused stops no other."""
        for kind in self._position.oldest_first:
            if any(isinstance(e, (ThrottledError, AuthError)) for e in self._errors.values()):
                return
            if kind in self._errors:
                continue
            try:
                self._read(kind)
            except OutriderError as error:
                self._stop_at(kind, error)

    def _stop_at(self, kind: str, error: OutriderError) -> None:
        """Read no more of a kind in this poll."""
        self._errors[kind] = error
        if isinstance(error, SubscriptionError) and not self._looked:
            # Somebody stopped it: the next poll looks, and starts it.
            self._position.checked = None
            self._moved = True

    def _read(self, kind: str) -> None:
        position, now = self._position, self._now
        feed = position.feeds[kind]
        lost = feed.forget(now + self._api.ahead)
        if lost is not None:
            position.gaps.lose(kind, OLD, *lost, now)
        while self._room > 0 and self._listings > 0 and (window := feed.window(now)) is not None:
            start, end = window
            listing = self._api.listing(kind, start, end, feed.most_pages(end))
            self._listings -= 1
            feed.listed = True
            if listing.contents:
                feed.started = None
            seen, gaps = position.seen, position.gaps
            fresh = [c for c in listing.contents if c.name not in seen and c.name not in gaps]
            given, error = self._give(fresh[: self._room])
            if not listing.whole:
                feed.narrow()
                self._moved = True
            elif given < len(fresh) or gaps.waits(kind):
                feed.hold(end)
            else:
                # A clock of ours that is ahead must not pass what the service has yet to list.
                listed = now - self._api.behind
                feed.done(min(end, listed), listed, listing.pages)
                self._moved |= end < listed
            if error is not None:
                raise error
            if feed.end is not None or end >= now:
                return

    def _give(self, contents: Sequence[Content]) -> tuple[int, OutriderError | None]:
        """Take blobs in; how many are done with, and why no more are."""
        position, done = self._position, 0
        for at in range(0, len(contents), _AT_ONCE):
            late = self._room < _BLOBS and self._monotonic() >= self._until
            if late or self.taken.received >= _RECORDS:
                self._room = 0
            if self._room <= 0:
                break
            part = contents[at : at + _AT_ONCE]
            self._room -= len(part)
            fetched = fetch(self._api, part)
            for content, body in fetched.got:
                path = f"{content.kind}/{content.name}"
                self.taken.take(body, path, content.created)
                position.gaps.settle(content)
                position.seen.add(content.name, content.created)
                self._moved = True
            done += len(fetched.got)
            for content, why in fetched.failed:
                if not self._note(content, why):
                    return done, RetriableError(
                        f"{SERVICE}, {content.kind}: more than {MOST_OWED} blobs cannot be had; "
                        "the position is held until they can: check the network, and proxies that "
                        "limit the size of answers",
                        retry_after=60.0,
                    )
                done += 1
            if fetched.error is not None:
                return done, fetched.error
        return done, None

    def _note(self, content: Content, why: str) -> bool:
        """Note a blob that could not be had; False if no more can be noted."""
        position = self._position
        if why == "AF20051":
            self._lose(content, why)
        elif content.name not in position.gaps and position.gaps.full:
            return False
        else:
            position.gaps.owe(content, why, self._now)
        self._moved = True
        return True

    def _lose(self, content: Content, why: str) -> None:
        self._position.gaps.lose_blob(content, why, self._now)
        self._position.seen.add(content.name, content.created)
