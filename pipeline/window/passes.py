"""Compiled passes over records that are sorted already: one look at each, in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_compiled: Final = compiler([Path(__file__)])


@_compiled
def mark_known(
    ids: NDArray[np.uint64], known: NDArray[np.uint64], found: NDArray[np.bool_]
) -> None:
    """Set ``found`` where a row of ``ids`` is one of ``known``; both of shape (n, 2), sorted.

    Of one day against another each step is a comparison or two; of an hour against a day the
    steps double, so that a few new ids do not walk through all the known ones.
    """
    begin = 0
    for at in range(len(ids)):
        low, high = ids[at, 0], ids[at, 1]
        step = 1
        end = begin
        while end < len(known) and (
            known[end, 0] < low or (known[end, 0] == low and known[end, 1] < high)
        ):
            begin = end + 1
            end += step
            step *= 2
        end = min(end, len(known))
        while begin < end:
            middle = (begin + end) // 2
            if known[middle, 0] < low or (known[middle, 0] == low and known[middle, 1] < high):
                begin = middle + 1
            else:
                end = middle
        if begin == len(known):
            return
        if known[begin, 0] == low and known[begin, 1] == high:
            found[at] = True


@_compiled
def tell_users(
    pair: NDArray[np.int64],
    cell: NDArray[np.int64],
    minute: NDArray[np.int64],
    family: NDArray[np.int64],
    ok: NDArray[np.bool_],
    clock: NDArray[np.int64],
    hour: NDArray[np.int64],
    succeeded: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    tries: NDArray[np.int64],
    pressing: int,
    counts: NDArray[np.int32],
) -> None:
    """Count the users of each cell and minute, attempt by attempt.

    The attempts (``pair`` to ``ok``) are in order of time; ``family`` is -1 of no failure.
    ``clock`` holds the minute of each pair's own clock at minute 0; ``hour`` to ``tries`` are
    the pairs' hours as :class:`pipeline.window.users.OpenHours` has them, and are led on.
    ``pressing`` is the minute with an attempt that is the pressing one. ``counts``, of shape
    (5 + 2 * families, cells, minutes), is added to: users, failing users, newly active, newly
    pressing, eligible to press, then eligible and newly failing by family.
    """
    families = failed.shape[1]
    seen_at = np.full(len(clock), -1)
    failed_at = np.full(len(clock), -1)
    for at in range(len(pair)):
        who, where, when, fails = pair[at], cell[at], minute[at], family[at]
        now = (clock[who] + when) // 60
        if hour[who] != now:
            hour[who] = now
            succeeded[who] = False
            failed[who] = False
            tries[who] = 0
        if seen_at[who] != when:
            # Within one minute a user presses once, however many resources a client asks for.
            seen_at[who] = when
            tries[who] += 1
            counts[0, where, when] += 1
            counts[3, where, when] += tries[who] == pressing
            counts[4, where, when] += tries[who] <= pressing
            for kind in range(families):
                counts[5 + 2 * kind, where, when] += not failed[who, kind]
        if ok[at] and not succeeded[who]:
            succeeded[who] = True
            counts[2, where, when] += 1
        if fails >= 0:
            if failed_at[who] != when:
                failed_at[who] = when
                counts[1, where, when] += 1
            if not failed[who, fails]:
                failed[who, fails] = True
                counts[6 + 2 * fails, where, when] += 1


@_compiled
def group_by_hour(
    pair: NDArray[np.int64], minute: NDArray[np.int64], pairs: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The group (pair, hour) of each row, numbered as they begin, and each group's last row.

    Rows are in order of time, so a pair has one group open at a time.
    """
    group = np.empty(len(pair), np.int32)
    last = np.empty(len(pair), np.int64)
    opened = np.full(pairs, -1)
    hour = np.full(pairs, -1)
    groups = 0
    for at in range(len(pair)):
        who = pair[at]
        now = minute[at] // 60
        if hour[who] != now:
            hour[who] = now
            opened[who] = groups
            groups += 1
        group[at] = opened[who]
        last[opened[who]] = at
    return group, last[:groups].copy()
