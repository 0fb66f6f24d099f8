"""Exact removal of redelivered events within a bounded horizon.

Both vendor APIs redeliver by design; two rows are one event when id, source, tenant and
error code are equal (``IDENTITY_COLUMNS``). Of equal rows the earliest event time stays,
so the answer does not depend on the order of arrival or on where a block ends.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.window.ordering import order_by, order_nearly, settled
from pipeline.window.passes import lay_out, mark_known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeline.window.columns import Columns, Names

DAY_US = 86_400_000_000
# The Activity API hands out content for 7 days, so an id can come again that late.
HORIZON_DAYS = 8


@dataclass(slots=True)
class SeenIds:
    """Identities of the counted events: by day, an array of shape (n, 2) sorted by row, 16 B each."""

    days: dict[int, NDArray[np.uint64]] = field(default_factory=dict)

    def forget_before(self, moment_us: int) -> None:
        """Drop what lies more than the horizon before ``moment_us``."""
        oldest = moment_us // DAY_US - HORIZON_DAYS
        for old in [d for d in self.days if d < oldest]:
            del self.days[old]

    def unchanging(self) -> Iterable[NDArray[np.uint64]]:
        """Arrays that nothing changes: a day's new ids make a new one."""
        return self.days.values()


def _salts(names: Names, kind: str) -> NDArray[np.uint64]:
    """A word for each row's name, or one for all rows if they share it."""
    digests = [hashlib.blake2b((kind + v).encode(), digest_size=8) for v in names.values]
    words = np.array([int.from_bytes(d.digest(), "big") for d in digests], np.uint64)
    return words if len(words) == 1 else words[names.codes]


def _identities(
    events: Columns, ids: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """128-bit identities in two words: the id's words, mixed with the other key columns."""
    # Multiplying by an odd constant (2^64 / golden ratio) spreads the small codes.
    mixed = events.error_code.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= ids[:, 1]
    mixed ^= _salts(events.source, "s")
    mixed ^= _salts(events.tenant, "t")
    return mixed, ids[:, 0]


def _first_of_each(
    events: Columns, low: NDArray[np.uint64], high: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Rows to keep, one per identity, sorted by identity; their identities and times."""
    order = order_nearly(low)
    found, time = lay_out(order, low, high, events.time)
    last = settled(found[:, 0])
    order, found, time = order[last], found[last], time[last]
    equal = found[1:, 0] == found[:-1, 0]
    if not equal.any():
        return order, found, time
    shared = np.zeros(len(order), dtype=bool)
    shared[1:] |= equal
    shared[:-1] |= equal
    rows = order[shared]
    ranked = rows[
        np.lexsort(
            (
                events.user[rows],
                events.weight[rows],
                events.outcome[rows],
                -events.received[rows],
                events.time[rows],
                high[rows],
                low[rows],
            )
        )
    ]
    # Sorted by the first word before and after, so the places stay with their words.
    order[shared] = ranked
    found[shared, 1] = high[ranked]
    time[shared] = events.time[ranked]
    again = (low[ranked[1:]] == low[ranked[:-1]]) & (high[ranked[1:]] == high[ranked[:-1]])
    fresh = np.ones(len(order), dtype=bool)
    fresh[np.flatnonzero(shared)[1:]] = ~again
    return order[fresh], found[fresh], time[fresh]


def _merged(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> NDArray[np.uint64]:
    both = np.concatenate([old, new])
    # A stable sort finds the two sorted runs and merges them: 4 ns a row.
    order = np.argsort(both[:, 0], kind="stable")
    words = both[order, 0]
    if (words[1:] == words[:-1]).any():
        order = np.lexsort((both[:, 1], both[:, 0]))
    return both[order]


def fresh_rows(seen: SeenIds, events: Columns, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows of the events not counted before, in canonical order: event time, then identity.

    ``ids`` are those that :func:`pipeline.window.columns.id_words` gives. ``seen`` takes the
    new identities over.
    """
    if not len(events):
        return np.zeros(0, np.int64)
    kept, found, time = _first_of_each(events, *_identities(events, ids))
    known = np.zeros(len(kept), dtype=bool)
    for day in seen.days.values():
        mark_known(found, day, known)
    if known.any():
        kept, found, time = kept[~known], found[~known], time[~known]
    if not len(kept):
        return kept
    first, last = int(time.min()) // DAY_US, int(time.max()) // DAY_US
    days = time // DAY_US if first < last else None
    for at in [first] if days is None else np.unique(days).tolist():
        new = found if days is None else found[days == at]
        old = seen.days.get(at)
        seen.days[at] = new if old is None else _merged(old, new)
    return kept[order_by(time)]
