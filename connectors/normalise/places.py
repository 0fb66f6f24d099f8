"""Where the records of an input stand, for those that must be refused."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class _Mark(NamedTuple):
    """Where the records from ``ordinal`` on stand; ``step`` lines further each."""

    ordinal: int
    line: int | None
    step: int
    offsets: Sequence[int] | None


class Places:
    """Lines and offsets of records, kept as the few marks at which their pattern changes."""

    def __init__(self) -> None:
        self._marks = [_Mark(0, None, 0, None)]

    def mark(
        self, ordinal: int, line: int | None, step: int, offsets: Sequence[int] | None
    ) -> None:
        """Say where the records from ``ordinal`` on stand: each ``step`` lines further."""
        self._marks.append(_Mark(ordinal, line, step, offsets))

    def find(self, ordinal: int) -> tuple[int | None, int | None]:
        """Line and offset of a record, each None if it is not known."""
        mark = self._mark_of(ordinal)
        ahead = (ordinal - mark.ordinal) * mark.step
        line = None if mark.line is None else mark.line + ahead
        known = mark.offsets is not None and ahead < len(mark.offsets)
        return line, mark.offsets[ahead] if known and mark.offsets is not None else None

    @contextmanager
    def one_line(self, position: Callable[[], int]) -> Iterator[None]:
        """All records that are taken within stand in the line of the next record."""
        first = position()
        mark = self._mark_of(first)
        line, offset = self.find(first)
        if mark.step:
            self.mark(first, line, 0, None if offset is None else [offset])
        yield
        if mark.step:
            used = first - mark.ordinal + 1
            offsets = None if mark.offsets is None else mark.offsets[used:]
            self.mark(position(), None if line is None else line + mark.step, mark.step, offsets)

    def forget(self) -> None:
        """Keep only what is needed for the records to come."""
        del self._marks[:-1]

    def _mark_of(self, ordinal: int) -> _Mark:
        return self._marks[bisect_right(self._marks, ordinal, key=lambda m: m.ordinal) - 1]
