"""Records that may still be judged again: tables of EVENT_SCHEMA of one tenant, in any order."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from pipeline.model.clock import to_us
from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.live.messages import lean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from numpy.typing import NDArray

# A batch of 2,000 rows stays as it came: to join such batches costs some 50 ns a row, of 900
# that are spent on it in all. Of smaller ones each costs more than its rows.
_SMALL_ROWS: Final = 1_000
_MOST_SMALL: Final = 64
# A piece of a stored state.
_PIECE_ROWS: Final = 65_536


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


class Tail:
    """The records, and of each table the time that it spans.

    Args:
        tables: of a stored state, or none; changed in place.

    Attributes:
        oldest, newest: event times of the records, in microseconds since 1970; 0 of none.
    """

    def __init__(self, tables: list[pa.Table]) -> None:
        self.tables = tables
        self.oldest = self.newest = 0
        self._spans = [_span(microseconds(t, "event_time")) for t in tables]
        self._look()

    def __len__(self) -> int:
        """Number of records."""
        return sum(t.num_rows for t in self.tables)

    def keep(self, events: pa.Table, time: NDArray[np.int64]) -> None:
        """Add records.

        Args:
            events: table of EVENT_SCHEMA, not empty.
            time: of its events, in microseconds since 1970.
        """
        self.tables.append(events)
        first, last = _span(time)
        self.oldest = min(self.oldest, first) if self._spans else first
        self.newest = max(self.newest, last) if self._spans else last
        self._spans.append((first, last))
        small = list(takewhile(lambda t: t.num_rows < _SMALL_ROWS, reversed(self.tables)))
        if len(small) >= _MOST_SMALL or sum(map(len, small)) >= _SMALL_ROWS:
            self._join(len(self.tables) - len(small), len(self.tables))

    def join(self) -> None:
        """Join neighbours, so that the tail is stored in few pieces."""
        end = len(self.tables)
        while end:
            begin, rows = end - 1, len(self.tables[end - 1])
            while begin and rows + len(self.tables[begin - 1]) <= _PIECE_ROWS:
                begin -= 1
                rows += len(self.tables[begin])
            self._join(begin, end)
            end = begin

    def _join(self, begin: int, end: int) -> None:
        if end - begin < 2:
            return
        whole = pa.concat_tables(self.tables[begin:end]).unify_dictionaries().combine_chunks()
        spans = self._spans[begin:end]
        self.tables[begin:end] = [whole]
        self._spans[begin:end] = [(min(s[0] for s in spans), max(s[1] for s in spans))]

    def between(self, start: datetime, until: datetime) -> pa.Table:
        """The records of [start, until)."""
        found = [table for _, table in self._within(to_us(start), to_us(until))]
        return pa.concat_tables([EVENT_SCHEMA.empty_table(), *found])

    def forget_before(self, start: datetime) -> None:
        """Let go of the records before ``start``."""
        kept = []
        for at, table in self._within(to_us(start), None):
            whole = table is self.tables[at]
            kept.append((table if whole else lean(table), self._spans[at]))
        self.tables[:] = [table for table, _ in kept]
        self._spans = [
            _span(microseconds(table, "event_time")) if span[0] < to_us(start) else span
            for table, span in kept
        ]
        self._look()

    def _look(self) -> None:
        self.oldest = min((first for first, _ in self._spans), default=0)
        self.newest = max((last for _, last in self._spans), default=0)

    def _within(self, start: int, until: int | None) -> Iterator[tuple[int, pa.Table]]:
        """Each table's number and its rows of [start, until); no table that has none."""
        for at, (table, (first, last)) in enumerate(zip(self.tables, self._spans, strict=True)):
            if last < start or (until is not None and first >= until):
                continue
            if first >= start and (until is None or last < until):
                yield at, table
                continue
            time = microseconds(table, "event_time")
            mine = time >= start
            if until is not None:
                mine &= time < until
            if mine.any():
                yield at, table.filter(pa.array(mine))


def _span(time: NDArray[np.int64]) -> tuple[int, int]:
    return int(time.min()), int(time.max())
