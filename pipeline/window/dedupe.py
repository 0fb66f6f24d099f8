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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.window.columns import Columns

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


def _salt(text: str) -> np.uint64:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


def _identities(events: Columns) -> NDArray[np.uint64]:
    """128-bit identities, shape (n, 2): the id's words, mixed with the other key columns."""
    sources = np.array([_salt("s" + v) for v in events.source.values], np.uint64)
    tenants = np.array([_salt("t" + v) for v in events.tenant.values], np.uint64)
    # Multiplying by an odd constant (2^64 / golden ratio) spreads the small codes.
    code = events.error_code.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = events.id_low ^ sources[events.source.codes] ^ tenants[events.tenant.codes] ^ code
    return np.column_stack([mixed, events.id_high])


def _member(known: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    at = np.searchsorted(known[:, 0], ids[:, 0], side="left")
    found = np.zeros(len(ids), dtype=bool)
    # Identities that share the first word lie side by side; as a rule the loop runs once.
    while True:
        inside = np.minimum(at, len(known) - 1)
        same = (at < len(known)) & (known[inside, 0] == ids[:, 0])
        if not (same & ~found).any():
            return found
        found |= same & (known[inside, 1] == ids[:, 1])
        at = at + 1


def _first_of_each(events: Columns, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows to keep, one per identity, sorted by identity."""
    order = np.argsort(ids[:, 0], kind="stable")
    words = ids[order, 0]
    equal = words[1:] == words[:-1]
    if not equal.any():
        return order
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
                ids[rows, 1],
                ids[rows, 0],
            )
        )
    ]
    fresh = np.ones(len(ranked), dtype=bool)
    fresh[1:] = (ids[ranked[1:]] != ids[ranked[:-1]]).any(axis=1)
    kept = np.concatenate([order[~shared], ranked[fresh]])
    return kept[np.lexsort((ids[kept, 1], ids[kept, 0]))]


def fresh_rows(seen: SeenIds, events: Columns) -> NDArray[np.int64]:
    """Rows of the events not counted before, in canonical order: event time, then identity.

    ``seen`` takes the new identities over.
    """
    if not len(events):
        return np.zeros(0, np.int64)
    ids = _identities(events)
    kept = _first_of_each(events, ids)
    fresh = np.ones(len(kept), dtype=bool)
    for known in seen.days.values():
        fresh &= ~_member(known, ids[kept])
    kept = kept[fresh]
    days = events.time[kept] // DAY_US
    for day in np.unique(days):
        new = ids[kept[days == day]]
        old = seen.days.get(int(day))
        if old is not None:
            new = np.concatenate([old, new])
            new = new[np.lexsort((new[:, 1], new[:, 0]))]
        seen.days[int(day)] = new
    ordered: NDArray[np.int64] = kept[np.argsort(events.time[kept], kind="stable")]
    return ordered
