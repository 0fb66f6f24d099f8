"""A tenant's hours since its ground: judged up to the head, and from there on a copy of it.

The **head** is a copy of the ground, led on over the hours that are probably whole, an hour
further each hour. It is made anew from the ground when something came that it should have known.
The hours since are judged on a copy of the head whenever there is news.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import from_us, to_us
from pipeline.runtime.live.parts import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipeline.model.vocabulary import Source
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.judging import Judging, Settings
    from pipeline.runtime.live.parts import GroundPart
    from pipeline.runtime.live.showing import Shows
    from pipeline.runtime.live.tail import Tail

# Behind the clock by twice the ordinary delay of the slowest log, nearly all is there.
HEAD_LAG: Final = timedelta(hours=3)

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


class OpenHours:
    """What is judged but not for good.

    Args:
        settings: of the stages.
        part: holds the ground, and how the feeds do; read only.
        tail: the records since the ground; what is read each minute is held there.
        shows: is told what each stretch gave.

    Attributes:
        newest: the judging that knows the newest hour; None before the first, and once nothing
            more will come.
        completeness: by source, the share of the last hour's records that are here by the
            last judgement, 0 = blind; a source that was never heard of is not in it.
    """

    def __init__(self, settings: Settings, part: GroundPart, tail: Tail, shows: Shows) -> None:
        self._settings, self._part, self._tail, self._shows = settings, part, tail, shows
        self._head: _Head | None = None
        self.newest: Judging | None = None
        self.completeness: dict[Source, float] = {}

    def came(self, oldest: int) -> None:
        """Take notice of records, the oldest of this moment (microseconds since 1970)."""
        if self._head is not None and oldest < to_us(self._head.to):
            self._head.firm = False

    def close(self) -> None:
        """Take notice that a day of them was judged for good."""
        self._head = None
        self._tail.hold_from(None)

    def start(self) -> datetime:
        """First moment that is not judged for good; there are records in the tail."""
        return self._part.closed_to or day_of(from_us(self._tail.oldest))

    def judge(self, now: datetime) -> tuple[Truth, Judging | None]:
        """Judge all of them as of ``now``.

        Returns:
            The truth by now, and the head where it was led on to a new hour: then all of the
            truth counts, also what it no longer holds.
        """
        hour = now.replace(minute=0, second=0, microsecond=0)
        head, led = self._head, None
        if head is None or head.hour != hour:
            if head is None or not head.firm or not self._knows(head.to, head.settled, now):
                head = _Head(self._part.ground.copy(), Truth(), self.start(), hour)
            self._lead_head(head, hour, now)
            self._head, led = head, head.judging
            self._tail.hold_from(head.to)
        truth = Truth(list(head.truth.flags), list(head.truth.incidents))
        self.newest = head.judging.copy()
        self._lead(self.newest, truth, head.to, hour + _HOUR, now)
        return truth, led

    def judge_last(self, now: datetime) -> tuple[Truth, Judging]:
        """Judge all of them in whole days, as a backfill does: nothing more will come."""
        judging, truth = self._part.ground.copy(), Truth()
        end = day_of(from_us(self._tail.newest)) + _DAY
        self._lead(judging, truth, self.start(), max(end, self.start()), now, finish=True)
        # At the end of all records none is waited for: no log is silent.
        self._head, self.newest = None, None
        return truth, judging

    def _lead_head(self, head: _Head, hour: datetime, now: datetime) -> None:
        """Lead the head on to where it belongs in ``hour``."""
        until = max(head.to, hour - HEAD_LAG)
        settled = self._lead(head.judging, head.truth, head.to, until, now)
        head.settled = max(head.settled, settled)
        head.to, head.hour = until, hour
        head.firm = self._knows(until, head.settled, now)

    def _knows(self, moment: datetime, settled: timedelta, now: datetime) -> bool:
        """Whether each feed has come so far that no minute before ``moment`` is incomplete."""
        return min([now, *self._part.reached().values()]) - moment >= settled

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
        reached, settled = self._part.reached(), 0.0
        for begin, end in _days(start, until):
            events = self._tail.between(begin, end)
            judged = judging.advance(
                self._settings, events, start=begin, until=end, data_end=now, reached=reached
            )
            truth.add(judged)
            self._shows.led(judged, now, finish=finish)
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


def day_of(moment: datetime) -> datetime:
    """The begin of its UTC day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _days(start: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, until) cut at midnight UTC."""
    while start < until:
        end = min(day_of(start) + _DAY, until)
        yield start, end
        start = end
