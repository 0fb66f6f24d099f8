"""Times of records to microseconds since 1970, whole columns at once.

Formats (all seen in real exports): RFC 3339 with 0 to 9 or more digits of fraction, ``Z`` or
an offset or nothing (then UTC), ``T`` or a blank between date and time; US style
``1/9/2007 10:41:00 AM +01:00``, with or without ``AM``/``PM``, offset and the comma the Log
Analytics portal writes; ``/Date(1616000000000)/`` of Windows PowerShell 5.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.clock import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EARLIEST: Final = to_us(datetime(2000, 1, 1, tzinfo=UTC))  # 0001-01-01 is an unset time
LATEST: Final = to_us(datetime(2100, 1, 1, tzinfo=UTC))

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"\s*(Z|z|UTC|[+-]\d\d:?\d\d)?"
)
_US: Final = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),?\s+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(?:[\s\u202f]*([AaPp])\.?[Mm]\.?)?\s*(Z|z|UTC|[+-]\d\d:?\d\d)?"
)
_POWERSHELL: Final = re.compile(r"\\?/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\\?/")
# What Arrow's own parser takes, in nanoseconds and with a zone.
_ZONED: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_NAIVE: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?$"


def parse_time(text: str) -> int | None:
    """Microseconds since 1970, or None if the text is no time between 2000 and 2100.

    Digits beyond the sixth of the fraction are cut, as the column parser cuts them.

    >>> parse_time("2022-01-24T05:10:14.1875602Z") == parse_time("1/24/2022 5:10:14.187560 AM")
    True
    """
    text = text.strip()
    try:
        value = _parse(text)
    except (ValueError, OverflowError):
        return None
    return value if value is not None and EARLIEST <= value < LATEST else None


def _parse(text: str) -> int | None:
    if match := _ISO.fullmatch(text):
        year, month, day, hour, minute, second, fraction, zone = match.groups()
    elif match := _US.fullmatch(text):
        month, day, year, hour, minute, second, fraction, half, zone = match.groups()
        if half is not None:
            if not 1 <= int(hour) <= 12:
                return None
            hour = str(int(hour) % 12 + (12 if half in "Pp" else 0))
    elif match := _POWERSHELL.fullmatch(text):
        return int(match[1]) * 1000
    else:
        return None
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        int(second or 0),
        int((fraction or "0")[:6].ljust(6, "0")),
        _zone(zone),
    )
    return to_us(moment)


def _zone(text: str | None) -> timezone:
    if text is None or text in ("Z", "z", "UTC"):
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def parse_times(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole column: microseconds since 1970 and which of them are valid times.

    Arrow parses the common layouts (about 30 ns each); the rest goes one by one.
    """
    column = pa.array(texts, pa.string())
    for zone in ("UTC", None):
        try:
            return _checked(_cast(column, zone), column.is_valid())
        except pa.ArrowInvalid:
            continue
    return _mixed(column)


def _cast(column: pa.Array, zone: str | None) -> NDArray[np.int64]:
    # Nanoseconds, since Arrow refuses more digits than the unit holds; Entra writes seven.
    stamps = column.cast(pa.timestamp("ns", zone)).cast(pa.int64()).fill_null(0)
    nanoseconds: NDArray[np.int64] = stamps.to_numpy(zero_copy_only=False)
    return nanoseconds // 1000


def _checked(
    values: NDArray[np.int64], valid: pa.Array
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    good = valid.to_numpy(zero_copy_only=False).astype(bool)
    return values, good & (values >= EARLIEST) & (values < LATEST)


def _mixed(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    values = np.zeros(len(column), np.int64)
    done = np.zeros(len(column), bool)
    for pattern, zone in ((_ZONED, "UTC"), (_NAIVE, None)):
        chosen = pc.match_substring_regex(column, pattern).fill_null(False)
        where = chosen.to_numpy(zero_copy_only=False).astype(bool)
        try:
            values[where] = _cast(column.filter(chosen), zone)
        except pa.ArrowInvalid:  # well formed and no date, such as 30 February
            continue
        done |= where
    for index in np.flatnonzero(~done):
        text = column[index].as_py()
        value = None if text is None else parse_time(text)
        values[index] = 0 if value is None else value
    return values, (values >= EARLIEST) & (values < LATEST)
