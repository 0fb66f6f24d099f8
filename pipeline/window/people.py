"""Users of cells, numbered once a block for all that is counted of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.window.ordering import order_by

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """The different pairs (cell, user) of some rows, sorted; ``code`` is each row's pair."""

    cell: NDArray[np.int64]
    user: NDArray[np.uint64]
    code: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.cell)


def number_pairs(cell: NDArray[np.int64], user: NDArray[np.uint64]) -> Pairs:
    """Number the pairs of cell (not negative) and user, arrays of one length."""
    if not len(cell):
        return Pairs(cell, user, np.zeros(0, np.int64))
    order = order_by(user, cell)
    cells, users = cell[order], user[order]
    changed = np.ones(len(order), dtype=bool)
    changed[1:] = (users[1:] != users[:-1]) | (cells[1:] != cells[:-1])
    first = np.flatnonzero(changed)
    # Sorted by user, then cell; a stable sort by cell turns that round.
    by_cell = order_by(cells[first])
    rank = np.empty(len(first), np.int64)
    rank[by_cell] = np.arange(len(first))
    code = np.empty(len(order), np.int64)
    code[order] = rank[np.cumsum(changed) - 1]
    rows = first[by_cell]
    return Pairs(cells[rows], users[rows], code)
