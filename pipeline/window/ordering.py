"""Rows in the order of a 64-bit key.

A key and its row in one word leave everything to :mod:`pipeline.sorting`: of a million random keys
it takes 14 ns each, a stable ``argsort`` 155 ns and ``np.unique`` 185 ns (20,000 different keys) to
1,360 ns (all different).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.sorting import sorted_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this the dozen calls of the packed form cost more than they save.
_FEW: Final = 2_048


def order_by(
    key: NDArray[np.int64] | NDArray[np.uint64], minor: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Rows sorted by ``key``, then by ``minor`` (not negative), then as they stand."""
    order, whole = _packed_order(key, minor)
    return order if whole else order[settled(key[order])]


def order_nearly(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """As :func:`order_by`, but for who looks at the keys in their new order anyway.

    A few neighbours may have to change places: those that :func:`settled` tells of.
    """
    return _packed_order(key, None)[0]


def settled(ordered: NDArray[Any]) -> NDArray[np.int64] | slice:
    """Rows of keys that are nearly sorted, sorted for good; a slice where they are already."""
    # Different keys with equal upper bits: next to none, and a stable sort of what is nearly
    # sorted takes 2 ns a key.
    wrong = (ordered[1:] < ordered[:-1]).any()
    return np.argsort(ordered, kind="stable") if wrong else slice(None)


def _packed_order(
    key: NDArray[np.int64] | NDArray[np.uint64], minor: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], bool]:
    """The order, and whether each key took part in it with all of its bits."""
    rows = len(key)
    if rows < _FEW:
        return np.argsort(key, kind="stable") if minor is None else np.lexsort((minor, key)), True
    low = key.min()
    row_bits = (rows - 1).bit_length()
    low_bits = row_bits + (0 if minor is None else int(minor.max()).bit_length())
    span_bits = (int(key.max()) - int(low)).bit_length()
    lost_bits = max(0, span_bits + low_bits - 64)
    # The difference wraps where a signed span needs 64 bits; read unsigned it is right.
    packed: NDArray[np.uint64] = (key - low).view(np.uint64)
    packed >>= np.uint64(lost_bits)
    packed <<= np.uint64(low_bits)
    if minor is not None:
        packed |= minor.astype(np.uint64) << np.uint64(row_bits)
    packed |= np.arange(rows, dtype=np.uint64)
    packed = sorted_words(packed)
    packed &= np.uint64((1 << row_bits) - 1)
    order: NDArray[Any] = packed.view(np.int64)
    return order, not lost_bits
