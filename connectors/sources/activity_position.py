"""The cursor of the Management Activity API: how far, what was given, what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.sources.activity_api import FIRST_CONTENT
from connectors.sources.activity_errors import OFF, SERVICE, reason
from connectors.sources.activity_gaps import Gaps
from connectors.sources.activity_windows import Feed
from connectors.sources.cursors import reading
from connectors.sources.seen import Seen
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.contracts import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pipeline.model.contracts import Cursor

VERSION: Final = 1
# 700 kB of cursor at most; for 8 days that is 8,192 blobs a day. A tenant with more forgets the
# oldest days first: what comes again from there is known by its records' own ids, later on.
MOST_SEEN: Final = 65_536
# A blob is listed for 7 days.
SEEN_FOR: Final = timedelta(days=8)


class Position:
    """A cursor taken apart.

    Args:
        cursor: None = from the start.
        kinds: of content, those that are read.
        now: the time, on a full second.
        lookback: how far the first reading goes back.

    Raises:
        StateError: the cursor is of another version, or damaged.
    """

    def __init__(
        self, cursor: Cursor | None, kinds: Sequence[str], now: datetime, lookback: timedelta
    ) -> None:
        self.kinds = tuple(kinds)
        self.checked: datetime | None = None
        self._complete_to: datetime | None = None
        stored: dict[str, Any] = (
            {"v": VERSION, "feeds": {}, "seen": {}} if cursor is None else cursor
        )
        with reading(stored, VERSION, "activity"):
            self.feeds = {k: Feed.read(f) for k, f in stored["feeds"].items()}
            self.gaps = Gaps(stored.get("owed", ()), stored.get("lost", ()))
            self.seen = Seen(stored["seen"], MOST_SEEN)
            if "checked" in stored:
                self.checked = parse_rfc3339(stored["checked"])
            if "complete_to" in stored:
                self._complete_to = parse_rfc3339(stored["complete_to"])
        for kind in kinds:
            if kind not in self.feeds:
                self.feeds[kind] = Feed.new(now, lookback)
                self.checked = None  # its subscription has to be looked at

    @property
    def oldest_first(self) -> list[str]:
        """The kinds that are read, the one that is furthest behind first."""
        return sorted(self.kinds, key=lambda k: (self.feeds[k].to, k))

    @property
    def complete_to(self) -> datetime:
        """Everything that became available before was given, or is known to be missing."""
        reached = min(self.feeds[k].to for k in self.kinds)
        return reached if self._complete_to is None else max(reached, self._complete_to)

    def missing(self, now: datetime) -> list[Missing]:
        """What is known to be missing, or cannot be there yet."""
        waiting = [
            Missing(started, now, _waiting(kind, late=now - started > FIRST_CONTENT))
            for kind in self.kinds
            if (started := self.feeds[kind].started) is not None and started < now
        ]
        off = [
            Missing(since, now, reason(OFF, kind))
            for kind in self.kinds
            if (since := self.feeds[kind].off) is not None and since < now
        ]
        return [*self.gaps.missing(self.kinds, now), *off, *waiting]

    def cursor(self, now: datetime) -> Cursor:
        """As JSON."""
        return {
            "v": VERSION,
            "feeds": {k: f.stored() for k, f in sorted(self.feeds.items())},
            "seen": self.seen.stored(now, SEEN_FOR),
            **self.gaps.stored(now),
            **({} if self.checked is None else {"checked": rfc3339(self.checked)}),
            "complete_to": rfc3339(self.complete_to),
        }


def _waiting(kind: str, *, late: bool) -> str:
    if late:
        return (
            f"{SERVICE}, {kind}: the subscription was started more than 12 hours ago and nothing "
            "came: see that the audit log is on for the organisation (Purview: Audit)"
        )
    return (
        f"{SERVICE}, {kind}: the subscription was just started; the first content takes up to 12 "
        "hours, which is as it should be"
    )
