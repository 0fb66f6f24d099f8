"""One line of JSON: indexed 64 bytes at a time, then walked for its wanted fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.keys import MOST_DEEP, find_key
from connectors.scan.wide import (
    closes_at,
    controls_at,
    escapes_at,
    first_one,
    foreign_at,
    ones,
    opens_at,
    pointer,
    quotes_at,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH: Final = 64
MOST_BYTES: Final = 1 << 18  # of a line; a larger one goes to the general reader

# Kinds of value of a field.
ABSENT: Final = 0
TEXT: Final = 1
NUMBER: Final = 2
TRUE: Final = 3
FALSE: Final = 4
NULL: Final = 5
OTHER: Final = 6  # an object, an array, or something that is no JSON

_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE: Final = np.uint64(1)
_TOP: Final = np.uint64(63)
_NEWLINE: Final = np.uint8(10)
_QUOTE: Final = np.uint8(ord('"'))
_COLON: Final = np.uint8(ord(":"))
_COMMA: Final = np.uint8(ord(","))
_BRACE: Final = np.uint8(ord("{"))
_BRACE_END: Final = np.uint8(ord("}"))
_BRACKET: Final = np.uint8(ord("["))
_BRACKET_END: Final = np.uint8(ord("]"))
_BLANK: Final = np.uint8(ord(" "))
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


@compiled
def walk_line(data: Any, start: int, stop: int, tree: Any, fields: int, line: Any) -> bool:
    """Note where the wanted fields of an indexed line stand.

    Args:
        data: as :func:`index_line` was given it.
        start: first byte of the line.
        stop: its newline.
        tree: the wanted keys.
        fields: how many fields there are.
        line: what ``index_line`` filled; ``starts``, ``stops`` and ``kinds`` are set.

    Returns:
        Whether it is one JSON object with each wanted key at most once. What nobody
        asked for is checked as to its quotes and brackets only.
    """
    for field in range(fields):
        line.kinds[field] = ABSENT
    nodes = line.nodes
    nodes[0] = depth = 0
    seen = np.uint64(0)
    at = _solid(data, start)
    if data[at] != _BRACE:
        return False
    at = _solid(data, at + 1)
    fresh = True  # an object has just begun, and may end at once
    while True:
        if data[at] == _QUOTE:
            end = _next_one(line.quotes, at + 1 - start, stop - start)
            if end < 0:
                return False
            key = find_key(tree, nodes[depth], data, at + 1, start + end)
            at = _solid(data, start + end + 1)
            if data[at] != _COLON:
                return False
            at = _solid(data, at + 1)
            field = -1
            if key >= 0:
                if (seen >> np.uint64(key)) & _ONE != 0:
                    return False
                seen |= _ONE << np.uint64(key)
                field = tree.fields[key]
                if data[at] == _BRACE and tree.children[key] >= 0:
                    depth += 1
                    nodes[depth] = tree.children[key]
                    at = _solid(data, at + 1)
                    fresh = True
                    continue
            end, kind = _value_end(data, at, start, stop, line)
            if end < 0:
                return False
            if field >= 0:
                line.kinds[field] = kind
                quoted = 1 if kind == TEXT else 0
                line.starts[field], line.stops[field] = at + quoted, end - quoted
            at = _solid(data, end)
        elif data[at] != _BRACE_END or not fresh:
            return False
        while data[at] == _BRACE_END:
            at = _solid(data, at + 1)
            depth -= 1
            if depth < 0:
                return at == stop or (data[at] == _RETURN and at + 1 == stop)
        if data[at] != _COMMA:
            return False
        at = _solid(data, at + 1)
        fresh = False


@compiled
def _solid(data: Any, at: int) -> int:
    """The next byte that is no blank."""
    while data[at] == _BLANK:
        at += 1
    return at


@compiled
def _next_one(bits: Any, place: int, limit: int) -> int:
    """The next bit that is set, or -1 if there is none before ``limit``."""
    word = place >> 6
    rest = bits[word] >> np.uint64(place & 63)
    if rest != 0:
        return place + first_one(rest)
    while (word << 6) < limit:
        word += 1
        if bits[word] != 0:
            return (word << 6) + first_one(bits[word])
    return -1


@compiled
def _value_end(data: Any, at: int, start: int, stop: int, line: Any) -> tuple[int, int]:
    """Position behind a value and its kind; -1 if it does not end."""
    first = data[at]
    if first == _QUOTE:
        end = _next_one(line.quotes, at + 1 - start, stop - start)
        return (start + end + 1 if end >= 0 else -1), TEXT
    if first == _BRACE or first == _BRACKET:
        end = _closing(line, at + 1 - start, stop - start)
        return (start + end + 1 if end >= 0 else -1), OTHER
    end = at
    whole = True
    while True:
        letter = data[end]
        if letter == _COMMA or letter == _BRACE_END or letter == _BRACKET_END or letter <= _BLANK:
            break
        whole = whole and (48 <= letter <= 57 or (end == at and letter == 45))
        end += 1
    if end == at:
        return -1, OTHER
    return end, _kind_of_word(data, at, end - at, whole)


@compiled
def _kind_of_word(data: Any, at: int, length: int, whole: bool) -> int:
    if whole:
        return NUMBER if length <= 18 and data[at + length - 1] != 45 else OTHER
    first, second = data[at], data[at + 1]
    if first == 116 and second == 114 and length == 4:
        return TRUE
    if first == 102 and second == 97 and length == 5:
        return FALSE
    if first == 110 and second == 117 and length == 4:
        return NULL
    return OTHER


@compiled
def _closing(line: Any, place: int, limit: int) -> int:
    """Where the bracket ends that began just before ``place``, or -1."""
    word = place >> 6
    passed = _ALL << np.uint64(place & 63)
    opens, closes = line.opens[word] & passed, line.closes[word] & passed
    depth = 1
    while True:
        while closes != 0 and ones(closes) >= depth:
            below = (closes & (~closes + _ONE)) - _ONE
            depth += ones(opens & below) - 1
            if depth == 0:
                return (word << 6) + first_one(closes)
            opens &= ~below
            closes &= closes - _ONE
        depth += ones(opens) - ones(closes)
        word += 1
        if (word << 6) > limit:
            return -1
        opens, closes = line.opens[word], line.closes[word]


@compiled
def any_escaped(line: Any, fields: int, start: int) -> bool:
    """Whether a backslash stands in the text of a wanted field."""
    for field in range(fields):
        first, last = line.starts[field] - start, line.stops[field] - start
        if line.kinds[field] == TEXT and first < last:
            place = _next_one(line.escapes, first, last)
            if 0 <= place < last:
                return True
    return False
