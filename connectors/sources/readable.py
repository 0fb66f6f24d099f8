"""What a reader of documents reads from: an input, bytes in memory, or the rest of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from connectors.sources.unpacking import PIECE

if TYPE_CHECKING:
    from connectors.sources.unpacking import Problem


class Readable(Protocol):
    """What a reader of documents needs of its input."""

    position: int

    @property
    def problem(self) -> Problem | None:
        """Why the input ended early, if it did."""
        ...

    def read_into(self, buffer: bytearray, at: int) -> int:
        """Read behind ``at``; 0 at the end."""
        ...

    def progress(self) -> None:
        """Hear that a record was found."""
        ...


class LineSource(Readable, Protocol):
    """What a reader of lines needs of its input."""

    def read_into(self, buffer: bytearray, at: int, spare: int = 0) -> int:
        """Read behind ``at`` and leave ``spare`` bytes free; 0 at the end."""
        ...

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes or somewhat more; b"" at the end."""
        ...


class Memory:
    """Bytes in memory as an input."""

    problem: Problem | None = None

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def read_into(self, buffer: bytearray, at: int) -> int:
        """Give everything at once; the buffer grows as needed."""
        count = len(self._data)
        buffer[at : at + count] = self._data
        self.position += count
        self._data = b""
        return count

    def progress(self) -> None:
        """Nothing to guard: it is in memory already."""


class LinesInMemory:
    """Bytes in memory as an input of lines, given a piece at a time as a file would be.

    Args:
        data: the bytes.
        position: of the first of them, in whatever they are a part of.
    """

    problem: Problem | None = None

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._given = 0
        self.position = position

    def read(self, size: int) -> bytes:
        """See :class:`LineSource`."""
        piece = self._data[self._given : self._given + size]
        self._given += len(piece)
        self.position += len(piece)
        return piece

    def read_into(self, buffer: bytearray, at: int, spare: int = 0) -> int:
        """See :class:`LineSource`."""
        piece = self.read(max(0, min(len(buffer) - at - spare, PIECE)))
        buffer[at : at + len(piece)] = piece
        return len(piece)

    def progress(self) -> None:
        """Nothing to guard: it is in memory already."""


class RestOfLine:
    """What is held of a line and what follows of it, as an input; ``behind`` is what came after."""

    def __init__(self, source: LineSource, held: bytes, position: int) -> None:
        self._source = source
        self._held = held
        self._ended = False
        self.position = position
        self.behind = b""

    @property
    def problem(self) -> Problem | None:
        """The problem of the input itself."""
        return self._source.problem

    def read_into(self, buffer: bytearray, at: int) -> int:
        """Read up to the end of the line."""
        if self._ended:
            return 0
        piece = self._held or self._source.read(PIECE)
        self._held = b""
        line, newline, self.behind = piece.partition(b"\n")
        line += newline
        self._ended = bool(newline) or not line
        buffer[at : at + len(line)] = line
        self.position += len(line)
        return len(line)

    def progress(self) -> None:
        """Pass it on."""
        self._source.progress()
