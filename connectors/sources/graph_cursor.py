"""How far a report of Microsoft Graph is read: the cursor of a source that reads by windows.

``{"v": 1, "at": [...], "width": seconds, "seen": {...}, "missing": [...], "whole": bool}``:
positions of the first reading and of each later one, in that order; length of the next window;
digests of the records that a later reading will meet again, in base64 by the end of the five
minutes in which they were looked for; stretches that are lacking.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connectors.sources.cursors import reading
from connectors.sources.graph_listing import DIGEST_BYTES
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.contracts import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.model.contracts import Cursor

VERSION: Final = 1
SECOND: Final = timedelta(seconds=1)
# As long as events are told apart (eight days): by then everybody has been told.
REMEMBERED: Final = timedelta(days=8)
FIRST_WIDTH: Final = timedelta(minutes=10)
_PAGES: Final = 2  # that a window is to have
FULL_PAGES: Final = 3  # that it may have, so that one always fits into what a poll has left
# Of a window's width that fits most probably into so many pages.
_SHARES: Final = {1: 0.4, 2: 0.7}
_STEP: Final = timedelta(seconds=30)  # the shortest stretch that is worth a request
_SLICE: Final = timedelta(minutes=5)  # the same for what is read again
_WIDEST: Final = timedelta(hours=12)
_GRID: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Lack(NamedTuple):
    """A stretch that is lacking: why, as a word, and when that was found."""

    start: datetime
    end: datetime
    why: str
    found: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is read next.

    Attributes:
        reading: which one it is, 0 = the first.
        start: whole second; where that reading stands.
        end: whole second.
        planned: when that was.
    """

    reading: int
    start: datetime
    end: datetime
    planned: datetime

    @property
    def length(self) -> timedelta:
        """Time between its ends."""
        return self.end - self.start


@dataclass(slots=True)
class Place:
    """A cursor to work on.

    Attributes:
        at: up to where each reading is done: the first one, and the later ones of it.
        width: of the next window.
        seen: digests by the end of the time in which their records lie.
        lacks: what is missing, in order.
        whole: whether whole records are asked for.
    """

    at: list[datetime]
    width: timedelta = FIRST_WIDTH
    seen: dict[datetime, list[bytes]] = field(default_factory=dict)
    lacks: list[Lack] = field(default_factory=list)
    whole: bool = False

    def cursor(self) -> Cursor:
        """As plain JSON."""
        return {
            "v": VERSION,
            "at": [rfc3339(t) for t in self.at],
            "width": int(self.width.total_seconds()),
            "seen": {
                rfc3339(end): base64.b64encode(b"".join(digests)).decode()
                for end, digests in sorted(self.seen.items())
            },
            "missing": [
                [rfc3339(k.start), rfc3339(k.end), k.why, rfc3339(k.found)] for k in self.lacks
            ],
            "whole": self.whole,
        }

    def next(
        self, now: datetime, ages: Sequence[timedelta], pages: int = FULL_PAGES
    ) -> Stretch | None:
        """What to read next, None = nothing yet.

        Args:
            now: the present.
            ages: of a stretch at each reading, growing.
            pages: that there are requests for; with fewer than three a window is shorter, so
                that what is left of a budget is of use.
        """
        found = self._due(now, ages)
        share = _SHARES.get(pages)
        if found is None or share is None:
            return found
        width = max(timedelta(seconds=int(self.width.total_seconds() * share)), SECOND)
        return replace(found, end=min(found.end, found.start + width))

    def _due(self, now: datetime, ages: Sequence[timedelta]) -> Stretch | None:
        at, first = self.at, self.at[0]
        old = _old(now, ages)
        again = range(len(at) - 1, 0, -1)
        # After an outage: what was read before it is looked at again first, so that from there
        # on one reading is enough.
        for n in again:
            if at[n] < first < old[n]:
                return Stretch(n, at[n], min(at[n] + self.width, first), now)
        if first + _STEP <= old[0]:
            # Up to where this reading will do for a later one too.
            ends = [old[n] for n in again if at[n] == first and first + _STEP <= old[n]]
            return Stretch(0, first, min(first + self.width, old[0], *ends), now)
        for n in again:
            end = min(old[n], first)
            if at[n] + _SLICE <= end:
                return Stretch(n, at[n], min(at[n] + self.width, end), now)
        return None

    def move(self, stretch: Stretch, now: datetime, ages: Sequence[timedelta]) -> None:
        """Take notice that a stretch was read.

        It counts as done for every reading that it was old enough for, so that after an
        outage nothing is read twice; and only up to where it was old enough at all.

        Args:
            stretch: that was read.
            now: the present by what is known since; a clock that was ahead is corrected by
                the service's first answer.
            ages: as for :meth:`next`.
        """
        old = _old(min(now, stretch.planned), ages)
        end = min(stretch.end, old[stretch.reading])
        for n, at in enumerate(self.at):
            if stretch.start <= at <= end <= old[n]:
                self.at[n] = end

    def adapt(self, stretch: Stretch, pages: float) -> None:
        """Make the next window hold two pages, in not more than twice this one's time."""
        fitting = stretch.length * (_PAGES / max(pages, 0.001))
        if stretch.length >= self.width or fitting < self.width:
            wide = min(fitting, self.width * 2, _WIDEST)
            self.width = max(timedelta(seconds=int(wide.total_seconds())), SECOND)

    def remember(self, end: datetime, digests: Iterable[bytes], most: int) -> None:
        """Keep the digests of a stretch that will be read again, and forget those that will not.

        Above ``most`` the oldest are forgotten: their records come twice, and are counted
        once all the same.
        """
        if end > self.at[-1]:
            self.seen.setdefault(_on_grid(end), []).extend(digests)
        for key in sorted(self.seen):
            if key <= self.at[-1] or not self.seen[key]:
                del self.seen[key]
        over = sum(len(digests) for digests in self.seen.values()) - most
        for key in sorted(self.seen):
            if over <= 0:
                break
            over -= len(self.seen[key])
            self.seen[key] = self.seen[key][over:] if over < 0 else []
            if not self.seen[key]:
                del self.seen[key]

    def lack(self, start: datetime, end: datetime, why: str, now: datetime) -> None:
        """Note that a stretch is missing, once."""
        self.fill(start, end)
        last = next((k for k in self.lacks if k.end == start and k.why == why), None)
        if last is not None:
            self.lacks.remove(last)
            start = last.start
        self.lacks = sorted([*self.lacks, Lack(start, end, why, now)])

    def fill(self, start: datetime, end: datetime) -> None:
        """Note that a stretch is missing no more."""
        left = []
        for k in self.lacks:
            if k.end <= start or end <= k.start:
                left.append(k)
                continue
            if k.start < start:
                left.append(k._replace(end=start))
            if end < k.end:
                left.append(k._replace(start=end))
        self.lacks = left

    def missing(self, now: datetime, reasons: Mapping[str, str]) -> tuple[Missing, ...]:
        """What is missing, told for eight days."""
        self.lacks = [k for k in self.lacks if now - k.found < REMEMBERED]
        return tuple(Missing(k.start, k.end, reasons.get(k.why, k.why)) for k in self.lacks)


def place_of(cursor: Cursor, name: str, readings: int) -> Place:
    """The place that a cursor tells.

    Args:
        cursor: as it was stored; it is left alone.
        name: of the source, for messages.
        readings: of each stretch, the first included.

    Raises:
        StateError: it is another version's, or damaged.
    """
    with reading(cursor, VERSION, name):
        at = [parse_rfc3339(t) for t in cursor["at"]][:readings]
        place = Place(
            # A reading that was added since then has nothing to do with what is done.
            at=at + at[-1:] * (readings - len(at)),
            width=timedelta(seconds=max(int(cursor["width"]), 1)),
            seen={parse_rfc3339(end): _digests(text) for end, text in cursor["seen"].items()},
            lacks=[
                Lack(parse_rfc3339(a), parse_rfc3339(b), str(why), parse_rfc3339(found))
                for a, b, why, found in cursor["missing"]
            ],
            whole=bool(cursor["whole"]),
        )
        if len(place.at) != readings or place.at != sorted(place.at, reverse=True):
            raise ValueError(name)
    return place


def narrowed(length: timedelta, times: int) -> timedelta:
    """A window so many times as short, in whole seconds and not shorter than one."""
    return max(timedelta(seconds=int(length.total_seconds()) // times), SECOND)


def seconds(moment: datetime) -> datetime:
    """The whole second before, which every filter understands."""
    return moment.replace(microsecond=0)


def _old(now: datetime, ages: Sequence[timedelta]) -> list[datetime]:
    """By reading, the moment before which everything is old enough for it."""
    return [seconds(now - age) for age in ages]


def _digests(text: Any) -> list[bytes]:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error
    return [data[n : n + DIGEST_BYTES] for n in range(0, len(data), DIGEST_BYTES)]


def _on_grid(moment: datetime) -> datetime:
    """The end of the five minutes that a moment lies in."""
    return _EPOCH + -((_EPOCH - moment) // _GRID) * _GRID
