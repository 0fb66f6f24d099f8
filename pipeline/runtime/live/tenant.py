"""One tenant, live: records in any order in, revisions of flags and incidents out.

Three layers of time. The **ground** is judged for good, one whole UTC day at a time, as a
backfill judges it, once no record of that day can come any more (``GRACE``). The **head**, and
the hours since on a copy of it, are judged again as long as they are open
(:mod:`pipeline.runtime.live.open_hours`). What all three give is compared with what was issued
(:mod:`pipeline.model.issued`), and the difference goes out.
So late records change what they would have changed, and in the end everything is, by
construction, what a backfill of the same records gives.

The state is in two parts (:mod:`pipeline.runtime.live.parts`). The **ground part** (ground and
tail) depends on the records alone: it can be had again from an older copy and the records
since. The **issued part** says what has been told; it has to be kept with every document that
goes out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from pipeline.correlate.stopped import advance as watch
from pipeline.match.stage import advance as match
from pipeline.match.stage import drain
from pipeline.model.clock import from_us, to_us
from pipeline.runtime.live.open_hours import OpenHours, day_of
from pipeline.runtime.live.parts import GroundPart, Issue, IssuedPart, Truth
from pipeline.runtime.live.showing import Shows
from pipeline.runtime.live.silence import silence_notice, silent_feeds
from pipeline.runtime.live.tail import Tail
from pipeline.runtime.live.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.feed import FeedNotice
    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.model.vocabulary import Source
    from pipeline.runtime.judging import Settings

# The Activity API promises no bound; a record a day late is usual when it catches up, and 90
# minutes is its ordinary delay (rounded up).
GRACE: Final = timedelta(hours=26)
# A record of the future is a wrong clock somewhere; one that tells of next week would close
# all days before it.
AHEAD: Final = timedelta(days=1)
# Before anything is closed, a stray record must not open months of silence.
OLDEST: Final = timedelta(days=8)
# The Activity API hands content out for seven days: what a feed missed longer will not come.
KEPT: Final = timedelta(days=7)

_DAY: Final = timedelta(days=1)


class Tenant:
    """A tenant's records, judged as they come.

    Args:
        settings: of the stages.
        ground: state to go on from.
        issued: what was told so far.

    Attributes:
        shows: what judging shows to whoever looks; no part of the state.
        beat: called for each day that is judged for good.
    """

    def __init__(
        self,
        settings: Settings,
        ground: GroundPart | None = None,
        issued: IssuedPart | None = None,
    ) -> None:
        self.settings = settings
        self.ground = ground or GroundPart()
        self.issued = issued or IssuedPart()
        self._news = True
        self._tail = Tail(self.ground.tail)
        self.shows = Shows()
        self.beat: Callable[[], None] = lambda: None
        self._hours = OpenHours(settings, self.ground, self._tail, self.shows)

    @property
    def clock(self) -> datetime | None:
        """Newest moment any record speaks of."""
        return self.ground.clock

    @property
    def rows(self) -> int:
        """Records held that may still be judged again."""
        return len(self._tail)

    @property
    def completeness(self) -> dict[Source, float]:
        """See :class:`OpenHours`."""
        return self._hours.completeness

    def tell_time(self, clock: datetime) -> None:
        """Take notice that everything up to ``clock`` was asked for, though nothing came."""
        part = self.ground
        if part.clock is None or clock > part.clock:
            part.clock = clock
            self._news = True
            self._settle()

    def advise(self, advisories: Sequence[Advisory]) -> None:
        """Take in new versions of advisories."""
        self.ground.advisories += advisories
        self.shows.advised(advisories)
        self._news = True

    def hear(self, name: str, notice: FeedNotice) -> None:
        """Take notice of how a feed does; ``name`` is the tenant's own."""
        self.ground.name = name
        self.ground.feeds[notice.feed] = notice
        self._news = True

    def _sure_to(self, clock: datetime) -> datetime:
        """As far as the slowest feed came: its records are waited for, so long as it keeps them."""
        return max(min([clock, *self.ground.reached().values()]), clock - KEPT)

    def take(
        self,
        events: pa.Table,
        collected_at: datetime | None = None,
        bodies: tuple[bytes, ...] = (),
    ) -> None:
        """Take records in, of any time and in any order.

        Args:
            events: table of EVENT_SCHEMA, this tenant's only.
            collected_at: when they were read; records later than that by a day are refused.
            bodies: the same records packed, if they came so.
        """
        if not events.num_rows:
            return
        part = self.ground
        known = time = microseconds(events, "event_time")
        if events.column("received_time").null_count < len(time):
            known = np.maximum(time, microseconds(events, "received_time"))
        newest = int(known.max())
        if collected_at is not None and newest > to_us(collected_at + AHEAD):
            good = known <= to_us(collected_at + AHEAD)
            part.too_new += int((~good).sum())
            events, time, known = events.filter(pa.array(good)), time[good], known[good]
            bodies = ()
            if not len(time):
                return
            newest = int(known.max())
        clock = from_us(newest)
        if collected_at is not None:
            clock = min(clock, collected_at)
        part.clock = clock if part.clock is None else max(part.clock, clock)
        first = to_us(part.closed_to or day_of(part.clock - OLDEST))
        if int(time.min()) < first:
            late = time < first
            part.too_old += int(late.sum())
            events, time, bodies = events.filter(pa.array(~late)), time[~late], ()
        if events.num_rows:
            self.shows.took(events, time)
            self._tail.keep(events, time, bodies)
            self._hours.came(int(time.min()))
            self._news = True
            self._settle()

    def _settle(self) -> None:
        """Judge for good the days that no record can change any more."""
        part = self.ground
        if part.clock is None or not part.tail:
            return
        if part.closed_to is None:
            first = self._hours.start()
            if self._sure_to(part.clock) < first + _DAY + GRACE:
                return
            part.closed_to = first
        reached = part.reached()
        while self._sure_to(part.clock) >= part.closed_to + _DAY + GRACE:
            self.beat()
            start, end = part.closed_to, part.closed_to + _DAY
            judged = part.ground.advance(
                self.settings,
                self._tail.between(start, end),
                start=start,
                until=end,
                data_end=part.clock,
                reached=reached,
            )
            part.truth.add(judged)
            self.shows.settled(judged)
            part.closed_to = end
            self._tail.forget_before(end)
            self._hours.close()

    def judge(self, *, finish: bool = False) -> Issue:
        """Judge what is open by now, and tell what is new.

        Args:
            finish: nothing more will come; everything since the ground is judged in whole
                days, as at the end of a backfill.
        """
        part, issued = self.ground, self.issued
        if part.clock is None or not (self._news or finish):
            return Issue()
        now = part.clock
        truth, led, whole = Truth(), None, True
        if part.tail and finish:
            truth, led = self._hours.judge_last(now)
        elif part.tail:
            truth, led = self._hours.judge(now)
            whole = led is not None
        flags: list[Flag] = []
        incidents: list[Incident] = []
        if part.tail or part.closed_to is not None:
            flags, incidents = self._follow(truth, now, whole=whole, finish=finish)
        issued.matched, final = match(issued.matched, now, incidents, part.advisories)
        part.advisories = []
        if finish:
            issued.matched, last = drain(issued.matched)
            final = (*final, *last)
        silences = self._silences(now)
        notices = {**part.feeds, **silences}
        issued.stopped, silent = watch(issued.stopped, part.name, notices, now)
        self.shows.judged(
            now,
            completeness=self.completeness,
            feeds=part.feeds.values(),
            logs=silences.values(),
            known=part.ground.windows.memory.cells,
            watching=led,
        )
        issued.judged_to = now
        # A feed that works again is told of once it has done so for a while.
        self._news = bool(issued.stopped.told)
        return Issue(tuple(flags), (*final, *silent))

    def _follow(
        self, truth: Truth, now: datetime, *, whole: bool, finish: bool
    ) -> tuple[list[Flag], list[Incident]]:
        part, issued = self.ground, self.issued
        flags = [*part.truth.flags, *truth.flags]
        incidents = [*part.truth.incidents, *truth.incidents]
        horizon = now
        if finish:
            due = [issued.flags.due_at(f) for f in flags]
            due += [issued.incidents.due_at(i) for i in incidents]
            horizon = max([now, *due])
        return (
            issued.flags.follow(flags, horizon, judged_to=issued.judged_to, whole=whole),
            issued.incidents.follow(incidents, horizon, judged_to=issued.judged_to, whole=whole),
        )

    def _silences(self, now: datetime) -> dict[str, FeedNotice]:
        """Of logs that are read live: how each does by its records, however well its reader is."""
        part = self.ground
        watched = {s for n in part.feeds.values() for s in n.sources} - set(part.reached())
        newest = self._hours.newest
        if newest is None or not watched:
            return {}
        found = silent_feeds(newest.windows, now)
        return {source.value: silence_notice(source, now, found.get(source)) for source in watched}

    def prune(self) -> None:
        """Forget documents that nothing can change any more, before the state is stored.

        Both parts forget together, so a state restored must hold both as of one moment; and of
        days that were closed since the last judgement neither forgets, as that is still to come.
        """
        part, issued = self.ground, self.issued
        self._tail.join()
        if part.closed_to is None or issued.judged_to is None or issued.judged_to < part.closed_to:
            return
        issued.flags.forget_before(part.closed_to)
        issued.incidents.forget_before(part.closed_to, set(part.ground.correlated.cases))
        # The newest revision of each is what the next judgement is compared with.
        flags = {f.flag_id: f for f in part.truth.flags if f.flag_id in issued.flags.last}
        incidents = {
            i.incident_id: i for i in part.truth.incidents if i.incident_id in issued.incidents.last
        }
        part.truth = Truth(list(flags.values()), list(incidents.values()))
