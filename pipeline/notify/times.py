"""Named times: weekly hours or a stretch of dates, in a time zone.

A time of the clock that does not exist (the hour that spring skips) counts as the moment the clock
goes on; one that exists twice (autumn) begins at the first and ends at the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

_DAY: Final = timedelta(days=1)
# Hours that follow each other without a gap are one stretch; longer ones have no end to name.
_MOST: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Weekly:
    """Hours of some days of the week.

    Attributes:
        zone: whose clock counts.
        days: on which they begin, Monday is 0.
        start, end: of the clock; an ``end`` at or before ``start`` is on the next day.
    """

    zone: ZoneInfo
    days: frozenset[int]
    start: time
    end: time

    def around(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretches that may hold a moment, in UTC."""
        today = moment.astimezone(self.zone).date()
        for day in (today - _DAY, today):
            if day.weekday() in self.days:
                last = day if self.end > self.start else day + _DAY
                yield _utc(day, self.start, self.zone, 0), _utc(last, self.end, self.zone, 1)


@dataclass(frozen=True, slots=True)
class Dated:
    """One stretch, from ``start`` until before ``end``, both in UTC."""

    start: datetime
    end: datetime

    def around(self, _moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretch itself."""
        yield self.start, self.end


def until(times: Iterable[Weekly | Dated], moment: datetime) -> datetime | None:
    """When the times that hold a moment end; None if none of them holds it.

    Times that touch are one stretch; of one that goes on for ever the end is 400 days ahead.
    """
    known, at = tuple(times), moment
    while at - moment < _MOST:
        ends = [e for t in known for s, e in t.around(at) if s <= at < e]
        if not ends:
            return None if at == moment else at
        at = max(ends)
    return at


def in_zone(at: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    """A time of the clock without a zone, in UTC; ``fold`` 0 = the first of two, 1 = the second."""
    return at.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _utc(day: date, at: time, zone: ZoneInfo, fold: int) -> datetime:
    return in_zone(datetime.combine(day, at), zone, fold=fold)
