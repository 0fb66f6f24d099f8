"""Users of cells, numbered once a block for all that is counted of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.window.ordering import order_by
from pipeline.window.passes import number_pairs_met

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """The different pairs (cell, user) of some rows, sorted; ``code`` is each row's pair."""

    cell: NDArray[np.int64]
    user: NDArray[np.uint64]
    code: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.cell)


def number_pairs(cell: NDArray[np.int64], user: NDArray[np.uint64]) -> Pairs:
    """Number the pairs of cell (not negative) and user, arrays of one length."""
    if not len(cell):
        return Pairs(cell, user, np.zeros(0, np.int32))
    number, first = number_pairs_met(cell, user)
    cells, users = cell[first], user[first]
    order = order_by(users, cells)
    # Sorted by user, then cell; a stable sort by cell turns that round.
    order = order[order_by(cells[order])]
    rank = np.empty(len(first), np.int32)
    rank[order] = np.arange(len(first), dtype=np.int32)
    return Pairs(cells[order], users[order], rank[number])
