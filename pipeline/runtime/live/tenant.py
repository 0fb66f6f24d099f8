"""One tenant, live: records in any order in, revisions of flags and incidents out.

Three layers of time. The **ground** is judged for good, one whole UTC day at a time, as a
backfill judges it, once no record of that day can come any more (``GRACE``). The **head** is
a copy of it, led on over the hours that are probably whole, an hour further each hour; it is
made anew from the ground when something came that it should have known. The hours since are
judged on a copy of the head whenever there is news. What all three give is compared with what
was issued (:mod:`pipeline.model.issued`), and the difference goes out.
So late records change what they would have changed, and in the end everything is, by
construction, what a backfill of the same records gives.

The state is in two parts (:mod:`pipeline.runtime.live.parts`). The **ground part** (ground,
tail, head) depends on the records alone: it can be had again from an older copy and the records
since. The **issued part** says what has been told; it has to be kept with every document that
goes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from pipeline.correlate.stopped import advance as watch
from pipeline.match.stage import advance as match
from pipeline.match.stage import drain
from pipeline.model.clock import from_us, to_us
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.runtime.live.parts import GroundPart, Issue, IssuedPart, Truth
from pipeline.runtime.live.showing import Shows
from pipeline.runtime.live.silence import silence_notice, silent_feeds
from pipeline.runtime.live.tail import Tail, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.model.vocabulary import Source
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.judging import Judging, Settings

# The Activity API promises no bound; a record a day late is usual when it catches up, and 90
# minutes is its ordinary delay (rounded up).
GRACE: Final = timedelta(hours=26)
# Behind the clock by twice the ordinary delay of the slowest log, nearly all is there.
HEAD_LAG: Final = timedelta(hours=3)
# A record of the future is a wrong clock somewhere; one that tells of next week would close
# all days before it.
AHEAD: Final = timedelta(days=1)
# Before anything is closed, a stray record must not open months of silence.
OLDEST: Final = timedelta(days=8)
# The Activity API hands content out for seven days: what a feed missed longer will not come.
KEPT: Final = timedelta(days=7)

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Head:
    """The ground led on to ``to``, in ``hour``, and what that gave.

    ``settled`` is how long its feeds need for a minute; the head is not ``firm`` once the same
    hours judged again would give something else.
    """

    judging: Judging
    truth: Truth
    to: datetime
    hour: datetime
    settled: timedelta = timedelta(0)
    firm: bool = True


class Tenant:
    """A tenant's records, judged as they come.

    Args:
        settings: of the stages.
        ground: state to go on from.
        issued: what was told so far.

    Attributes:
        completeness: by source, the share of the last hour's records that are here by the
            last judgement, 0 = blind; a source that was never heard of is not in it.
        shows: what judging shows to whoever looks; no part of the state.
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
        self._head: _Head | None = None
        self._open: Judging | None = None
        self._news = True
        self._tail = Tail(self.ground.tail)
        self.completeness: dict[Source, float] = {}
        self.shows = Shows()
        self._watching: Judging | None = None

    @property
    def clock(self) -> datetime | None:
        """Newest moment any record speaks of."""
        return self.ground.clock

    @property
    def rows(self) -> int:
        """Records held that may still be judged again."""
        return len(self._tail)

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

    @property
    def _reached(self) -> dict[Source, datetime]:
        """Of sources whose feed is behind or fails, how far it came."""
        reached: dict[Source, datetime] = {}
        for notice in self.ground.feeds.values():
            if notice.state is not FeedState.WORKING:
                for source in notice.sources:
                    reached[source] = min(notice.complete_to, reached.get(source, notice.at))
        return reached

    def _sure_to(self, clock: datetime) -> datetime:
        """As far as the slowest feed came: its records are waited for, so long as it keeps them."""
        return max(min([clock, *self._reached.values()]), clock - KEPT)

    def take(self, events: pa.Table, collected_at: datetime | None = None) -> None:
        """Take records in, of any time and in any order.

        Args:
            events: table of EVENT_SCHEMA, this tenant's only.
            collected_at: when they were read; records later than that by a day are refused.
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
            if not len(time):
                return
            newest = int(known.max())
        clock = from_us(newest)
        if collected_at is not None:
            clock = min(clock, collected_at)
        part.clock = clock if part.clock is None else max(part.clock, clock)
        first = to_us(part.closed_to or _day(part.clock - OLDEST))
        if int(time.min()) < first:
            late = time < first
            part.too_old += int(late.sum())
            events, time = events.filter(pa.array(~late)), time[~late]
        if events.num_rows:
            self.shows.took(events, time)
            self._tail.keep(events, time)
            if self._head is not None and int(time.min()) < to_us(self._head.to):
                self._head.firm = False
            self._news = True
            self._settle()

    def _settle(self) -> None:
        """Judge for good the days that no record can change any more."""
        part = self.ground
        if part.clock is None or not part.tail:
            return
        if part.closed_to is None:
            first = _day(from_us(self._tail.oldest))
            if self._sure_to(part.clock) < first + _DAY + GRACE:
                return
            part.closed_to = first
        reached = self._reached
        while self._sure_to(part.clock) >= part.closed_to + _DAY + GRACE:
            start = part.closed_to
            for begin, end in _days(start, start + _DAY):
                judged = part.ground.advance(
                    self.settings,
                    self._tail.between(begin, end),
                    start=begin,
                    until=end,
                    data_end=part.clock,
                    reached=reached,
                )
                part.truth.add(judged)
                self.shows.settled(judged)
            part.closed_to = start + _DAY
            self._tail.forget_before(part.closed_to)
            self._head = None

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
        whole = True
        truth: Truth | None = Truth()
        if part.tail:
            truth, whole = self._judge_all(now) if finish else self._judge_open(now)
        elif part.closed_to is None:
            truth = None
        flags: list[Flag] = []
        incidents: list[Incident] = []
        if truth is not None:
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
            watching=self._watching,
        )
        self._watching = None
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

    def _start(self) -> datetime:
        """First moment that is not judged for good."""
        part = self.ground
        if part.closed_to is not None:
            return part.closed_to
        return _day(from_us(self._tail.oldest))

    def _judge_all(self, now: datetime) -> tuple[Truth, bool]:
        judging, truth = self.ground.ground.copy(), Truth()
        end = _day(from_us(self._tail.newest)) + _DAY
        self._lead(judging, truth, self._start(), max(end, self._start()), now, finish=True)
        # At the end of all records none is waited for: no log is silent.
        self._head, self._watching, self._open = None, judging, None
        return truth, True

    def _judge_open(self, now: datetime) -> tuple[Truth, bool]:
        """The truth by now, and whether the head is of this hour, so that all of it counts."""
        hour = _floor(now)
        head = self._head
        fresh = head is None or head.hour != hour
        if head is None or fresh:
            if head is None or not head.firm or not self._knows(head.to, head.settled, now):
                start = self._start()
                head = _Head(self.ground.ground.copy(), Truth(), start, hour)
            self._lead_head(head, hour, now)
            self._head, self._watching = head, head.judging
        truth = Truth(list(head.truth.flags), list(head.truth.incidents))
        self._open = head.judging.copy()
        self._lead(self._open, truth, head.to, hour + _HOUR, now)
        return truth, fresh

    def _lead_head(self, head: _Head, hour: datetime, now: datetime) -> None:
        """Lead the head on to where it belongs in ``hour``."""
        until = max(head.to, hour - HEAD_LAG)
        settled = self._lead(head.judging, head.truth, head.to, until, now)
        head.settled = max(head.settled, settled)
        head.to, head.hour = until, hour
        head.firm = self._knows(until, head.settled, now)

    def _knows(self, moment: datetime, settled: timedelta, now: datetime) -> bool:
        """Whether each feed has come so far that no minute before ``moment`` is incomplete."""
        return min([now, *self._reached.values()]) - moment >= settled

    def _silences(self, now: datetime) -> dict[str, FeedNotice]:
        """Of logs that are read live: how each does by its records, however well its reader is."""
        part = self.ground
        watched = {s for n in part.feeds.values() for s in n.sources} - set(self._reached)
        if self._open is None or not watched:
            return {}
        found = silent_feeds(self._open.windows, now)
        return {source.value: silence_notice(source, now, found.get(source)) for source in watched}

    def _lead(
        self,
        judging: Judging,
        truth: Truth,
        start: datetime,
        until: datetime,
        now: datetime,
        *,
        finish: bool = False,
    ) -> timedelta:
        """Judge a stretch; gives how long its slowest feed needs until a minute is known."""
        reached, settled = self._reached, 0.0
        for begin, end in _days(start, until):
            events = self._tail.between(begin, end)
            judged = judging.advance(
                self.settings, events, start=begin, until=end, data_end=now, reached=reached
            )
            truth.add(judged)
            self.shows.led(judged, now, finish=finish)
            settled = max([settled, *(late for _, late in judged.block.settle.values())])
            if begin <= now <= end:
                self._look(judged.block, now)
        return timedelta(seconds=settled)

    def _look(self, block: WindowBlock, now: datetime) -> None:
        minutes = int((now - block.start).total_seconds() // 60)
        last_hour = slice(max(0, minutes - 60), max(1, minutes))
        self.completeness = {
            source: float(there[last_hour].mean())
            for (_, source), there in block.completeness.items()
        }

    def prune(self) -> None:
        """Forget documents that nothing can change any more, before the state is stored.

        Both parts forget together, so a state restored must hold both as of one moment.
        """
        part, issued = self.ground, self.issued
        self._tail.join()
        if part.closed_to is None:
            return
        needed = set(part.ground.correlated.cases)
        issued.flags.forget_before(part.closed_to)
        issued.incidents.forget_before(part.closed_to, needed)
        # The newest revision of each is what the next judgement is compared with.
        flags = {f.flag_id: f for f in part.truth.flags if f.flag_id in issued.flags.last}
        incidents = {
            i.incident_id: i for i in part.truth.incidents if i.incident_id in issued.incidents.last
        }
        if issued.judged_to is not None and issued.judged_to >= part.closed_to:
            part.truth = Truth(list(flags.values()), list(incidents.values()))


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _days(start: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, until) cut at midnight UTC."""
    while start < until:
        end = min(_day(start) + _DAY, until)
        yield start, end
        start = end
