"""JSON lines to an intake: blocks of lines joined to one array, parsed once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from connectors.sources.json_documents import DocumentReader, is_page
from connectors.sources.parsing import MAX_RECORD, ParseError, Parser, diagnose
from connectors.sources.readable import Memory, RestOfLine
from connectors.sources.unpacking import PIECE
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.normalise.intake import Intake
    from connectors.sources.readable import LineSource

_NEWLINE: Final = 10
_COMMA: Final = 44
_OPEN: Final = 91
_CLOSE: Final = 93
_BLANK: Final = b" \t\r\0"
_NOT_BLANK: Final = re.compile(rb"\S[^\n]*")
_SPARE: Final = 64  # behind what was read: compiled code looks at 64 bytes at once
_MOST_UNUSUAL: Final = 8  # lines of a block; each costs as much as five that are parsed at once
_SIZE: Final = 1 + PIECE + _SPARE  # a bracket goes before the first line
_MOST_LINES: Final = 8192  # in a block: lines of 32 bytes are no records
_NUL: Final = "only NUL bytes or commas; the writer was cut off"
_LONG: Final = f"a line of more than {MAX_RECORD} bytes; write one record a line"


class LineReader:
    """Reads the lines of one input that begin before ``stop`` into an intake.

    Args:
        source: the input, at the first byte of the slice.
        intake: where the records go.
        start: offset of the slice; a line that is under way there belongs to the one before.
        stop: lines that begin here or later belong to the next slice; None = the end.
        growing: a last line without an end is still being written, and no mistake.

    Attributes:
        first_line_at: offset of the first line of the slice, which counts as line 1.
        partial_tail: offset of a last line that is still being written.
    """

    def __init__(
        self,
        source: LineSource,
        intake: Intake,
        *,
        start: int = 0,
        stop: int | None = None,
        growing: bool = False,
    ) -> None:
        self._source = source
        self._intake = intake
        self._stop = stop
        self._growing = growing
        self._parser = Parser()
        self._buffer = bytearray(_SIZE)
        self._filled = 1  # the first byte is kept for the bracket
        self._base = source.position  # offset of the first filled byte
        self._line: int | None = 1
        self._skipping = self._skipping_to_slice = start > 0
        self.first_line_at = source.position
        self.partial_tail: int | None = None

    def run(self) -> Iterator[None]:
        """Read on; yields after each block, when the intake may be emptied."""
        while self._fill():
            yield from self._lines()
            if self._stop is not None and self._base >= self._stop and not self._skipping:
                return
        self._last_line()
        yield

    def _fill(self) -> bool:
        """Read more behind what is held; False at the end of the input."""
        count = self._source.read_into(self._buffer, self._filled, _SPARE)
        self._filled += count
        return count > 0

    def _lines(self) -> Iterator[None]:
        buffer = self._buffer
        end = buffer.rfind(b"\n", 1, self._filled)
        if end < 0:
            if len(buffer) - _SPARE <= self._filled:
                self._grow()
            return
        begin = 1
        if self._skipping:
            begin = buffer.find(b"\n", 1, end + 1) + 1
            if self._skipping_to_slice:
                self.first_line_at = self._base + begin - 1
            self._skipping = self._skipping_to_slice = False
        limit = self._limit(begin, end)
        if begin <= limit:
            self._block(begin, limit)
            yield
        self._keep(end + 1)

    def _limit(self, begin: int, end: int) -> int:
        """Position of the last newline of this slice's own lines."""
        if self._stop is None or self._base + end - 1 < self._stop:
            return end
        # The line that covers the byte before ``stop`` is the last one of the slice.
        own = self._stop - self._base
        return begin - 1 if own < begin else self._buffer.find(b"\n", own, end + 1)

    def _block(self, begin: int, end: int) -> None:
        """Take the lines between ``begin`` and the newline at ``end``."""
        for _ in range(_MOST_UNUSUAL):
            begin = self._scanned(begin, end)
            if begin > end:
                return
            if not self._intake.scans:
                break
            unusual = self._buffer.find(b"\n", begin, end + 1)
            self._one_by_one(begin, unusual)
            if self._line is not None:
                self._line += 1
            begin = unusual + 1
        if begin <= end:
            self._parsed(begin, end)

    def _scanned(self, begin: int, end: int) -> int:
        """Where the first line begins that compiled code leaves to the parser."""
        if not self._intake.scans:
            return begin
        if len(self._buffer) - end <= _SPARE:
            self._buffer.extend(bytes(_SPARE))
        stop, lines = self._intake.scan(np.frombuffer(self._buffer, np.uint8), begin, end)
        if lines:
            self._source.progress()
        if self._line is not None:
            self._line += lines
        return stop

    def _parsed(self, begin: int, end: int) -> None:
        """Parse lines as one array, else each for itself."""
        breaks = self._breaks(begin, end)
        if breaks is None or not self._at_once(begin, end, breaks):
            self._one_by_one(begin, end)
        if self._line is not None:
            count = len(breaks) if breaks is not None else self._buffer.count(b"\n", begin, end)
            self._line += count + 1

    def _breaks(self, begin: int, end: int) -> list[int] | None:
        """Positions of the newlines; None if there are too many for lines of records."""
        # Finding newline by newline beats comparing every byte four times over.
        buffer = self._buffer
        breaks: list[int] = []
        position = buffer.find(b"\n", begin, end)
        while position >= 0:
            breaks.append(position)
            position = buffer.find(b"\n", position + 1, end)
            if len(breaks) > _MOST_LINES:
                return None
        return breaks

    def _at_once(self, begin: int, end: int, breaks: list[int]) -> bool:
        """Take the lines as one array, if all of them are sound."""
        buffer = self._buffer
        before, base = buffer[begin - 1], self._base - 1
        for position in breaks:
            buffer[position] = _COMMA
        buffer[begin - 1], buffer[end] = _OPEN, _CLOSE
        try:
            with memoryview(buffer) as view, view[begin - 1 : end + 1] as piece:
                values = self._parser.parse(piece)
            if len(values) != len(breaks) + 1:
                return False
            self._source.progress()
            self._intake.mark(self._line, 1, [begin + base, *(b + 1 + base for b in breaks)])
            self._intake.take(values, buffer)
        except ParseError:
            return False
        finally:
            for position in breaks:
                buffer[position] = _NEWLINE
            buffer[begin - 1], buffer[end] = before, _NEWLINE
        return True

    def _one_by_one(self, begin: int, end: int) -> None:
        """Take the lines each for itself; blank ones, however many, cost nothing."""
        line, counted = self._line, begin
        position = begin
        while match := _NOT_BLANK.search(self._buffer, position, end):
            start, position = match.span()
            text = match[0]
            del match
            if line is not None:
                line += self._buffer.count(b"\n", counted, start)
                counted = start
            front = self._buffer.rfind(b"\n", begin, start) + 1 or begin
            self._one(bytes(text), line, self._base + front - 1)

    def _one(self, line: bytes, number: int | None, offset: int) -> None:
        # Lines of an array or of a page may be written one record a line.
        text = line.strip(_BLANK).rstrip(b",")
        if not text:
            self._intake.mark(number, 0, [offset])
            self._intake.reject(RejectReason.NOT_JSON, _NUL, line=number, offset=offset)
            return
        self._intake.mark(number, 1, [offset])
        try:
            value = self._parser.parse(text)
        except ParseError as error:
            if is_page(text):
                memory = Memory(text, offset)
                for _ in DocumentReader(memory, self._intake, number).run():
                    pass
                return
            self._intake.reject(*diagnose(error), line=number, offset=offset)
            return
        self._source.progress()
        self._intake.take([value], text)

    def _keep(self, begin: int) -> None:
        """Move what is left behind the last newline to the front."""
        rest = self._filled - begin
        self._buffer[1 : 1 + rest] = self._buffer[begin : self._filled]
        self._base += begin - 1
        self._filled = 1 + rest
        if len(self._buffer) > _SIZE and rest < PIECE // 2:
            del self._buffer[_SIZE:]

    def _grow(self) -> None:
        """Make room for a long line, up to the largest record; beyond it is passed over."""
        if self._skipping:
            self._keep(self._filled)
        elif self._filled <= MAX_RECORD:
            self._buffer.extend(bytes(len(self._buffer)))
        elif is_page(self._buffer):
            self._page()
        else:
            self._intake.mark(self._line, 0, [self._base])
            self._intake.reject(
                RejectReason.TOO_LONG,
                _LONG,
                line=self._line,
                offset=self._base,
            )
            if self._line is not None:
                self._line += 1
            self._skipping = True
            self._keep(self._filled)

    def _page(self) -> None:
        """Take a line apart that is a page of records, too large to hold."""
        rest = RestOfLine(self._source, bytes(self._buffer[1 : self._filled]), self._base)
        for _ in DocumentReader(rest, self._intake, self._line).run():
            pass
        if self._line is not None:
            self._line += 1
        del self._buffer[_SIZE:]
        self._buffer[1 : 1 + len(rest.behind)] = rest.behind
        self._filled = 1 + len(rest.behind)
        self._base = rest.position

    def _last_line(self) -> None:
        """What stands behind the last newline: a record, or one that is being written."""
        mine = self._stop is None or self._base < self._stop
        text = bytes(self._buffer[1 : self._filled])
        if self._skipping or not mine or not text.strip(_BLANK):
            return
        try:
            self._parser.parse(text.strip(_BLANK).rstrip(b","))
        except ParseError:
            if self._growing and self._source.problem is None:
                self.partial_tail = self._base
                return
            if self._source.problem is not None:
                return  # told with the damage itself
        self._one(text, self._line, self._base)
