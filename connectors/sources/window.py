"""A window that moves over an input: held bytes, and what stands before and behind them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from connectors.sources.unpacking import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.sources.readable import Readable

_OPEN: Final = 0x5B
_CLOSE: Final = 0x5D


class Window:
    """The bytes ``buffer[low:high]`` of an input, in one buffer that is used again.

    Fresh blocks of memory cost as much as parsing them, so nothing is cut out or joined.

    Attributes:
        base: offset of ``buffer[low]`` in the unpacked input.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._ended = False
        self.buffer = bytearray(2 * PIECE)
        self.low = self.high = 1
        self.base = source.position

    def __len__(self) -> int:
        return self.high - self.low

    def first(self) -> int:
        """The first held byte, or -1."""
        return self.buffer[self.low] if self.high > self.low else -1

    def hold(self, size: int) -> bool:
        """Hold at least ``size`` bytes if the input has them."""
        while len(self) < size and not self._ended:
            if len(self.buffer) - self.high < PIECE + 1:
                self._make_room(size)
            count = self._source.read_into(self.buffer, self.high)
            self._ended = count == 0
            self.high += count
            if self.high >= len(self.buffer):
                self.buffer.append(0)  # the place of a closing bracket
        return len(self) >= size

    def drop(self, count: int) -> None:
        """Move on by ``count`` bytes."""
        count = min(count, len(self))
        self.low += count
        self.base += count

    def strip(self, letters: bytes) -> bool:
        """Pass these letters; whether anything follows them."""
        while True:
            low = self.low
            while low < self.high and self.buffer[low] in letters:
                low += 1
            self.drop(low - self.low)
            if self.low < self.high or not self.hold(1):
                return self.low < self.high

    @contextmanager
    def bracketed(self, begin: int, end: int) -> Iterator[memoryview]:
        """``buffer[begin:end]`` as an array: brackets stand around it meanwhile."""
        buffer = self.buffer
        before, behind = buffer[begin - 1], buffer[end]
        buffer[begin - 1], buffer[end] = _OPEN, _CLOSE
        try:
            with memoryview(buffer) as view, view[begin - 1 : end + 1] as piece:
                yield piece
        finally:
            buffer[begin - 1], buffer[end] = before, behind

    def _make_room(self, size: int) -> None:
        held = len(self)
        self.buffer[1 : 1 + held] = self.buffer[self.low : self.high]
        self.low, self.high = 1, 1 + held
        wanted = max(size, held) + PIECE + 2
        if len(self.buffer) < wanted:
            self.buffer.extend(bytes(wanted - len(self.buffer)))
        elif len(self.buffer) > 4 * PIECE and wanted <= 2 * PIECE:
            del self.buffer[2 * PIECE :]
