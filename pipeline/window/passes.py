"""Compiled passes over records that are sorted already: one look at each, in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_compiled: Final = compiler([Path(__file__)])


# Against more known ids than so many times the new ones, it is quicker to look for each.
_FAR_MORE: Final = 8
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


@_compiled
def _slot(cell: np.int64, user: np.uint64, bits: int) -> np.int64:
    """Where a pair's place in a table of 2^bits begins: the upper bits of a product."""
    mixed = (np.uint64(user) ^ np.uint64(cell)) * _SPREAD
    mixed ^= mixed >> np.uint64(29)
    return np.int64((mixed * _SPREAD) >> np.uint64(64 - bits))


@_compiled
def lay_out(
    order: NDArray[np.int64],
    low: NDArray[np.uint64],
    high: NDArray[np.uint64],
    time: NDArray[np.int64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The two words of each id, of shape (n, 2), and its time, in a random order.

    What belongs to a row is laid side by side first, in 32 bytes, so that no row lies in two lines
    of the cache: 40 ns a row, and 75 ns column by column.
    """
    rows = len(order)
    beside = np.empty((rows, 4), np.uint64)
    for at in range(rows):
        beside[at, 0] = low[at]
        beside[at, 1] = high[at]
        beside[at, 2] = np.uint64(time[at])
    ids = np.empty((rows, 2), np.uint64)
    times = np.empty(rows, np.int64)
    for at in range(rows):
        row = order[at]
        ids[at, 0] = beside[row, 0]
        ids[at, 1] = beside[row, 1]
        times[at] = np.int64(beside[row, 2])
    return ids, times


@_compiled
def _reach(rows: NDArray[np.uint64], begin: int, low: np.uint64, high: np.uint64) -> int:
    """The first row from ``begin`` on that is not before (low, high).

    The steps double, so that a few ids do not walk through all the rows.
    """
    step = 1
    end = begin
    while end < len(rows) and (rows[end, 0] < low or (rows[end, 0] == low and rows[end, 1] < high)):
        begin = end + 1
        end += step
        step *= 2
    end = min(end, len(rows))
    while begin < end:
        middle = (begin + end) // 2
        if rows[middle, 0] < low or (rows[middle, 0] == low and rows[middle, 1] < high):
            begin = middle + 1
        else:
            end = middle
    return begin


@_compiled
def _bits(number: np.uint64) -> int:
    """Bits that it takes to write a number down."""
    bits = 0
    while number > np.uint64(0):
        number >>= np.uint64(1)
        bits += 1
    return bits


@_compiled
def mark_known(
    ids: NDArray[np.uint64], known: NDArray[np.uint64], found: NDArray[np.bool_]
) -> None:
    """Set ``found`` where a row of ``ids`` is one of ``known``; both of shape (n, 2), sorted.

    Of half a million ids against the half million of another day it takes 5.5 ns an id; 11 ns if
    each is looked for, as no processor foresees which of two random ids is the smaller one.
    """
    if not len(ids) or not len(known):
        return
    if len(known) > _FAR_MORE * len(ids):
        place = 0
        for at in range(len(ids)):
            place = _reach(known, place, ids[at, 0], ids[at, 1])
            if place == len(known):
                return
            found[at] |= known[place, 0] == ids[at, 0] and known[place, 1] == ids[at, 1]
        return
    # A bit for each stretch of the first word, some 16 of them an id: those of ids are set. Most
    # known ids fall on one that is not, which is foreseen.
    first = ids[0, 0]
    span = ids[len(ids) - 1, 0] - first
    shift = np.uint64(max(0, _bits(span) - _bits(np.uint64(len(ids))) - 4))
    held = np.zeros(((span >> shift) >> np.uint64(3)) + np.uint64(1), np.uint8)
    for at in range(len(ids)):
        stretch = (ids[at, 0] - first) >> shift
        held[stretch >> np.uint64(3)] |= np.uint8(1) << np.uint8(stretch & np.uint64(7))
    place = 0
    for at in range(len(known)):
        apart = known[at, 0] - first
        if apart > span:
            continue
        stretch = apart >> shift
        if not (held[stretch >> np.uint64(3)] >> np.uint8(stretch & np.uint64(7))) & np.uint8(1):
            continue
        place = _reach(ids, place, known[at, 0], known[at, 1])
        if place == len(ids):
            return
        found[place] |= ids[place, 0] == known[at, 0] and ids[place, 1] == known[at, 1]


@_compiled
def tell_users(
    pair: NDArray[np.int32],
    cell: NDArray[np.int64],
    minute: NDArray[np.int64],
    family: NDArray[np.int8],
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
def number_pairs_met(
    cell: NDArray[np.int64], user: NDArray[np.uint64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each row's pair (cell, user), numbered as they are met, and each pair's first row.

    A table of hashes that doubles when it is half full: of a day of a million rows of 80,000
    pairs it takes 10 ns a row, as the table stays in the cache; a sort takes 100 ns.
    """
    bits = 10
    table = np.full(1 << bits, -1, np.int32)
    number = np.empty(len(cell), np.int32)
    # Memory that is never written to costs nothing.
    first = np.empty(len(cell), np.int64)
    cells = np.empty(len(cell), np.int64)
    users = np.empty(len(cell), np.uint64)
    pairs = 0
    for at in range(len(cell)):
        where, who = cell[at], user[at]
        slot = _slot(where, who, bits)
        while table[slot] >= 0 and (users[table[slot]] != who or cells[table[slot]] != where):
            slot = (slot + 1) & (len(table) - 1)
        if table[slot] < 0:
            table[slot] = pairs
            first[pairs], cells[pairs], users[pairs] = at, where, who
            pairs += 1
        number[at] = table[slot]
        if 2 * pairs == len(table):
            bits += 1
            table = np.full(1 << bits, -1, np.int32)
            for pair in range(pairs):
                slot = _slot(cells[pair], users[pair], bits)
                while table[slot] >= 0:
                    slot = (slot + 1) & (len(table) - 1)
                table[slot] = pair
    return number, first[:pairs].copy()


@_compiled
def fold_hours(
    pair: NDArray[np.int32],
    minute: NDArray[np.int64],
    ok: NDArray[np.bool_],
    family: NDArray[np.int8],
    pairs: int,
    families: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Fold attempts into one row per hour and pair, in this order.

    The attempts are in order of time; ``family`` is -1 of no failure. To look at every pair
    once an hour puts the rows in order without a sort.

    Returns:
        Each row's last attempt; attempts, successes and failures by family, of shape
        (2 + families, rows); the row of each attempt that fails.
    """
    tally = np.zeros((pairs, 2 + families), np.int32)
    latest = np.empty(pairs, np.int64)
    row = np.empty(pairs, np.int64)
    last = np.empty(len(pair), np.int64)
    counts = np.empty((2 + families, len(pair)), np.int32)
    failing = np.empty(len(pair), np.int64)
    rows = failures = begin = 0
    while begin < len(pair):
        over = (minute[begin] // 60 + 1) * 60
        end = begin
        fails = False
        while end < len(pair) and minute[end] < over:
            who = pair[end]
            latest[who] = end
            tally[who, 0] += 1
            tally[who, 1] += ok[end]
            if family[end] >= 0:
                tally[who, 2 + family[end]] += 1
                fails = True
            end += 1
        for who in range(pairs):
            if tally[who, 0]:
                last[rows] = latest[who]
                row[who] = rows
                for kind in range(2 + families):
                    counts[kind, rows] = tally[who, kind]
                    tally[who, kind] = 0
                rows += 1
        if fails:
            for at in range(begin, end):
                if family[at] >= 0:
                    failing[failures] = row[pair[at]]
                    failures += 1
        begin = end
    return last[:rows], counts[:, :rows], failing[:failures]
