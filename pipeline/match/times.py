"""The clocks of an advisory, and times in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident

# An open advisory that nobody has updated for this long no longer speaks of new trouble.
_STALE: Final = timedelta(days=30)

_LABELS: Final = {"api": "API start", "text": "start in the text", "first_post": "first post"}


@dataclass(frozen=True, slots=True)
class Clocks:
    """When an advisory says its outage was.

    ``start`` is the earliest of the API's start, the text's start and the first post
    (``start_used``: ``api``, ``text`` or ``first_post``): the API's start is rewritten
    after publication (EX1215307 moved by six days). ``end`` is the later of the declared
    end and the declared restoration, or 30 days after the last word of an open one.
    """

    start: datetime
    start_used: str
    end: datetime

    @property
    def label(self) -> str:
        """Name of the clock used, for a sentence."""
        return _LABELS[self.start_used]


def clocks(advisory: Advisory) -> Clocks | None:
    """The clocks of an advisory; None if it carries no time at all."""
    starts = [
        (moment, name)
        for moment, name in (
            (advisory.text_start_at, "text"),
            (advisory.start_at, "api"),
            (advisory.first_published_at, "first_post"),
        )
        if moment is not None
    ]
    if not starts:
        return None
    start, used = min(starts, key=lambda s: s[0])
    if advisory.restored_at is not None:
        # A declared end may lie days before the post that declares it, and the opposite.
        end = max(m for m in (advisory.restored_at, advisory.end_at) if m is not None)
    elif advisory.end_at is not None:
        end = advisory.end_at
    else:
        last = [p.created_at for p in advisory.posts]
        if advisory.last_modified_at is not None:
            last.append(advisory.last_modified_at)
        end = max(last, default=start) + _STALE
    return Clocks(start, used, max(start, end))


def distance(incident: Incident, times: Clocks) -> timedelta:
    """Time between an incident and an advisory that do not touch; 0 where they overlap.

    An incident without a resolution is still going on.
    """
    after = timedelta()
    if incident.resolved_at is not None:
        after = times.start - max(incident.onset_at, incident.resolved_at)
    return max(after, incident.onset_at - times.end, timedelta())


def minute(moment: datetime) -> str:
    """A moment for a sentence: ``2026-03-20 08:40 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """A length of time for a sentence.

    >>> duration(5), duration(5_400), duration(300_000)
    ('0 min', '1 h 30 min', '3 d 11 h')
    """
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2880:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
