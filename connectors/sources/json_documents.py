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
from connectors.sources.structure import first_ends, value_ends
from connectors.sources.unpacking import PIECE
from connectors.sources.window import Window
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.normalise.intake import Intake
    from connectors.sources.readable import Readable

_BETWEEN: Final = b" \t\r\n,\x1e\0"  # RFC 7464 puts a record separator before each value
_BLANK: Final = b" \t\r\n"
_WHOLE: Final = 512 * 1024  # a page up to this size is parsed at once
_ARRAY: Final = ord("[")
_OBJECT: Final = ord("{")
_ARRAY_END: Final = ord("]")
_OBJECT_END: Final = ord("}")
_TEXT: Final = rb'"(?:[^"\\]|\\.)*+"'
_PLAIN: Final = rb"(?:" + _TEXT + rb'|[^\s,{}\[\]"]+)'
_MEMBER: Final = re.compile(rb"(" + _TEXT + rb")\s*:\s*")
_SCALAR: Final = re.compile(_PLAIN + rb"(?=[\s,}\]])")
# How a record begins: its first two keys, if the first one holds a plain value.
_HEAD: Final = re.compile(
    rb"\{\s*(" + _TEXT + rb")\s*:\s*" + _PLAIN + rb"\s*,\s*(" + _TEXT + rb")\s*:"
)
_KEYS: Final = frozenset(b'"%s"' % key.encode() for key in CONTAINERS)
_PAGE: Final = re.compile(rb"(?:" + b"|".join(sorted(_KEYS)) + rb")\s*:\s*\[")
_NEXT: Final = re.compile(rb"[\n,]\s*(?=\{)")
_TRIES: Final = 200  # braces looked at, from the end of a window, for the start of a record
_CUT: Final = "ends in the middle of a record; copy the file again"
_ODD: Final = "not JSON between two records; export it again"
_UNENDING: Final = "a record that does not end; export it again"
_LONG: Final = f"a record of more than {MAX_RECORD} bytes; not a log record"


def is_page(data: bytes | bytearray, begin: int = 0) -> bool:
    """Whether an object looks like a page or message: a list of records under a known key."""
    return _PAGE.search(data, begin, begin + PIECE) is not None


class DocumentReader:
    """Reads one input as a sequence of JSON values into an intake.

    Args:
        source: the input.
        intake: where the records go.
        line: the line in which all of it stands, if it is one of JSON lines.
    """

    def __init__(self, source: Readable, intake: Intake, line: int | None = None) -> None:
        self._line = line
        self._source = source
        self._intake = intake
        self._parser = Parser()
        self._held = Window(source)
        self._start: re.Pattern[bytes] | None = None

    def run(self) -> Iterator[None]:
        """Read everything; yields after each block, when the intake may be emptied."""
        self._intake.mark(self._line, 0)
        held = self._held
        while held.strip(_BETWEEN):
            first = held.first()
            if first == _ARRAY:
                held.drop(1)
                yield from self._elements()
            elif first == _OBJECT:
                yield from self._object()
            else:
                self._resume(_ODD)
            yield

    def _object(self) -> Iterator[None]:
        """A record, a small page, or a page whose array is to be taken apart."""
        if self._whole():
            return
        self._held.drop(1)
        while (key := self._member()) is not None:
            if key in _KEYS and self._held.first() == _ARRAY:
                self._held.drop(1)
                yield from self._elements()
            elif not self._pass_value():
                return

    def _whole(self) -> bool:
        """Take the values at the front, if the first of them ends soon enough."""
        held = self._held
        size = PIECE
        while True:
            full = held.hold(size)
            end = held.low + min(size, len(held))
            found = first_ends(held.buffer, held.low, end, PIECE)
            if found.ends:
                return self._values(found.ends)
            if not full:
                self._cut_off()
                return True
            if size >= _WHOLE and is_page(held.buffer, held.low):
                return False
            if size >= MAX_RECORD:
                self._pass_long()
                return True
            size *= 2

    def _values(self, ends: list[int]) -> bool:
        """Take whole values up to a damaged page; False if that is the first of them."""
        held = self._held
        first = held.base
        for end in ends:
            # Blanks before a value count to it; the window has not moved since the search.
            if not self._one(held.low, end):
                break
            held.drop(end - held.low)
        return held.base > first

    def _member(self) -> bytes | None:
        """Pass the next key of the page; None where the page ends or is damaged."""
        held = self._held
        held.hold(PIECE)
        held.strip(_BETWEEN)
        if held.first() == _OBJECT_END:
            held.drop(1)
            return None
        match = _MEMBER.match(held.buffer, held.low, held.high)
        if match is None:
            self._resume(_ODD)
            return None
        key, end = bytes(match[1]), match.end()
        held.drop(end - held.low)
        return key

    def _pass_value(self) -> bool:
        """Pass the value of a key that holds no records."""
        held = self._held
        if held.first() in (_OBJECT, _ARRAY):
            return self._pass_long(silent=True)
        match = _SCALAR.match(held.buffer, held.low, held.high)
        if match is None:
            self._resume(_ODD)
            return False
        held.drop(match.end() - held.low)
        return True

    def _elements(self) -> Iterator[None]:
        """The records of an array whose opening bracket has been passed."""
        held = self._held
        size = PIECE
        while True:
            if not held.strip(_BETWEEN):
                self._refuse(RejectReason.TRUNCATED, _CUT)
                return
            if held.first() == _ARRAY_END:
                held.drop(1)
                return
            full = held.hold(size)
            before = held.base
            self._some(held.low + min(size, len(held)))
            if held.base > before:
                size = PIECE
                yield
            elif not full:
                if not self._cut_off():
                    return
            elif size < MAX_RECORD:
                size *= 2
            elif not self._skip_damage():
                self._pass_long()

    def _some(self, end: int) -> None:
        """Take the whole records between the front and ``end``, and pass them."""
        held = self._held
        start = self._last_start(end)
        if start is not None and self._at_once(held.low, start):
            held.drop(start - held.low)
            return
        found = first_ends(held.buffer, held.low, end, PIECE)
        stop = found.ends[-1] if found.ends else held.low
        if found.closed is not None:
            # Values without brackets may stand behind the last one that has them.
            stop = found.closed
        if stop > held.low:
            self._learn()
            if not self._at_once(held.low, stop):
                self._one_by_one(held.low, [*found.ends, stop])
            held.drop(stop - held.low)
        if found.closed is not None and held.first() != _ARRAY_END:
            self._refuse(RejectReason.NOT_JSON, _ODD)
            held.drop(1)

    def _learn(self) -> None:
        """Note how the record at the front begins."""
        held = self._held
        match = _HEAD.match(held.buffer, held.low, held.high)
        if match is not None:
            first, second = re.escape(bytes(match[1])), re.escape(bytes(match[2]))
            self._start = re.compile(
                rb"\{\s*" + first + rb"\s*:\s*" + _PLAIN + rb"\s*,\s*" + second + rb"\s*:"
            )

    def _last_start(self, end: int) -> int | None:
        """Where the last record before ``end`` begins, by the looks of it.

        The parser proves it: what reaches from one record's start to another's and is a
        valid array cannot end anywhere else. Saves the search for every bracket.
        """
        if self._start is None:
            return None
        held = self._held
        position = end
        for _ in range(_TRIES):
            position = held.buffer.rfind(b"{", held.low + 1, position)
            if position < 0:
                return None
            if self._start.match(held.buffer, position, end) and self._behind_comma(position):
                return position
        return None

    def _behind_comma(self, position: int) -> bool:
        buffer, low = self._held.buffer, self._held.low
        wanted = [ord(","), _OBJECT_END]
        while position > low and wanted:
            position -= 1
            letter = buffer[position]
            if letter == wanted[0]:
                wanted.pop(0)
            elif letter not in _BLANK:
                return False
        return not wanted

    def _at_once(self, begin: int, end: int) -> bool:
        """Take ``buffer[begin:end]`` as the inside of one array, if it is sound."""
        held = self._held
        while end > begin and held.buffer[end - 1] in _BETWEEN:
            end -= 1
        with held.bracketed(begin, end) as piece:
            try:
                values = self._parser.parse(piece)
            except ParseError:
                return False
            self._source.progress()
            self._intake.take(values, held.buffer)
            del values
        return True

    def _one_by_one(self, begin: int, ends: list[int]) -> None:
        """Take the values of an array each for itself, since one of them is damaged."""
        for end in ends:
            self._one(begin, end, within=True)
            begin = end

    def _one(self, begin: int, end: int, *, within: bool = False) -> bool:
        """Take one value; False for a damaged page, which can be taken apart."""
        held = self._held
        text = bytes(held.buffer[begin:end]).strip(_BETWEEN)
        if not text:
            return True
        try:
            value = self._parser.parse(text)
        except ParseError as error:
            if not within and is_page(text):
                return False
            offset = held.base + end - held.low - len(text)
            self._intake.reject(*diagnose(error), line=self._line, offset=offset)
            return True
        self._source.progress()
        self._intake.take([value], text)
        del value
        return True

    def _skip_damage(self) -> bool:
        """After a record that never ends: go on where the next seems to begin."""
        held = self._held
        if self._start is None:
            return False
        match = self._start.search(held.buffer, held.low + 1, held.high)
        if match is None:
            return False
        self._refuse(RejectReason.NOT_JSON, _UNENDING)
        held.drop(match.start() - held.low)
        return True

    def _cut_off(self) -> bool:
        """The input ends within a value; whether another may follow it all the same."""
        if self._skip_damage():
            return True
        self._refuse(RejectReason.TRUNCATED, _CUT)
        self._held.drop(len(self._held))
        return False

    def _pass_long(self, *, silent: bool = False) -> bool:
        """Pass a value of any size without holding it."""
        if not silent:
            self._refuse(RejectReason.TOO_LONG, _LONG)
        held = self._held
        depth, in_string, escaped = 0, False, False
        while True:
            end = held.low + min(PIECE, len(held))
            found = value_ends(
                held.buffer, held.low, end, depth=depth, in_string=in_string, escaped=escaped
            )
            if found.ends or found.closed is not None:
                stop = found.ends[0] if found.ends else found.closed
                held.drop((stop or held.low) - held.low)
                return True
            depth, in_string, escaped = found.depth, found.in_string, found.escaped
            held.drop(end - held.low)
            if not len(held) and not held.hold(1):
                return False

    def _resume(self, detail: str) -> None:
        """Set aside what is no JSON, up to where a record may begin."""
        self._refuse(RejectReason.NOT_JSON, detail)
        held = self._held
        while True:
            match = _NEXT.search(held.buffer, held.low, held.high)
            if match is not None:
                held.drop(match.end() - held.low)
                return
            held.drop(len(held))
            del match
            if not held.hold(1):
                return

    def _refuse(self, reason: RejectReason, detail: str) -> None:
        # What the input's own damage explains is told once, with the damage.
        if self._source.problem is None or reason is not RejectReason.TRUNCATED:
            self._intake.reject(reason, detail, line=self._line, offset=self._held.base)
