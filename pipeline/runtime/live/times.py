"""Times of records as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


def microseconds(table: pa.Table, column: str) -> NDArray[np.int64]:
    """A column of times as microseconds since 1970; null = 0."""
    values = table.column(column)
    if values.null_count == len(values):
        return np.zeros(len(values), np.int64)
    # A kernel costs 10 us a chunk.
    chunks = [c.view(pa.int64()) for c in values.chunks]
    if values.null_count:
        chunks = [c.fill_null(0) for c in chunks]
    whole = [c.to_numpy() for c in chunks]
    return whole[0] if len(whole) == 1 else np.concatenate(whole)


def span(table: pa.Table, time: NDArray[np.int64] | None = None) -> tuple[int, int]:
    """Oldest and newest event time of a table that is not empty; ``time`` if it is known."""
    if time is None:
        time = microseconds(table, "event_time")
    return int(time.min()), int(time.max())
