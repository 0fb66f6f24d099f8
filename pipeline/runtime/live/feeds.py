"""All live sources and feeds of a process, read into a harvest.

None of them is waited for, and one that fails stops nobody else: what it says of itself goes
to its tenants as a notice, since a source that has stopped is news of its own.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.feed import FeedState
from pipeline.runtime.live.background import Background, seconds_missing
from pipeline.runtime.live.messages import Kind, Message, event_messages, pack_notice
from pipeline.runtime.live.rejects import letter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.advisory import Advisory
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryPoll, Poll
    from pipeline.model.feed import FeedNotice
    from pipeline.runtime.live.background import Live
    from pipeline.runtime.live.reading import Harvest
    from pipeline.runtime.metrics import Metrics

_MINUTE: Final = timedelta(minutes=1)
# While a feed is not well, its tenants hear how far it is by now.
_AGAIN: Final = timedelta(minutes=5)


class Feeds:
    """Reads the live ones.

    Args:
        sources: of logs.
        advisories: feeds of advisories; each is for all tenants, or for the one it names.
        unnamed: gives the tenant of records that name none.
        clock: tells the time.
        metrics, log: what others see of it.
        pool: of threads; None = they are asked on the caller's thread.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        sources: Sequence[Live],
        advisories: Sequence[Live],
        *,
        unnamed: Callable[[], str],
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
        pool: Executor | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        shared: dict[str, Any] = {"pool": pool, "clock": clock, "metrics": metrics, "log": log}
        shared["monotonic"] = monotonic
        self._sources: list[Background[Poll]] = [Background(s, **shared) for s in sources]
        self._advisories: list[Background[AdvisoryPoll]] = [
            Background(f, **shared) for f in advisories
        ]
        # The same feed, asked for everything: for tenants that have just come.
        self._whole: list[Background[AdvisoryPoll]] = [Background(f, **shared) for f in advisories]
        self._unnamed, self._clock, self._metrics = unnamed, clock, metrics
        self._ticked: datetime | None = None
        self._noticed: dict[tuple[str, str], FeedNotice] = {}
        self._fresh: list[tuple[tuple[str, str], FeedNotice]] = []

    @property
    def any(self) -> bool:
        """Whether there is something live at all."""
        return bool(self._sources or self._advisories)

    @property
    def tenants(self) -> set[str]:
        """Those that are known without a record of theirs."""
        return {b.live.tenant for b in self._each if b.live.tenant is not None}

    @property
    def _each(self) -> list[Background[Any]]:
        return [*self._sources, *self._advisories]

    @property
    def problem(self) -> str | None:
        """What is wrong with those that do not work, one sentence for each."""
        found = [f"{b.live.name}: {n.problem}" for b, n in self._notices() if _unwell(n)]
        return "; ".join(found) or None

    def read(
        self,
        harvest: Harvest,
        cursor: Callable[[str], dict[str, Any] | None],
        tenants: Collection[str],
    ) -> None:
        """Add what has come by now.

        Args:
            harvest: to add to; what other sources brought may be in it.
            cursor: gives the place to read on.
            tenants: those known so far.
        """
        for source in self._sources:
            self._read_source(source, cursor(source.live.name), harvest)
        known = {*tenants, *harvest.tenants, *self.tenants}
        for feed, whole in zip(self._advisories, self._whole, strict=True):
            self._read_advisories(feed, whole, cursor, harvest, known)
        self._tell_time(harvest, known)
        self._tell_notices(harvest, known)
        self._measure()

    def keep(self) -> None:
        """Take notice that what was read last is durable."""
        self._noticed.update(self._fresh)
        self._fresh = []

    def _read_source(
        self, source: Background[Poll], cursor: dict[str, Any] | None, harvest: Harvest
    ) -> None:
        poll = source.ask(cursor)
        if poll is None:
            return
        now = self._clock.now()
        harvest.cursors[source.live.name] = dict(poll.cursor)
        harvest.letters += [letter(r, now) for r in poll.rejects]
        unnamed = source.live.tenant or self._unnamed()
        harvest.messages += event_messages(poll.batches, unnamed, poll.read_at or now)
        harvest.caught_up &= not poll.batches

    def _read_advisories(
        self,
        feed: Background[AdvisoryPoll],
        whole: Background[AdvisoryPoll],
        cursor: Callable[[str], dict[str, Any] | None],
        harvest: Harvest,
        known: set[str],
    ) -> None:
        name = feed.live.name
        wanted = known if feed.live.tenant is None else {feed.live.tenant}
        key = f"{name}:told"
        told = set((cursor(key) or {"tenants": []})["tenants"]) & wanted
        new = feed.ask(cursor(name))
        if new is not None:
            harvest.cursors[name] = dict(new.cursor)
            now = self._clock.now()
            harvest.letters += [letter(r, now) for r in new.rejects]
            self._advise(harvest, told, new.advisories)
        if wanted - told and (every := whole.ask(None)) is not None:
            self._advise(harvest, wanted - told, every.advisories)
            harvest.cursors[key] = {"v": 1, "tenants": sorted(wanted)}

    @staticmethod
    def _advise(harvest: Harvest, tenants: set[str], advisories: Sequence[Advisory]) -> None:
        if advisories:
            harvest.advisories += advisories
            harvest.advise(sorted(tenants), advisories)

    def _tell_time(self, harvest: Harvest, known: set[str]) -> None:
        """Time goes on for everybody, each minute, whether or not anything came."""
        now, ticked = self._clock.now(), self._ticked
        # A clock that was set back, by hours in places, must not stop time until it is there again.
        if not self.any or (ticked is not None and ticked <= now < ticked + _MINUTE):
            return
        self._ticked = now
        quiet = known - harvest.tenants
        harvest.messages += [Message(tenant, Kind.CLOCK, now) for tenant in sorted(quiet)]

    def _tell_notices(self, harvest: Harvest, known: set[str]) -> None:
        for background, notice in self._notices():
            live = background.live
            if not background.standing.answered and not _unwell(notice):
                continue  # nobody knows yet
            for tenant in sorted(known if live.tenant is None else {live.tenant}):
                before = self._noticed.get((tenant, live.name))
                if before is None or _news(before, notice):
                    body = pack_notice(notice)
                    harvest.messages.append(Message(tenant, Kind.FEED, notice.at, body))
                    self._fresh.append(((tenant, live.name), notice))

    def _notices(self) -> list[tuple[Background[Any], FeedNotice]]:
        return [(b, b.notice()) for b in self._each]

    def _measure(self) -> None:
        """By kind, the worst of all tenants."""
        metrics = self._metrics
        lag: dict[str, float] = {}
        missing: dict[str, float] = {}
        unwell: dict[str, int] = {}
        for background, notice in self._notices():
            kind = background.live.kind
            lag[kind] = max(lag.get(kind, 0.0), notice.late.total_seconds())
            missing[kind] = missing.get(kind, 0.0) + seconds_missing(background.standing)
            unwell[kind] = unwell.get(kind, 0) + _unwell(notice)
        for kind, seconds in lag.items():
            metrics.source_lag.labels(kind).set(seconds)
            metrics.source_missing.labels(kind).set(missing[kind])
            metrics.source_unwell.labels(kind).set(unwell[kind])


def _unwell(notice: FeedNotice) -> bool:
    return notice.state is not FeedState.WORKING


def _news(before: FeedNotice, now: FeedNotice) -> bool:
    if (before.state, before.problem) != (now.state, now.problem):
        return True
    return _unwell(now) and not before.at <= now.at < before.at + _AGAIN
