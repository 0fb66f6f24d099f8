"""Files that cannot be used: which have been told already, and what is said of new ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.model.ids import content_id
from pipeline.runtime.arrivals_cursor import remembered
from pipeline.runtime.named_paths import is_there

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.reject import Reject

# A program's own log that lies among the exports changes with each of its lines: it is told again
# when it has rested, 144 times a day at most, not at every look (one a second).
_RESTED_NS: Final = 600 * 10**9


class SetAside:
    """What a process says of files that it could not use.

    Args:
        log: one line for those found at a time; None = none.
    """

    def __init__(self, log: FilteringBoundLogger | None) -> None:
        self._log = log
        self._unread: dict[str, Reject] = {}

    @property
    def unread(self) -> list[Reject]:
        """Files kept so far that were not read, or not to their end, each once."""
        return list(self._unread.values())

    def keep(self, rejects: Iterable[Reject]) -> None:
        """Remember those of them that lose a file."""
        self._unread |= {r.path: r for r in rejects if r.loses_file}

    def tell(
        self, rejects: Sequence[Reject], told: Mapping[str, int]
    ) -> tuple[list[Reject], dict[str, int]]:
        """What :func:`news` gives, with a line in the log: one, as each is a dead letter too."""
        self.keep(rejects)
        fresh, known = news(rejects, told)
        # Of those that are not there yet it was said that they are waited for.
        there = [r for r in fresh if is_there(r.path)]
        if there and self._log is not None:
            self._log.warning(
                "files",
                outcome="set aside",
                files=len(there),
                first=there[0].path,
                error=f"{there[0].reason}: {there[0].detail}",
            )
        return fresh, known


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
