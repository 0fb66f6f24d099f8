"""An indexed line walked for its wanted fields."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.keys import find_key
from connectors.scan.wide import first_one, ones

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
_QUOTE: Final = np.uint8(ord('"'))
_COLON: Final = np.uint8(ord(":"))
_COMMA: Final = np.uint8(ord(","))
_BRACE: Final = np.uint8(ord("{"))
_BRACE_END: Final = np.uint8(ord("}"))
_BRACKET: Final = np.uint8(ord("["))
_BRACKET_END: Final = np.uint8(ord("]"))
_BLANK: Final = np.uint8(ord(" "))
_RETURN: Final = np.uint8(13)


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
    while ((word + 1) << 6) < limit:
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
