"""Which stretch of availability is listed next, for one kind of content.

What was listed less than two hours after its time is listed again: a blob may show later than
its time says. A stretch is passed when everything listed in it was given, or is known to be
missing; until then its end stands in the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.sources.activity_api import KEPT, LONGEST
from pipeline.model.clock import parse_rfc3339, rfc3339

OVERLAP: Final = timedelta(hours=2)
# A start that is 7 days back by our clock must not be older by the service's.
_MARGIN: Final = timedelta(minutes=5)
# The first reading leaves out what would be gone before it gets there.
_FIRST_MARGIN: Final = timedelta(hours=1)
# With the overlap this is the longest stretch that the service lists.
_WIDEST: Final = LONGEST - OVERLAP
_NARROWEST: Final = timedelta(minutes=5)
# A stretch with more pages is cut in two: it would be listed again for each 64 of its blobs.
_PAGES: Final = 8
_ALL: Final = 10_000


@dataclass(slots=True)
class Feed:
    """How far one kind of content is read; times are of availability, on full seconds.

    Attributes:
        begin: everything before was listed two hours after its time, and given.
        to: everything before was listed, and given.
        end: of the stretch under way, None between two.
        span: how much further the next stretch reaches at most.
        listed: whether the service ever listed anything, be it nothing.
        off: since when the subscription is known to be off, and not started yet.
        started: when it was started, until the first content.
    """

    begin: datetime
    to: datetime
    end: datetime | None = None
    span: timedelta = _WIDEST
    listed: bool = False
    off: datetime | None = None
    started: datetime | None = None

    @classmethod
    def new(cls, now: datetime, lookback: timedelta) -> Feed:
        """A feed that begins so long ago, if the service keeps so much."""
        begin = max(now - lookback, now - KEPT + _FIRST_MARGIN)
        return cls(begin, begin)

    def forget(self, now: datetime) -> tuple[datetime, datetime] | None:
        """Give up what the service keeps no more; the stretch that is lost so, if any.

        Args:
            now: by the service's clock.
        """
        edge = _edge(now)
        if self.begin >= edge:
            return None
        lost = (self.to, edge) if self.to < edge else None
        self.begin, self.to = edge, max(self.to, edge)
        if self.end is not None and self.end <= edge:
            self.end = None
        return lost

    def start_anew(self, now: datetime) -> None:
        """Begin now: there was no subscription before."""
        self.begin = self.to = self.started = now
        self.end = self.off = None

    def window(self, now: datetime) -> tuple[datetime, datetime] | None:
        """The stretch to list, None if there is none yet."""
        end = self.end or min(self.to + self.span, self.begin + LONGEST, now)
        return None if end <= self.begin else (self.begin, end)

    def most_pages(self, end: datetime) -> int:
        """So many pages of the stretch are read; one that cannot be cut is read to its end."""
        return _PAGES if end - self.begin > OVERLAP + _NARROWEST else _ALL

    def narrow(self) -> None:
        """Take shorter stretches: this one has too many pages."""
        self.end, self.span = None, max(self.span / 2, _NARROWEST)

    def hold(self, end: datetime) -> None:
        """Stay with the stretch: not everything in it was given."""
        self.end = end

    def done(self, end: datetime, now: datetime, pages: int) -> None:
        """Pass the stretch, which was listed whole, and everything in it given.

        Args:
            end: of the stretch.
            now: when it was listed, by the service's clock.
            pages: that it had.
        """
        self.begin = max(self.begin, min(end, now - OVERLAP))
        self.to, self.end = max(self.to, end), None
        if 2 * pages <= _PAGES:
            self.span = min(self.span * 2, _WIDEST)

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        moments = {"end": self.end, "off": self.off, "started": self.started}
        return {
            "begin": rfc3339(self.begin),
            "to": rfc3339(self.to),
            "span": int(self.span.total_seconds()),
            "listed": self.listed,
            **{k: rfc3339(v) for k, v in moments.items() if v is not None},
        }

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Feed:
        """What :meth:`stored` gave."""

        def moment(name: str) -> datetime | None:
            return parse_rfc3339(stored[name]) if name in stored else None

        return cls(
            begin=parse_rfc3339(stored["begin"]),
            to=parse_rfc3339(stored["to"]),
            end=moment("end"),
            span=timedelta(seconds=int(stored["span"])),
            listed=bool(stored["listed"]),
            off=moment("off"),
            started=moment("started"),
        )


def _edge(now: datetime) -> datetime:
    return now - KEPT + _MARGIN
