"""What of the audit log is missing: blobs that may still come, and time that never will.

A blob that cannot be had is owed: it is asked for again, less and less often, while the
service keeps it. From the third failure on, or at once if the service knows it not, its
stretch is told as missing and its window may be passed. It is told no more when it came. What
can never come stays told for 8 days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.sources.activity_api import Content
from connectors.sources.activity_errors import DAMAGED, FAILING, reason
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.contracts import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_OWED: Final = 256
# "most notifications are sent within one hour of the event", those of mailboxes 60 to 90
# minutes after it: what a missing blob holds is as a rule of the hour and a half before.
_BEFORE: Final = timedelta(minutes=90)
_TOLD_FOR: Final = timedelta(days=8)
_TRIES: Final = 3
# Seconds to the next try after the first, the second failure and so on.
_AGAIN: Final = (20, 60, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Owed:
    """A blob that may still come."""

    content: Content
    reason: str
    tries: int
    again: datetime

    @property
    def told(self) -> bool:
        """Whether it counts as missing by now."""
        return self.tries >= _TRIES or self.reason not in {DAMAGED, FAILING}


@dataclass(frozen=True, slots=True)
class Lost:
    """A stretch that can never come."""

    kind: str
    reason: str
    start: datetime
    end: datetime
    noted: datetime


class Gaps:
    """Everything that is missing.

    Args:
        owed, lost: what :meth:`stored` gave.
    """

    def __init__(
        self, owed: Iterable[Mapping[str, Any]] = (), lost: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self._owed = {o.content.name: o for o in map(_owed, owed)}
        self._lost = [
            Lost(
                str(each["kind"]), str(each["reason"]), *(parse_rfc3339(each[n]) for n in _MOMENTS)
            )
            for each in lost
        ]

    def __contains__(self, name: str) -> bool:
        return name in self._owed

    @property
    def full(self) -> bool:
        """Whether no more blobs can be owed."""
        return len(self._owed) >= MOST_OWED

    def waits(self, kind: str) -> bool:
        """Whether a blob failed that is not told as missing yet."""
        return any(o.content.kind == kind and not o.told for o in self._owed.values())

    def due(self, kinds: Iterable[str], now: datetime) -> list[Content]:
        """Blobs of these kinds to ask for again now."""
        wanted = set(kinds)
        found = [o for o in self._owed.values() if o.again <= now and o.content.kind in wanted]
        return [o.content for o in sorted(found, key=lambda o: (o.again, o.content.name))]

    def expired(self, now: datetime) -> list[tuple[Content, str]]:
        """Blobs that the service keeps no more, with the reason why they did not come."""
        return [(o.content, o.reason) for o in self._owed.values() if o.content.expires <= now]

    def owe(self, content: Content, why: str, now: datetime) -> None:
        """Note that a blob could not be had, this time."""
        before = self._owed.get(content.name)
        tries = 1 if before is None else before.tries + 1
        wait = timedelta(seconds=_AGAIN[min(tries, len(_AGAIN)) - 1])
        self._owed[content.name] = Owed(content, why, tries, now + wait)

    def settle(self, content: Content) -> None:
        """Note that nothing is owed for a blob any more."""
        self._owed.pop(content.name, None)

    def lose_blob(self, content: Content, why: str, now: datetime) -> None:
        """Note that a blob can never come."""
        self.settle(content)
        self.lose(content.kind, why, content.created - _BEFORE, content.created, now)

    def lose(self, kind: str, why: str, start: datetime, end: datetime, now: datetime) -> None:
        """Note that a stretch can never come; those that touch become one."""
        lost = Lost(kind, why, start, end, now)
        apart = []
        for old in self._lost:
            same = (old.kind, old.reason) == (kind, why)
            if same and old.start <= lost.end and lost.start <= old.end:
                lost = replace(lost, start=min(old.start, lost.start), end=max(old.end, lost.end))
            else:
                apart.append(old)
        self._lost = [*apart, lost]

    def missing(self, kinds: Iterable[str], now: datetime) -> list[Missing]:
        """All of it, as a source tells it, oldest first."""
        wanted = set(kinds)
        found = [
            Missing(
                o.content.created - _BEFORE, o.content.created, reason(o.reason, o.content.kind)
            )
            for o in self._owed.values()
            if o.told and o.content.kind in wanted
        ]
        found += [
            Missing(each.start, each.end, reason(each.reason, each.kind))
            for each in self._kept(now)
            if each.kind in wanted
        ]
        return sorted(found, key=lambda m: (m.start, m.end, m.reason))

    def stored(self, now: datetime) -> dict[str, Any]:
        """As JSON."""
        owed = [
            {
                "kind": o.content.kind,
                "name": o.content.name,
                "link": o.content.link,
                "created": rfc3339(o.content.created),
                "expires": rfc3339(o.content.expires),
                "reason": o.reason,
                "tries": o.tries,
                "again": rfc3339(o.again),
            }
            for _, o in sorted(self._owed.items())
        ]
        lost = [
            {
                "kind": each.kind,
                "reason": each.reason,
                **{n: rfc3339(getattr(each, n)) for n in _MOMENTS},
            }
            for each in self._kept(now)
        ]
        return {"owed": owed, "lost": lost}

    def _kept(self, now: datetime) -> list[Lost]:
        return [each for each in self._lost if each.noted > now - _TOLD_FOR]


_MOMENTS: Final = ("start", "end", "noted")


def _owed(stored: Mapping[str, Any]) -> Owed:
    created, expires = parse_rfc3339(stored["created"]), parse_rfc3339(stored["expires"])
    content = Content(stored["kind"], stored["name"], stored["link"], created, expires)
    return Owed(content, stored["reason"], int(stored["tries"]), parse_rfc3339(stored["again"]))
