"""One line of JSON indexed, 64 bytes at a time: where its quotes and brackets stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.keys import MOST_DEEP
from connectors.scan.wide import (
    closes_at,
    controls_at,
    escapes_at,
    first_one,
    foreign_at,
    opens_at,
    pointer,
    quotes_at,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH: Final = 64
MOST_BYTES: Final = 1 << 18  # of a line; a larger one goes to the general reader

_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE: Final = np.uint64(1)
_TOP: Final = np.uint64(63)
_NEWLINE: Final = np.uint8(10)
_RETURN: Final = np.uint8(13)


class Line(NamedTuple):
    """Scratch memory for one line, used again for every line.

    Attributes:
        quotes: uint64, one bit a byte: quotes that begin or end a text.
        opens, closes: uint64: brackets that are in no text.
        escapes: uint64: backslashes.
        starts, stops: int64, shape (fields,): where the value of a field stands.
        kinds: uint8, shape (fields,): what it is.
        nodes: int64: of the key tree, one for each object that is under way.
    """

    quotes: NDArray[np.uint64]
    opens: NDArray[np.uint64]
    closes: NDArray[np.uint64]
    escapes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    nodes: NDArray[np.int64]


def line_memory(fields: int) -> Line:
    """Scratch memory for lines with so many wanted fields; 128 KiB."""
    words = MOST_BYTES // WIDTH + 2
    return Line(
        quotes=np.zeros(words, np.uint64),
        opens=np.zeros(words, np.uint64),
        closes=np.zeros(words, np.uint64),
        escapes=np.zeros(words, np.uint64),
        starts=np.zeros(fields, np.int64),
        stops=np.zeros(fields, np.int64),
        kinds=np.zeros(fields, np.uint8),
        nodes=np.zeros(MOST_DEEP, np.int64),
    )


@compiled
def line_view(line: Any) -> Any:
    """The scratch memory as compiled code takes it: pointers."""
    return Line(
        pointer(line.quotes),
        pointer(line.opens),
        pointer(line.closes),
        pointer(line.escapes),
        pointer(line.starts),
        pointer(line.stops),
        pointer(line.kinds),
        pointer(line.nodes),
    )


@compiled
def index_line(data: Any, start: int, line: Any) -> tuple[int, bool, bool]:
    """Find quotes and brackets up to the end of the line.

    Args:
        data: uint8, C-contiguous; a newline and then 64 bytes stand behind ``start``.
        start: first byte of the line.
        line: scratch memory, to be filled.

    Returns:
        Position of the newline, or where it gave up; whether the line is sound so far: UTF-8,
        no control character, every text ended; whether any byte is escaped.
    """
    inside = np.uint64(0)  # all ones while a text is under way
    carried = False  # the last byte before was a backslash that counts
    escapes_any = False
    checked = start  # up to here all is UTF-8
    at = start
    for word in range(MOST_BYTES // WIDTH):
        quotes, escapes = quotes_at(data, at), escapes_at(data, at)
        opens, closes = opens_at(data, at), closes_at(data, at)
        controls, foreign = controls_at(data, at), foreign_at(data, at)
        end = WIDTH
        if controls != 0:
            end = first_one(controls)
            if data[at + end] == _RETURN and data[at + end + 1] == _NEWLINE:
                end += 1
            elif data[at + end] != _NEWLINE:
                return at + end, False, escapes_any
            foreign &= (_ONE << np.uint64(end & 63)) - _ONE if end < WIDTH else _ALL
        if foreign != 0:
            checked = _utf8_until(data, at, foreign, checked)
            if checked < 0:
                return at, False, escapes_any
        if escapes != 0 or carried:
            escapes_any = True
            escaped, carried = _escaped(escapes, carried)
            quotes &= ~escaped
        if end < WIDTH:
            before = (_ONE << np.uint64(end)) - _ONE
            quotes, opens, closes = quotes & before, opens & before, closes & before
        texts = _parity(quotes) ^ inside
        line.quotes[word], line.escapes[word] = quotes, escapes
        line.opens[word], line.closes[word] = opens & ~texts, closes & ~texts
        inside = _ALL if (texts >> _TOP) != 0 else np.uint64(0)
        if end < WIDTH:
            return at + end, inside == 0, escapes_any
        at += WIDTH
    return at, False, escapes_any


@compiled
def _parity(bits: Any) -> Any:
    """Bit ``i``: whether the number of ones up to and with bit ``i`` is odd."""
    bits ^= bits << np.uint64(1)
    bits ^= bits << np.uint64(2)
    bits ^= bits << np.uint64(4)
    bits ^= bits << np.uint64(8)
    bits ^= bits << np.uint64(16)
    bits ^= bits << np.uint64(32)
    return bits


@compiled
def _escaped(escapes: Any, carried: bool) -> tuple[Any, bool]:
    """Bytes behind a backslash that counts; whether the last byte is such a backslash."""
    escaped = np.uint64(0)
    if carried:
        escaped = _ONE
        escapes &= ~_ONE
    carried = False
    while escapes != 0:
        first = escapes & (~escapes + _ONE)
        carried = first >> _TOP != 0
        escaped |= first << _ONE
        escapes &= ~(first | (first << _ONE))
    return escaped, carried


@compiled
def _utf8_until(data: Any, at: int, foreign: Any, checked: int) -> int:
    """Where the last character ends that begins in these 64 bytes, or -1 (RFC 3629)."""
    while foreign != 0:
        place = at + first_one(foreign)
        foreign &= foreign - _ONE
        if place < checked:
            continue
        lead, second = data[place], data[place + 1]
        more = 0
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if (lead == 0xE0 and second < 0xA0) or (lead == 0xED and second > 0x9F):
                return -1
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second > 0x8F):
                return -1
        else:
            return -1
        for i in range(1, more + 1):
            if data[place + i] & 0xC0 != 0x80:
                return -1
        checked = place + more + 1
    return checked
