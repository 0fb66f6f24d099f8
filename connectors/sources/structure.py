"""Where the values of a JSON sequence end, found without parsing it: array arithmetic.

A value's end is where the depth of brackets outside of strings returns to zero. Quotes
that are escaped are told by the parity of the backslashes before them (RFC 8259, 7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUOTE: Final = 34
_BACKSLASH: Final = b"\\"
_CASE: Final = 0x20  # tells [ from { and ] from }
_OPENING: Final = 0x7B
_CLOSING: Final = 0x7D


@dataclass(frozen=True, slots=True)
class Ends:
    """What a stretch of JSON holds.

    Attributes:
        ends: positions in the buffer just behind each bracketed value that is complete.
        closed: position in the buffer of the bracket that closes what the stretch stands in, or None.
        depth: brackets still open at the end of the stretch.
        in_string: whether the stretch ends inside a string.
        escaped: whether it ends with a backslash that escapes what follows.
    """

    ends: list[int]
    closed: int | None
    depth: int
    in_string: bool
    escaped: bool


def value_ends(
    data: bytes | bytearray,
    begin: int,
    end: int,
    *,
    depth: int = 0,
    in_string: bool = False,
    escaped: bool = False,
) -> Ends:
    """Find the ends of the values in ``data[begin:end]``, going on from the state given.

    >>> found = value_ends(b'{"a":"}"},{"b":[1]}]', 0, 20)
    >>> found.ends, found.closed
    ([9, 19], 19)
    """
    array = np.frombuffer(data, np.uint8, end - begin, begin)
    folded = array | _CASE
    marks = np.flatnonzero((array == _QUOTE) | (folded == _OPENING) | (folded == _CLOSING))
    letters = array[marks]
    quotes = letters == _QUOTE
    runs_on = False
    if escaped or data.find(_BACKSLASH, begin, end) >= 0:
        real, runs_on = _unescaped(array, marks, quotes, escaped=escaped)
        marks, letters, quotes = marks[real], letters[real], quotes[real]
    inside = (np.cumsum(quotes, dtype=np.int32) + int(in_string)) & 1
    outside = ~quotes & (inside == 0)
    where = marks[outside]
    steps = np.where((letters[outside] | _CASE) == _OPENING, 1, -1)
    depths = np.cumsum(steps, dtype=np.int32) + depth
    below = np.flatnonzero(depths < 0)
    closed = begin + int(where[below[0]]) if len(below) else None
    if closed is not None:
        where, depths, steps = where[: below[0]], depths[: below[0]], steps[: below[0]]
    ends = where[(depths == 0) & (steps < 0)] + (begin + 1)
    return Ends(
        ends=ends.tolist(),
        closed=closed,
        depth=int(depths[-1]) if len(depths) else depth,
        in_string=bool((np.count_nonzero(quotes) + int(in_string)) & 1),
        escaped=runs_on,
    )


def first_ends(data: bytearray, begin: int, end: int, step: int) -> Ends:
    """As :func:`value_ends`, a step at a time, in memory that does not grow with the stretch."""
    ends: list[int] = []
    found = Ends(ends, None, 0, in_string=False, escaped=False)
    while begin < end and found.closed is None:
        stop = min(begin + step, end)
        found = value_ends(
            data,
            begin,
            stop,
            depth=found.depth,
            in_string=found.in_string,
            escaped=found.escaped,
        )
        ends += found.ends
        begin = stop
    return replace(found, ends=ends)


def _unescaped(
    array: NDArray[np.uint8],
    marks: NDArray[np.int64],
    quotes: NDArray[np.bool_],
    *,
    escaped: bool,
) -> tuple[NDArray[np.bool_], bool]:
    """Which marks are no escaped quotes, and whether the data ends within an escape."""
    backslash = array == _BACKSLASH[0]
    suspects = np.flatnonzero(quotes & (marks > 0))
    suspects = suspects[backslash[marks[suspects] - 1]]
    odd = np.zeros(len(suspects), bool)
    running = np.arange(len(suspects))
    back = marks[suspects] - 1
    while len(running):
        odd[running] ^= True
        before = back[running] - 1
        back[running] = before
        # A run that reaches the front goes on in the piece before this one.
        front = running[before < 0]
        odd[front] ^= escaped
        running = running[before >= 0]
        running = running[backslash[back[running]]]
    real = np.ones(len(marks), bool)
    real[suspects[odd]] = False
    if escaped and len(marks) and marks[0] == 0 and quotes[0]:
        real[0] = False
    tail = len(array)
    while tail > 0 and backslash[tail - 1]:
        tail -= 1
    length = len(array) - tail
    return real, bool((length + (int(escaped) if tail == 0 else 0)) & 1)
