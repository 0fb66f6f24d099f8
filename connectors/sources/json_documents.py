"""Arrays, pages and messages of any size to an intake, a block of records at a time.

Reads a sequence of JSON values: ``[...]``, ``{"value": [...]}``, ``{"records": [...]}`` or
plain records, in any mixture, with or without newlines. Of an array too large to hold only
a window is in memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from connectors.normalise.shapes import CONTAINERS
from connectors.sources.parsing import MAX_RECORD, ParseError, Parser, diagnose
from connectors.sources.structure import Ends, value_ends
from connectors.sources.unpacking import PIECE
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.normalise.intake import Intake
    from connectors.sources.unpacking import Input

_BETWEEN: Final = b" \t\r\n,\x1e\0"  # RFC 7464 puts a record separator before each value
_WHOLE: Final = 512 * 1024  # a page up to this size is parsed at once
_MEMBER: Final = re.compile(rb'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')
_SCALAR: Final = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^\s,\]}"\[{]+)(?=[\s,}\]])')
_KEYS: Final = frozenset(key.encode() for key in CONTAINERS)
_NEXT: Final = re.compile(rb"[\n,]\s*(?=\{)")
_CUT: Final = "ends in the middle of a record; copy the file again"
_ODD: Final = "not JSON between two records; export it again"


class DocumentReader:
    """Reads one input as a sequence of JSON values into an intake."""

    def __init__(self, source: Input, intake: Intake) -> None:
        self._source = source
        self._intake = intake
        self._parser = Parser()
        self._buffer = b""
        self._base = source.position
        self._ended = False
        self._start: re.Pattern[bytes] | None = None

    def run(self) -> Iterator[None]:
        """Read everything; yields after each block, when the intake may be emptied."""
        self._intake.mark(None, 0)
        while self._to_value():
            first = self._buffer[:1]
            if first == b"[":
                self._drop(1)
                yield from self._elements()
            elif first == b"{":
                yield from self._object()
            else:
                self._resume(RejectReason.NOT_JSON, _ODD)
            yield

    def _fill(self, size: int) -> bool:
        """Hold at least ``size`` bytes if the input has them."""
        if len(self._buffer) >= size:
            return True
        pieces = [self._buffer]
        held = len(self._buffer)
        while held < size and not self._ended:
            piece = self._source.read(PIECE)
            self._ended = not piece
            held += len(piece)
            pieces.append(piece)
        self._buffer = b"".join(pieces)
        return held >= size

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._base += count

    def _to_value(self) -> bool:
        """Pass what may stand between two values; False at the end."""
        while True:
            rest = self._buffer.lstrip(_BETWEEN)
            self._base += len(self._buffer) - len(rest)
            self._buffer = rest
            if rest or not self._fill(1):
                return bool(rest)

    def _object(self) -> Iterator[None]:
        """A record, a small page, or a page whose array is to be taken apart."""
        if self._small():
            return
        self._drop(1)
        while (key := self._member()) is not None:
            if key in _KEYS and self._buffer[:1] == b"[":
                self._drop(1)
                yield from self._elements()
            elif not self._pass_value():
                return

    def _small(self) -> bool:
        """Take the object at the front whole, if it ends soon enough."""
        size = PIECE
        while True:
            full = self._fill(size)
            found = value_ends(self._buffer[:size])
            if len(found.ends):
                end = int(found.ends[-1])
                self._take(self._buffer[:end], found.ends.tolist())
                self._drop(end)
                return True
            if not full:
                self._cut_off()
                return True
            if size >= (MAX_RECORD if _page_key(self._buffer) is None else _WHOLE):
                return self._too_long_unless_page()
            size *= 2

    def _too_long_unless_page(self) -> bool:
        if _page_key(self._buffer) is not None:
            return False
        self._pass_long()
        return True

    def _member(self) -> bytes | None:
        """Pass the next key of the page; None where the page ends or is damaged."""
        self._fill(PIECE)
        rest = self._buffer.lstrip(_BETWEEN)
        self._drop(len(self._buffer) - len(rest))
        if rest[:1] == b"}":
            self._drop(1)
            return None
        match = _MEMBER.match(rest)
        if match is None:
            self._resume(RejectReason.NOT_JSON, _ODD)
            return None
        self._drop(match.end())
        return match[1]

    def _pass_value(self) -> bool:
        """Pass the value of a key that holds no records."""
        if self._buffer[:1] in (b"{", b"["):
            return self._pass_long(silent=True)
        match = _SCALAR.match(self._buffer)
        if match is None:
            self._resume(RejectReason.NOT_JSON, _ODD)
            return False
        self._drop(match.end())
        return True

    def _elements(self) -> Iterator[None]:
        """The records of an array whose opening bracket has been passed."""
        size = PIECE
        while True:
            if not self._to_value():
                self._refuse(RejectReason.TRUNCATED, _CUT)
                return
            if self._buffer[:1] == b"]":
                self._drop(1)
                return
            full = self._fill(size)
            window = self._buffer[:size]
            done, closed = self._window(window)
            if done or closed:
                size = PIECE
                yield
            elif not full:
                if not self._cut_off():
                    return
            elif size >= MAX_RECORD:
                if not self._skip_damage():
                    self._pass_long()
            else:
                size *= 2
            if closed:
                self._drop(1)
                return

    def _window(self, window: bytes) -> tuple[bool, bool]:
        """Take the whole records at the front; whether there were any, and the array's end."""
        end = self._last_start(window)
        if end is not None and self._taken_at_once(window[:end]):
            self._drop(end)
            return True, False
        found = value_ends(window)
        end = int(found.ends[-1]) if len(found.ends) else 0
        if found.closed is not None:
            # Values without brackets stand behind the last one that has them.
            end = found.closed
        if end:
            self._take(window[:end], found.ends.tolist())
            self._learn(window, found)
            self._drop(end)
        closed = found.closed is not None and self._buffer[:1] == b"]"
        if found.closed is not None and not closed:
            self._refuse(RejectReason.NOT_JSON, _ODD)
            self._drop(1)
        return bool(end) or found.closed is not None, closed

    def _learn(self, window: bytes, found: Ends) -> None:
        """How a record begins: its first two keys, if the first holds a plain value."""
        match = _HEAD.match(window)
        if match is None or len(found.ends) < 2:
            return
        first, second = re.escape(match[1]), re.escape(match[2])
        self._start = re.compile(
            rb'\{\s*"'
            + first
            + rb'"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[^\s,{}\[\]"]+)\s*,\s*"'
            + second
            + rb'"'
        )

    def _last_start(self, window: bytes) -> int | None:
        """Where the last record of the window begins, by the looks of it.

        The parser proves it: a piece from one record's start to another's that is a valid
        array cannot end anywhere else.
        """
        if self._start is None:
            return None
        position = len(window)
        for _ in range(200):
            position = window.rfind(b"{", 0, position)
            if position <= 0:
                return None
            if self._start.match(window, position):
                before = window[:position].rstrip(b" \t\r\n")
                if before.endswith(b",") and before[:-1].rstrip(b" \t\r\n").endswith(b"}"):
                    return position
        return None

    def _taken_at_once(self, piece: bytes) -> bool:
        data = b"[" + piece.rstrip(_BETWEEN) + b"]"
        try:
            values = self._parser.parse(data)
        except ParseError:
            return False
        self._source.progress()
        self._intake.take(values, data)
        return True

    def _take(self, piece: bytes, ends: list[int]) -> None:
        """Take the values of a piece, together or, if one is damaged, one by one."""
        if self._taken_at_once(piece):
            return
        begin = 0
        for end in [*ends, len(piece)]:
            text = piece[begin:end].strip(_BETWEEN)
            offset = self._base + end - len(text)
            begin = end
            if not text:
                continue
            try:
                value = self._parser.parse(text)
            except ParseError as error:
                self._intake.reject(*diagnose(error), offset=offset)
                continue
            self._source.progress()
            self._intake.take([value], text)
            value = None

    def _skip_damage(self) -> bool:
        """After a record that never ends: go on where the next seems to begin."""
        match = self._start.search(self._buffer, 1) if self._start is not None else None
        if match is None:
            return False
        self._refuse(RejectReason.NOT_JSON, "a record that does not end; export it again")
        self._drop(match.start())
        return True

    def _cut_off(self) -> bool:
        """The input ends within a value; whether another may follow it all the same."""
        if self._skip_damage():
            return True
        self._refuse(RejectReason.TRUNCATED, _CUT)
        self._drop(len(self._buffer))
        return False

    def _pass_long(self, *, silent: bool = False) -> bool:
        """Pass a value of any size without holding it."""
        if not silent:
            self._refuse(
                RejectReason.TOO_LONG,
                f"a record of more than {MAX_RECORD} bytes; not a log record",
            )
        depth, in_string, escaped = 0, False, False
        while True:
            found = value_ends(
                self._buffer[:PIECE], depth=depth, in_string=in_string, escaped=escaped
            )
            if len(found.ends):
                self._drop(int(found.ends[0]))
                return True
            depth, in_string, escaped = found.depth, found.in_string, found.escaped
            self._drop(min(PIECE, len(self._buffer)))
            if not self._buffer and not self._fill(1):
                return False

    def _resume(self, reason: RejectReason, detail: str) -> None:
        """Set aside what is no JSON, up to where a record may begin."""
        self._refuse(reason, detail)
        while True:
            match = _NEXT.search(self._buffer)
            if match is not None:
                self._drop(match.end())
                return
            self._drop(len(self._buffer))
            if not self._fill(1):
                return

    def _refuse(self, reason: RejectReason, detail: str) -> None:
        # What the input's own damage explains is told once, with the damage.
        if self._source.problem is None or reason is not RejectReason.TRUNCATED:
            self._intake.reject(reason, detail, offset=self._base)


_HEAD: Final = re.compile(
    rb'\s*\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[^\s,{}\[\]"]+)\s*,\s*"((?:[^"\\]|\\.)*)"'
)


def _page_key(data: bytes) -> bytes | None:
    """The key under which a page holds its records, if it stands at the front of it."""
    match = re.search(rb'"(' + b"|".join(_KEYS) + rb')"\s*:\s*\[', data[:PIECE])
    return match[1] if match else None
