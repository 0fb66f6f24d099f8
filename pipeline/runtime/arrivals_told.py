"""Which unusable files have been told already, each by its path, its reason and its time of change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.model.ids import content_id
from pipeline.runtime.arrivals_cursor import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.model.reject import Reject

# A program's own log that lies among the exports changes with each of its lines: it is told again
# when it has rested, 144 times a day at most, not at every look (one a second).
_RESTED_NS: Final = 600 * 10**9


def news(rejects: Sequence[Reject], told: Mapping[str, int]) -> tuple[list[Reject], dict[str, int]]:
    """The files set aside that nobody has been told of, and all that are told then.

    Args:
        rejects: every file that cannot be used now.
        told: those told before: by id, the time of change in nanoseconds.
    """
    fresh: list[Reject] = []
    there: dict[str, int] = {}
    for reject in rejects:
        known = content_id("told", reject.path, reject.reason)
        changed = _changed(reject.path)
        before = told.get(known)
        if known in there:  # the same path was named twice
            continue
        there[known] = changed
        if before is None or (changed != before and time.time_ns() - changed >= _RESTED_NS):
            fresh.append(reject)
        elif changed != before:
            there[known] = before
    kept = remembered(set(told), set(there))
    return fresh, {known: told[known] for known in sorted(kept)} | there


def _changed(path: str) -> int:
    """When a file last changed; 0 of one that cannot be looked at or is not there."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
