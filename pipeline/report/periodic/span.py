"""The stretch of the calendar that a report is of: a day or a month of one time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.model.errors import ConfigError
from pipeline.notify.words import day, plural

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_HOUR: Final = timedelta(hours=1)


class Kind(StrEnum):
    """How long a report looks back."""

    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Period:
    """A day, or the month that begins with ``first``, by the clocks of ``zone`` (an IANA name)."""

    kind: Kind
    first: date
    zone: str = "UTC"

    @property
    def begin(self) -> datetime:
        """Its first moment, in UTC."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The first moment behind it, in UTC."""
        return _midnight(self._next(), self.zone)

    @property
    def hours(self) -> float:
        """How long it is; the days on which clocks change have 23 or 25 hours.

        >>> [Period(Kind.DAILY, date(2026, m, d), "Europe/Berlin").hours
        ...  for m, d in ((3, 28), (3, 29), (10, 25))]
        [24.0, 23.0, 25.0]
        """
        return (self.end - self.begin) / _HOUR

    @property
    def name(self) -> str:
        """As files are called.

        >>> Period(Kind.MONTHLY, date(2026, 3, 1)).name, Period(Kind.DAILY, date(2026, 3, 9)).name
        ('2026-03', '2026-03-09')
        """
        return self.first.isoformat()[: 10 if self.kind is Kind.DAILY else 7]

    @property
    def title(self) -> str:
        """As people say it, e.g. ``Thu 19 Mar 2026`` or ``March 2026``."""
        if self.kind is Kind.MONTHLY:
            return f"{_MONTHS[self.first.month - 1]} {self.first.year}"
        return day(datetime.combine(self.first, time(12), UTC))

    @property
    def noun(self) -> str:
        """``day`` or ``month``."""
        return "day" if self.kind is Kind.DAILY else "month"

    @property
    def when(self) -> str:
        """``on this day`` or ``in this month``."""
        return "on this day" if self.kind is Kind.DAILY else "in this month"

    @property
    def length(self) -> str:
        """How long it is, in words, e.g. ``23 hours`` or ``31 days``."""
        days = (self._next() - self.first).days
        return plural(self.hours, "hour") if self.kind is Kind.DAILY else plural(days, "day")

    def before(self) -> Period:
        """The period before this one."""
        last = self.first - timedelta(days=1)
        first = last if self.kind is Kind.DAILY else last.replace(day=1)
        return Period(self.kind, first, self.zone)

    def days(self) -> list[Period]:
        """Its days, in order."""
        number = (self._next() - self.first).days
        return [
            Period(Kind.DAILY, self.first + timedelta(days=n), self.zone) for n in range(number)
        ]

    def share_of(self, start: datetime, end: datetime) -> float:
        """Which share of a stretch lies inside, 0..1; a moment lies inside or it does not."""
        if end <= start:
            return float(self.begin <= start < self.end)
        inside = min(end, self.end) - max(start, self.begin)
        return max(inside / (end - start), 0.0)

    def touches(self, start: datetime, end: datetime) -> bool:
        """Whether any of a stretch lies inside."""
        return start < self.end and (end > self.begin or start >= self.begin)

    def holds(self, at: datetime | None) -> bool:
        """Whether a moment lies inside."""
        return at is not None and self.begin <= at < self.end

    def _next(self) -> date:
        if self.kind is Kind.DAILY:
            return self.first + timedelta(days=1)
        return (self.first.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(at: date, zone: str) -> datetime:
    # Where clocks skip midnight, the offset before the change names the same moment.
    return datetime.combine(at, time(0), ZoneInfo(zone)).astimezone(UTC)


def day_of(text: str | None, now: datetime, zone: str) -> Period:
    """The day that ``text`` names (``2026-03-19``); None = the last whole day before ``now``.

    Raises:
        ConfigError: it is no date.
    """
    if text is None:
        return Period(Kind.DAILY, now.astimezone(ZoneInfo(zone)).date(), zone).before()
    try:
        return _possible(Period(Kind.DAILY, date.fromisoformat(text), zone))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--date: {text!r} is no date; write 2026-03-19") from error


def month_of(text: str | None, now: datetime, zone: str) -> Period:
    """The month that ``text`` names (``2026-03``); None = the last whole month before ``now``.

    Raises:
        ConfigError: it is no month.
    """
    if text is None:
        today = now.astimezone(ZoneInfo(zone)).date()
        return Period(Kind.MONTHLY, today.replace(day=1), zone).before()
    try:
        # A date of more than a month, "2026-03-19", would be read as another month in silence.
        return _possible(Period(Kind.MONTHLY, date.fromisoformat(f"{text}-01"), zone))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--month: {text!r} is no month; write 2026-03") from error


def _possible(period: Period) -> Period:
    """The period, if it and the one before lie in the calendar (years 1 to 9999)."""
    _ = period.before().begin, period.end
    return period
