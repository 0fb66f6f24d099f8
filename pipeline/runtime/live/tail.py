"""Records that may still be judged again: pieces of one tenant's, in any order."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pipeline.model.clock import to_us
from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.live.messages import lean
from pipeline.runtime.live.pieces import Piece
from pipeline.runtime.live.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

# A batch of 2,000 rows stays as it came. Of smaller ones each costs more than its rows: they are
# joined as tables, and packed anew.
_SMALL_ROWS: Final = 1_000
_MOST_SMALL: Final = 64
# A piece of a stored state: 2 MB.
_PIECE_ROWS: Final = 65_536


class Tail:
    """The records.

    Args:
        pieces: of a stored state, or none; changed in place. Tables, of which an older state is
            made, become pieces.

    Attributes:
        oldest, newest: event times of the records, in microseconds since 1970; 0 of none.
    """

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        pieces[:] = [Piece.of(p) if isinstance(p, pa.Table) else p for p in pieces]
        self.oldest = self.newest = 0
        self._open_from: int | None = None
        self._look()

    def __len__(self) -> int:
        """Number of records."""
        return sum(p.rows for p in self.pieces)

    def keep(
        self, events: pa.Table, time: NDArray[np.int64], bodies: tuple[bytes, ...] = ()
    ) -> None:
        """Add records.

        Args:
            events: table of EVENT_SCHEMA, not empty.
            time: of its events, in microseconds since 1970.
            bodies: the same records packed, if they came so.
        """
        small = len(time) < _SMALL_ROWS
        piece = Piece.of(events, time, () if small else bodies)
        self.oldest = min(self.oldest, piece.first) if self.pieces else piece.first
        self.newest = max(self.newest, piece.last) if self.pieces else piece.last
        self.pieces.append(piece)
        run = self._small_run()
        if run and (run >= _MOST_SMALL or sum(p.rows for p in self.pieces[-run:]) >= _SMALL_ROWS):
            self._join_small(run)
        self._settle(self.pieces[-1])

    def hold_from(self, moment: datetime | None) -> None:
        """Hold the tables of records since ``moment``, which are read each minute; None = none."""
        self._open_from = None if moment is None else to_us(moment)
        for piece in self.pieces:
            self._settle(piece)

    def join(self) -> None:
        """Join neighbours, so that the tail is stored in few pieces.

        A piece is joined with newer ones once these are half as many records as it holds, so a
        record is written again only when its piece has grown by half.
        """
        run = self._small_run()
        if run:
            self._join_small(run)
        end = len(self.pieces) - bool(run)
        while end > 0:
            begin, rows = end - 1, self.pieces[end - 1].rows
            while begin and self.pieces[begin - 1].rows <= min(2 * rows, _PIECE_ROWS - rows):
                begin -= 1
                rows += self.pieces[begin].rows
            if end - begin > 1:
                self.pieces[begin:end] = [Piece.joined(self.pieces[begin:end])]
            end = begin

    def between(self, start: datetime, until: datetime) -> pa.Table:
        """The records of [start, until)."""
        found = self._within(to_us(start), to_us(until))
        return pa.concat_tables([EVENT_SCHEMA.empty_table(), *found])

    def forget_before(self, start: datetime) -> None:
        """Let go of the records before ``start``."""
        first, kept = to_us(start), []
        for piece in self.pieces:
            if piece.last < first:
                continue
            if piece.first < first:
                table = piece.read()
                mine = microseconds(table, "event_time") >= first
                kept.append(Piece.of(lean(table.filter(pa.array(mine)))))
                self._settle(kept[-1])
            else:
                kept.append(piece)
        self.pieces[:] = kept
        self._look()

    def _look(self) -> None:
        self.oldest = min((p.first for p in self.pieces), default=0)
        self.newest = max((p.last for p in self.pieces), default=0)

    def _small_run(self) -> int:
        """Number of small pieces at the end."""
        return sum(1 for _ in takewhile(lambda p: p.rows < _SMALL_ROWS, reversed(self.pieces)))

    def _join_small(self, run: int) -> None:
        if run > 1:
            whole = pa.concat_tables([p.read() for p in self.pieces[-run:]])
            self.pieces[-run:] = [Piece.of(whole.unify_dictionaries().combine_chunks())]

    def _is_open(self, piece: Piece) -> bool:
        return self._open_from is not None and piece.last >= self._open_from

    def _settle(self, piece: Piece) -> None:
        if piece.rows >= _SMALL_ROWS and not self._is_open(piece):
            piece.let_go()

    def _within(self, start: int, until: int) -> Iterator[pa.Table]:
        """Each piece's records of [start, until), of those that have any."""
        for piece in self.pieces:
            if piece.last < start or piece.first >= until:
                continue
            table = piece.read(hold=self._is_open(piece))
            if piece.first >= start and piece.last < until:
                yield table
                continue
            time = microseconds(table, "event_time")
            mine = (time >= start) & (time < until)
            if mine.any():
                yield table.filter(pa.array(mine))
