"""Counting users once an hour: who newly fails, newly presses, is newly active.

A user's hour is cut at an offset of its own (the user's hash modulo 3600 s), so that the
counts flow evenly instead of jumping at each full hour, and a user is placed by the set of
events alone: their order and the cut between blocks change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.vocabulary import OUTCOME_FAMILIES, Outcome, OutcomeFamily
from pipeline.window.columns import OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAMILIES: Final = tuple(OutcomeFamily)
SUCCESS: Final = OUTCOMES.index(Outcome.SUCCESS)
# Steps of a good sign-in: no attempt of their own.
NO_ATTEMPT: Final = (Outcome.INTERRUPT, Outcome.EXPIRED_SESSION)
# An Office client asks for a token about once an hour; four minutes with a request in one
# hour is a client that tries again and again.
PRESSING_MINUTES: Final = 4

IS_ATTEMPT: Final = np.array([o not in NO_ATTEMPT for o in OUTCOMES])
FAMILY_OF: Final = np.array(
    [FAMILIES.index(OUTCOME_FAMILIES[o]) if o in OUTCOME_FAMILIES else -1 for o in OUTCOMES]
)


@dataclass(slots=True)
class OpenHours:
    """User-hours that were not over when the last block ended.

    Arrays of one length: key (cell, user) and hour number, whether it had a success,
    failures by family (shape (n, families)) and the number of minutes with an attempt.
    """

    cell: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    user: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    hour: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ok: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    failed: NDArray[np.bool_] = field(
        default_factory=lambda: np.zeros((0, len(FAMILIES)), np.bool_)
    )
    tries: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of known users, as arrays of one length."""

    cell: NDArray[np.int64]
    user: NDArray[np.uint64]
    minute: NDArray[np.int64]  # within the block
    outcome: NDArray[np.int64]  # index into OUTCOMES


def user_hour(user: NDArray[np.uint64], minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the user's own hour that holds ``minute`` (minutes since 1970)."""
    phase = (user % np.uint64(60)).astype(np.int64)
    return (minute + phase) // 60


def _running(flags: NDArray[np.int64], segment_start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of ``flags`` over the earlier rows of the same segment, along axis 0."""
    total = np.cumsum(flags, axis=0) - flags
    result: NDArray[np.int64] = total - total[segment_start]
    return result


def count_users(
    attempts: Attempts, carried: OpenHours, start_minute: int, minutes: int, cells: int
) -> tuple[dict[str, NDArray[np.int32]], OpenHours]:
    """Count users by cell and minute.

    Args:
        attempts: this block's attempts, in any order.
        carried: user-hours still open at the block's start.
        start_minute: first minute of the block, since 1970.
        minutes: length of the block.
        cells: number of cells.

    Returns:
        Arrays of shape (cells, minutes) by column name, and the user-hours left open.
    """
    users, dense = np.unique(np.concatenate([carried.user, attempts.user]), return_inverse=True)
    n_old = len(carried.user)
    width = minutes + 1  # minute -1 holds what was carried over
    cell = np.concatenate([carried.cell, attempts.cell])
    minute = np.concatenate([np.full(n_old, -1), attempts.minute])
    family = FAMILY_OF[attempts.outcome]
    ok = np.concatenate([carried.ok, attempts.outcome == SUCCESS])
    failed = np.concatenate([carried.failed, family[:, None] == np.arange(len(FAMILIES))])
    tries = np.concatenate([carried.tries, np.ones(len(attempts.cell), np.int64)])

    key = (cell * max(len(users), 1) + dense) * width + minute + 1
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.zeros(0, int)
    if not len(first):
        return _empty(cells, minutes), OpenHours()
    ok_m = np.logical_or.reduceat(ok[order], first)
    failed_m = np.logical_or.reduceat(failed[order], first, axis=0)
    rows = order[first]
    cell_m, minute_m, user_m = cell[rows], minute[rows], users[dense[rows]]
    is_new = minute_m >= 0
    # Within one minute a user presses once, however many resources a client asks for.
    tries_m = np.where(is_new, 1, np.maximum.reduceat(tries[order], first))
    hour_m = user_hour(user_m, start_minute + minute_m)
    hour_m[~is_new] = carried.hour[rows[~is_new]]

    changed = np.ones(len(rows), dtype=bool)
    changed[1:] = (
        (cell_m[1:] != cell_m[:-1]) | (user_m[1:] != user_m[:-1]) | (hour_m[1:] != hour_m[:-1])
    )
    starts = np.flatnonzero(changed)
    segment = starts[np.cumsum(changed) - 1]
    ok_before = _running(ok_m.astype(np.int64), segment) > 0
    failed_before = _running(failed_m.astype(np.int64), segment) > 0
    tries_before = _running(tries_m, segment)

    place = cell_m * minutes + minute_m

    def tally(mask: Any) -> NDArray[np.int32]:
        counted = np.bincount(place[mask & is_new], minlength=cells * minutes)
        return counted.reshape(cells, minutes).astype(np.int32)

    counts = {
        "users": tally(is_new),
        "failing_users": tally(failed_m.any(axis=1)),
        "newly_active": tally(ok_m & ~ok_before),
        "newly_pressing": tally(tries_before == PRESSING_MINUTES - 1),
        "eligible_pressing": tally(tries_before < PRESSING_MINUTES),
    }
    for at, name in enumerate(FAMILIES):
        counts[f"eligible_{name}"] = tally(~failed_before[:, at])
        counts[f"newly_failing_{name}"] = tally(failed_m[:, at] & ~failed_before[:, at])

    still_open = user_hour(users, np.full(len(users), start_minute + minutes))
    dense_m = dense[rows]
    ends = np.append(starts[1:], len(rows)) - 1
    open_at = hour_m[ends] == still_open[dense_m[ends]]
    left = ends[open_at]
    carried_on = OpenHours(
        cell_m[left],
        user_m[left],
        hour_m[left],
        ok_before[left] | ok_m[left],
        failed_before[left] | failed_m[left],
        tries_before[left] + tries_m[left],
    )
    return counts, carried_on


def _empty(cells: int, minutes: int) -> dict[str, NDArray[np.int32]]:
    names = [
        "users",
        "failing_users",
        "newly_active",
        "newly_pressing",
        "eligible_pressing",
        *(f"eligible_{f}" for f in FAMILIES),
        *(f"newly_failing_{f}" for f in FAMILIES),
    ]
    return {name: np.zeros((cells, minutes), np.int32) for name in names}
