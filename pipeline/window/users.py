"""Counting users once an hour: who newly fails, newly presses, is newly active.

A user's hour is cut at an offset of its own (the user's hash modulo 3600 s), so that the
counts flow evenly instead of jumping at each full hour, and a user is placed by the set of
events alone: their order and the cut between blocks change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.vocabulary import OUTCOME_FAMILIES, Outcome, OutcomeFamily
from pipeline.window.columns import OUTCOMES
from pipeline.window.passes import tell_users
from pipeline.window.people import number_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.window.columns import Columns
    from pipeline.window.people import Pairs

FAMILIES: Final = tuple(OutcomeFamily)
SUCCESS: Final = OUTCOMES.index(Outcome.SUCCESS)
# Steps of a good sign-in: no attempt of their own.
NO_ATTEMPT: Final = (Outcome.INTERRUPT, Outcome.EXPIRED_SESSION)
# An Office client asks for a token about once an hour; four minutes with a request in one
# hour is a client that tries again and again.
PRESSING_MINUTES: Final = 4

IS_ATTEMPT: Final = np.array([o not in NO_ATTEMPT for o in OUTCOMES])
# In the order of the compiled pass.
USER_COUNTS: Final = (
    "users",
    "failing_users",
    "newly_active",
    "newly_pressing",
    "eligible_pressing",
    *(name for f in FAMILIES for name in (f"eligible_{f}", f"newly_failing_{f}")),
)
FAMILY_OF: Final = np.array(
    [FAMILIES.index(OUTCOME_FAMILIES[o]) if o in OUTCOME_FAMILIES else -1 for o in OUTCOMES],
    np.int8,
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
    outcome: NDArray[np.int8]  # index into OUTCOMES


def user_rows(events: Columns, cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """The attempts of known users in a cell (not negative)."""
    return np.flatnonzero((cell >= 0) & events.has_user & IS_ATTEMPT[events.outcome])


def user_hour(user: NDArray[np.uint64], minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the user's own hour that holds ``minute`` (minutes since 1970)."""
    phase = (user % np.uint64(60)).astype(np.int64)
    return (minute + phase) // 60


def count_users(
    attempts: Attempts,
    carried: OpenHours,
    start_minute: int,
    minutes: int,
    cells: int,
    pairs: Pairs | None = None,
) -> tuple[dict[str, NDArray[np.int32]], OpenHours]:
    """Count users by cell and minute.

    Args:
        attempts: this block's attempts, in any order.
        carried: user-hours still open at the block's start.
        start_minute: first minute of the block, since 1970.
        minutes: length of the block.
        cells: number of cells.
        pairs: of the carried user-hours, then of the attempts, if they are numbered already;
            others may be among them.

    Returns:
        Arrays of shape (cells, minutes) by column name, and the user-hours left open.
    """
    if pairs is None:
        pairs = number_pairs(
            np.concatenate([carried.cell, attempts.cell]),
            np.concatenate([carried.user, attempts.user]),
        )
    begun, pair = np.split(pairs.code, [len(carried.cell)])
    cell, minute, outcome = attempts.cell, attempts.minute, attempts.outcome
    if (minute[1:] < minute[:-1]).any():
        order = np.argsort(minute, kind="stable")
        pair, cell, minute, outcome = pair[order], cell[order], minute[order], outcome[order]
    clock = start_minute + (pairs.user % np.uint64(60)).astype(np.int64)
    hour = np.full(len(pairs), -1)
    ok = np.zeros(len(pairs), np.bool_)
    failed = np.zeros((len(pairs), len(FAMILIES)), np.bool_)
    tries = np.zeros(len(pairs), np.int64)
    hour[begun], ok[begun] = carried.hour, carried.ok
    failed[begun], tries[begun] = carried.failed, carried.tries
    counts = np.zeros((len(USER_COUNTS), cells, minutes), np.int32)
    tell_users(
        pair,
        cell,
        minute,
        FAMILY_OF[outcome],
        outcome == SUCCESS,
        clock,
        hour,
        ok,
        failed,
        tries,
        PRESSING_MINUTES,
        counts,
    )
    left = np.flatnonzero(hour == (clock + minutes) // 60)
    return dict(zip(USER_COUNTS, counts, strict=True)), OpenHours(
        pairs.cell[left], pairs.user[left], hour[left], ok[left], failed[left], tries[left]
    )
