"""Numbers, times and ids out of the bytes of a value."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.wide import word_at

NO_TIME: Final = -(1 << 62)
_ZERO: Final = 48
_MINUS: Final = 45
_GUID: Final = 36
_DASH: Final = 45
_BLANK: Final = 32
_WORD: Final = 8
_ONES: Final = np.uint64(0x0101010101010101)
_TOPS: Final = np.uint64(0x8080808080808080)


@compiled
def integer(data: Any, start: int, stop: int) -> int:
    """The whole number that ``data[start:stop]`` writes; at most 18 digits, checked before."""
    value: Any = 0
    first = start + 1 if data[start] == _MINUS else start
    for at in range(first, stop):
        value = value * 10 + np.int64(data[at]) - _ZERO
    return -value if first > start else value


@compiled
def _digits(data: Any, at: int, count: int) -> int:
    """The number of ``count`` digits, or a large negative one if one of them is none."""
    value: Any = 0
    for i in range(count):
        digit = np.int64(data[at + i]) - _ZERO
        if digit < 0 or digit > 9:
            return -1_000_000
        value = value * 10 + digit
    return value


@compiled
def microseconds(data: Any, start: int, stop: int) -> int:
    """RFC 3339 in UTC, as the services write it, to microseconds since 1970.

    ``YYYY-MM-DDTHH:MM:SS``, any number of digits of fraction of which six count, ``Z``.
    NO_TIME for every other writing, which the general reader takes.
    """
    if stop - start < 20 or data[stop - 1] != 90:
        return NO_TIME
    if (
        data[start + 4] != _DASH
        or data[start + 7] != _DASH
        or data[start + 10] != 84
        or data[start + 13] != 58
        or data[start + 16] != 58
    ):
        return NO_TIME
    year, month = _digits(data, start, 4), _digits(data, start + 5, 2)
    day, hour = _digits(data, start + 8, 2), _digits(data, start + 11, 2)
    minute, second = _digits(data, start + 14, 2), _digits(data, start + 17, 2)
    if not (2000 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        return NO_TIME
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return NO_TIME
    fraction: Any = 0
    scale = 1_000_000
    if stop - start > 20:
        count = stop - start - 21
        if data[start + 19] != 46 or count == 0:
            return NO_TIME
        for i in range(count):
            digit = np.int64(data[start + 20 + i]) - _ZERO
            if digit < 0 or digit > 9:
                return NO_TIME
            if i < 6:
                fraction = fraction * 10 + digit
                scale //= 10
    seconds = (_days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second
    return seconds * 1_000_000 + fraction * scale


@compiled
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 else 28  # 2000 to 2099: no century without a leap day
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date between 2000 and 2099."""
    since = year - 1968  # a leap year, so that February's end is the end of a cycle
    if month <= 2:
        since -= 1
        month += 12
    # Months from March on are 30.6 days long on the average, rounded as calendars round.
    return since * 365 + since // 4 + (153 * (month - 3) + 2) // 5 + day - 1 - 671


@compiled
def guid(data: Any, start: int, stop: int, out: Any, at: int) -> bool:
    """Write the sixteen bytes of ``01234567-89ab-cdef-0123-456789abcdef`` to ``out[at:]``.

    Returns:
        Whether the text is such an id; if not, ``out`` holds nothing of use.
    """
    if stop - start != _GUID:
        return False
    byte = at
    place = start
    for part in (8, 4, 4, 4, 12):
        for _ in range(part // 2):
            high, low = _hex(data[place]), _hex(data[place + 1])
            if high < 0 or low < 0:
                return False
            out[byte] = high * 16 + low
            byte += 1
            place += 2
        if place < stop:
            if data[place] != _DASH:
                return False
            place += 1
    return True


@compiled
def plain(data: Any, start: int, stop: int, most: int) -> bool:
    """Whether a text is of ASCII letters and marks, begins with one, and has at most so many.

    Control characters below the blank were looked for before; eight bytes are readable behind.
    """
    if stop - start > most or (start < stop and data[start] <= _BLANK):
        return False
    odd = np.uint64(0)
    at = start
    while at + _WORD <= stop:
        odd |= _beyond(word_at(data, at))
        at += _WORD
    if at < stop:
        mask = (np.uint64(1) << np.uint64(8 * (stop - at))) - np.uint64(1)
        odd |= _beyond(word_at(data, at) & mask)
    return bool(odd & _TOPS == 0)


@compiled
def _beyond(word: Any) -> Any:
    """The highest bit of each byte that is 0x7F (DEL) or larger, and of no other if none is."""
    return word | (word + _ONES)


@compiled
def _hex(letter: Any) -> int:
    if 48 <= letter <= 57:
        return int(letter) - 48
    folded = letter | 0x20
    if 97 <= folded <= 102:
        return int(folded) - 87
    return -1
