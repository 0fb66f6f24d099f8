"""Records that may still be judged again: tables of EVENT_SCHEMA of one tenant, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from pipeline.model.clock import to_us
from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.live.messages import lean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_CHUNK_ROWS: Final = 65_536
_MOST_CHUNKS: Final = 64


def microseconds(table: pa.Table, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A column of times as microseconds since 1970; null = 0."""
    values = table.column(column)
    if values.null_count == len(values):
        return np.zeros(len(values), np.int64)
    # A table of small batches has up to 64 chunks, and a kernel costs 10 us a chunk.
    chunks = [c.view(pa.int64()) for c in values.chunks]
    if values.null_count:
        chunks = [c.fill_null(0) for c in chunks]
    whole = [c.to_numpy() for c in chunks]
    return whole[0] if len(whole) == 1 else np.concatenate(whole)


def keep(tail: list[pa.Table], events: pa.Table) -> None:
    """Add records to a tail.

    Small tables are joined: a thousand batches of ten rows would cost more than the rows.
    """
    if tail and tail[-1].num_rows + events.num_rows <= _CHUNK_ROWS:
        events = pa.concat_tables([tail.pop(), events])
        if events.column("event_id").num_chunks > _MOST_CHUNKS:
            events = events.unify_dictionaries().combine_chunks()
    tail.append(events)


def oldest(tail: Sequence[pa.Table]) -> int:
    """Event time of the oldest record of a tail that has some, in microseconds."""
    return min(int(microseconds(t, "event_time").min()) for t in tail)


def newest(tail: Sequence[pa.Table]) -> int:
    """Event time of the newest record of a tail that has some, in microseconds."""
    return max(int(microseconds(t, "event_time").max()) for t in tail)


def between(tail: Sequence[pa.Table], start: datetime, until: datetime) -> pa.Table:
    """The records of [start, until)."""
    found = [EVENT_SCHEMA.empty_table()]
    for table in tail:
        time = microseconds(table, "event_time")
        mine = (time >= to_us(start)) & (time < to_us(until))
        if mine.any():
            found.append(table if mine.all() else table.filter(pa.array(mine)))
    return pa.concat_tables(found)


def since(tail: Sequence[pa.Table], start: datetime) -> list[pa.Table]:
    """A tail without the records before ``start``."""
    found = []
    for table in tail:
        mine = microseconds(table, "event_time") >= to_us(start)
        if mine.any():
            found.append(table if mine.all() else lean(table.filter(pa.array(mine))))
    return found
