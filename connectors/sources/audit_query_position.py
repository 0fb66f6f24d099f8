"""The cursor of the audit log's searches: which stretch is next, and the search under way.

Searches are by the time of the *event*. Records come 60 to 90 minutes later as a rule, and most
within 24 hours: each stretch is searched again until two hours after its time, and once more a
day later.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connectors.sources.audit_query_api import SERVICE, VERSIONS, Version
from connectors.sources.cursors import reading
from connectors.sources.seen import Seen
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.contracts import Missing

if TYPE_CHECKING:
    from pipeline.model.contracts import Cursor

VERSION: Final = 1
# The audit log keeps 180 days and more, yet half a year would be 720 searches of an hour each.
FURTHEST: Final = timedelta(days=30)
OVERLAP: Final = timedelta(hours=2)
LATE: Final = timedelta(hours=24)
LONGEST: Final = timedelta(hours=6)  # longer searches time out, by those who make them
NARROWEST: Final = timedelta(minutes=15)
# 700 kB of cursor at most. With more records in the stretch that is searched again, the oldest
# are forgotten: they come twice, and are counted once where records are counted into windows.
MOST_SEEN: Final = 65_536

EVERY: Final = timedelta(minutes=30)
_PAUSE: Final = timedelta(minutes=1)  # "rapid succession returns HTTP 429"
_MOST_PAUSES: Final = 6
_TOLD_FROM: Final = 3
_TOLD_FOR: Final = timedelta(days=8)
_OLD: Final = "old"
_CUT: Final = "cut"
_REASONS: Final = {
    _OLD: f"{SERVICE}: it was not read for {FURTHEST.days} days, and what is older is not caught "
    "up: export it from Purview and read the files",
    _CUT: f"{SERVICE}: a quarter of an hour has more records than a search gives: read the "
    "Management Activity API (collect.activity) instead",
}


class _Lost(NamedTuple):
    """A stretch that can never come: why, and when that was found."""

    why: str
    start: datetime
    end: datetime
    noted: datetime


@dataclass(slots=True)
class Query:
    """A search under way.

    Attributes:
        name: its id at the service.
        start, end: what it searches, by the time of the event.
        late: whether it is the one of a day later.
        made: when it was begun, by Graph's clock.
        looked: when its status was asked for last.
        reading: whether it succeeded, and its records are read.
        link: to the next page, None = the first.
        links: eight bytes of each link that was followed.
        restarts: how often its pages were read anew.
        cut: whether it found more records than it gives, and cannot be shorter.
    """

    name: str
    start: datetime
    end: datetime
    late: bool
    made: datetime
    looked: datetime | None = None
    reading: bool = False
    link: str | None = None
    links: bytes = b""
    restarts: int = 0
    cut: bool = False


class Position:
    """A cursor taken apart.

    Args:
        cursor: None = from the start.
        now: the time, on a full second.
        lookback: how far the first reading goes back.

    Raises:
        StateError: the cursor is of another version, or damaged.

    Attributes:
        begin: everything before was searched two hours after its time.
        to: everything before was searched.
        late_to: everything before was searched a day after its time.
        length: of the next stretch, at most.
        asked: when the last search was begun, by ours.
        fails: searches in a row that brought nothing.
        late_next: whether a late search comes before a new one, if both are due.
        version: of Graph that offers searches.
    """

    def __init__(self, cursor: Cursor | None, now: datetime, lookback: timedelta) -> None:
        if cursor is None:
            start = now - lookback
            self.begin = self.to = self.late_to = start
            self.length, self.fails, self.late_next = LONGEST, 0, False
            self.asked: datetime | None = None
            self.version: Version = VERSIONS[0]
            self.query: Query | None = None
            self.seen = Seen({}, MOST_SEEN)
            self._lost: list[_Lost] = []
            return
        with reading(cursor, VERSION, "audit_query"):
            self._read(cursor)

    def _read(self, stored: Cursor) -> None:
        self.begin, self.to = parse_rfc3339(stored["begin"]), parse_rfc3339(stored["to"])
        self.late_to = parse_rfc3339(stored["late_to"])
        self.length = timedelta(seconds=int(stored["length"]))
        self.fails, self.late_next = int(stored["fails"]), bool(stored["late_next"])
        self.asked = _moment(stored.get("asked"))
        self.version = VERSIONS[VERSIONS.index(stored["version"])]
        self.seen = Seen(stored["seen"], MOST_SEEN)
        self._lost = [
            _Lost(str(why), *map(parse_rfc3339, moments)) for why, *moments in stored["lost"]
        ]
        held = stored.get("query")
        self.query = None if held is None else _query(held)

    def next(self, now: datetime) -> tuple[datetime, datetime, bool] | None:
        """The stretch to search now, and whether it is a late one; None = none is due."""
        pause = _PAUSE * 2 ** min(self.fails, _MOST_PAUSES)
        # Also after a clock that was set back: not only once it is there again.
        if self.asked is not None and self.asked <= now < self.asked + pause:
            return None
        late = now - LATE - self.late_to >= self.length
        # In turns: where a search takes most of an hour, a new one is always due.
        if (self.to < now and now - self.to >= EVERY and not (late and self.late_next)) or (
            self.asked is None
        ):
            return self.begin, min(self.begin + self.length, now), False
        return (self.late_to, self.late_to + self.length, True) if late else None

    def forget(self, now: datetime) -> None:
        """Give up what is too old to be caught up."""
        edge = now - FURTHEST
        if self.to < edge:
            self._lose(_Lost(_OLD, self.to, edge, now))
            self.begin = self.to = edge
        self.begin, self.late_to = max(self.begin, edge), max(self.late_to, edge)

    def done(self) -> None:
        """Take notice that everything the search found was given."""
        query = self.query
        if query is None:
            return
        self.fails, self.query, self.late_next = 0, None, not query.late
        self.length = min(self.length * 2, LONGEST)
        if not query.cut:
            self._lost = [
                k for k in self._lost if k.why != _CUT or k.start < query.start or query.end < k.end
            ]
        if query.late:
            self.late_to = max(self.late_to, query.end)
            return
        self.begin = max(self.begin, min(query.end, query.made - OVERLAP))
        self.to = max(self.to, query.end)
        # What was a day old when it was searched need not be searched again.
        if query.start <= self.late_to and query.end <= query.made - LATE:
            self.late_to = max(self.late_to, query.end)

    def fail(self) -> None:
        """Take notice that the search brought nothing: a shorter one is made anew."""
        self.fails, self.query = self.fails + 1, None
        self.length = max(self.length / 2, NARROWEST)

    def cut(self, now: datetime) -> bool:
        """Take notice that the search found more than it gives.

        Returns:
            Whether a shorter one is made instead; else what there is has to do.
        """
        query = self.query
        if query is None:
            return False
        if query.end - query.start > NARROWEST:
            self.query, self.length = None, max(self.length / 2, NARROWEST)
            return True
        query.cut = True
        self._lose(_Lost(_CUT, query.start, query.end, now))
        return False

    def missing(self, now: datetime) -> list[Missing]:
        """What is missing; what can never come is told for 8 days."""
        found = [Missing(k.start, k.end, _REASONS[k.why]) for k in self._kept(now)]
        if self.fails < _TOLD_FROM or self.begin >= now:
            return found
        reason = (
            f"{SERVICE}: {self.fails} searches in a row failed; shorter ones are made, less and "
            "less often: look at the audit log in Purview"
        )
        return [*found, Missing(self.begin, now, reason)]

    def cursor(self, now: datetime) -> Cursor:
        """As JSON."""
        query = self.query
        needed = [self.begin, self.late_to, *([] if query is None else [query.start])]
        return {
            "v": VERSION,
            "begin": rfc3339(self.begin),
            "to": rfc3339(self.to),
            "late_to": rfc3339(self.late_to),
            "length": int(self.length.total_seconds()),
            "fails": self.fails,
            "late_next": self.late_next,
            "version": self.version,
            **({} if self.asked is None else {"asked": rfc3339(self.asked)}),
            **({} if query is None else {"query": _stored(query)}),
            "seen": self.seen.stored(min(needed), timedelta(0)),
            "lost": [[k.why, *map(rfc3339, k[1:])] for k in self._kept(now)],
        }

    def _lose(self, lost: _Lost) -> None:
        """Note a stretch that can never come; those that touch become one."""
        apart = []
        for old in self._lost:
            if old.why == lost.why and old.start <= lost.end and lost.start <= old.end:
                lost = lost._replace(start=min(old.start, lost.start), end=max(old.end, lost.end))
            else:
                apart.append(old)
        self._lost = [*apart, lost]

    def _kept(self, now: datetime) -> list[_Lost]:
        return sorted({k for k in self._lost if k.noted > now - _TOLD_FOR})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)


def _query(stored: dict[str, Any]) -> Query:
    return Query(
        name=str(stored["name"]),
        start=parse_rfc3339(stored["start"]),
        end=parse_rfc3339(stored["end"]),
        late=bool(stored["late"]),
        made=parse_rfc3339(stored["made"]),
        looked=_moment(stored.get("looked")),
        reading=bool(stored["reading"]),
        link=stored.get("link"),
        links=base64.b64decode(stored["links"], validate=True),
        restarts=int(stored["restarts"]),
        cut=bool(stored["cut"]),
    )


def _stored(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "start": rfc3339(query.start),
        "end": rfc3339(query.end),
        "late": query.late,
        "made": rfc3339(query.made),
        **({} if query.looked is None else {"looked": rfc3339(query.looked)}),
        "reading": query.reading,
        **({} if query.link is None else {"link": query.link}),
        "links": base64.b64encode(query.links).decode(),
        "restarts": query.restarts,
        "cut": query.cut,
    }
