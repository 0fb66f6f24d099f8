"""64-bit words sorted by buckets of their upper bits.

Ids and hashed users are random and the times of a day are spread over it, so each bucket gets a few
words, and to sort these costs next to nothing: a million words take 14 to 16 ns each; ``np.sort``,
which is vectorised, takes 51 (``benchmarks/bench_sorting.py``). Distribution by the highest digit
(Knuth, The Art of Computer Programming 3, 5.2.5), then insertion (5.2.1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_compiled: Final = compiler([Path(__file__)])

# Below this np.sort takes no longer.
_FEW: Final = 256
# A random word of eight in a bucket moves past two; where most crowd into few buckets, and in no
# order, np.sort is quicker.
_MOST_MOVES: Final = 16


def sorted_words(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words in ascending order, as ``np.sort`` gives them."""
    if len(words) >= _FEW:
        found = _by_buckets(words)
        if len(found):
            return found
    return np.sort(words)


@_compiled
def _by_buckets(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words sorted; none of them if they crowd, which is for another way to sort."""
    rows = len(words)
    low = words[0]
    high = words[0]
    for at in range(rows):
        low = min(low, words[at])
        high = max(high, words[at])
    span_bits = 0
    while span_bits < 64 and (high - low) >> np.uint64(span_bits):
        span_bits += 1
    # Some 4 to 8 words a bucket.
    bucket_bits = 0
    while rows >> (bucket_bits + 3):
        bucket_bits += 1
    shift = np.uint64(max(0, span_bits - bucket_bits))
    # As many as there are before each bucket, once they are summed up.
    place = np.zeros(((high - low) >> shift) + np.uint64(2), np.int64)
    for at in range(rows):
        place[((words[at] - low) >> shift) + np.uint64(1)] += 1
    for bucket in range(1, len(place)):
        place[bucket] += place[bucket - 1]
    found = np.empty(rows, np.uint64)
    for at in range(rows):
        bucket = (words[at] - low) >> shift
        found[place[bucket]] = words[at]
        place[bucket] += 1
    moves = _MOST_MOVES * rows
    for at in range(1, rows):
        word = found[at]
        to = at
        while to and found[to - 1] > word:
            found[to] = found[to - 1]
            to -= 1
        found[to] = word
        moves -= at - to
        if moves < 0:
            return np.empty(0, np.uint64)
    return found
