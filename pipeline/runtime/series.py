"""A series of values as CSV, scored row by row: any length, one row in memory."""

from __future__ import annotations

import csv
import math
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from detectors.series import SeriesChange
from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from pipeline.model.contracts import Detector

# The evidence that scores one half: e^-10 is once in 22,000 rows.
HALF: Final = 10.0
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
_TIME_NAMES: Final = ("timestamp", "time", "date", "datetime")
_VALUE_NAMES: Final = ("value", "values", "count")
# Numbers beyond this are milliseconds: as seconds they would be the year 5138.
_SECONDS_BELOW: Final = 1e11
_STEPS: Final = 32


def score_of(evidence: float) -> float:
    """Evidence in nats as a score from 0 to below 1: e / (e + 10).

    It grows without end and never reaches 1, so that the larger of two is always told.

    >>> score_of(0.0), score_of(10.0), score_of(1e6) < 1.0
    (0.0, 0.5, True)
    """
    return evidence / (evidence + HALF)


def score_series(lines: Iterable[str], name: str) -> Iterator[tuple[str, float]]:
    """Timestamp, as it is written, and score of every row.

    Args:
        lines: of a CSV with a column of timestamps (ISO 8601, UTC unless they say otherwise,
            or seconds or milliseconds since 1970) and one of values; a header may name
            them, otherwise they are the first two. An empty value, ``NaN`` or ``null`` is
            missing and scores 0; an empty timestamp follows the one before at the usual
            step.
        name: of the file, for messages.

    Raises:
        FatalError: a row cannot be read; the message names line and column.
    """
    rows = csv.reader(lines)
    detector: Detector = SeriesChange()
    clock = _Clock()
    places: tuple[int, int] | None = None
    while (row := _next(rows, name)) is not None:
        if not row:
            continue
        at = f"{name}, line {rows.line_num}"
        if places is None:
            places, is_header = _columns(row)
            if is_header:
                continue
        if len(row) <= max(places):
            raise FatalError(f"{at}: {len(row)} column(s), want {max(places) + 1}")
        time_text, value_text = row[places[0]].strip(), row[places[1]].strip()
        sample: dict[Hashable, Any] = {
            "time": clock.read(time_text, f"{at}, column {places[0] + 1}"),
            "value": _value(value_text, f"{at}, column {places[1] + 1}"),
        }
        yield row[places[0]], score_of(detector.score_one(sample))
        detector.learn_one(sample)


def _next(rows: Iterator[list[str]], name: str) -> list[str] | None:
    try:
        return next(rows, None)
    except (csv.Error, UnicodeDecodeError) as error:
        line = getattr(rows, "line_num", 0) + 1
        raise FatalError(f"{name}, line {line}: no CSV in UTF-8 ({error})") from error


def _columns(row: list[str]) -> tuple[tuple[int, int], bool]:
    """Where timestamp and value stand, and whether the row is a header."""
    names = [cell.strip().lower().lstrip("\ufeff") for cell in row]
    time = next((names.index(n) for n in _TIME_NAMES if n in names), None)
    value = next((names.index(n) for n in _VALUE_NAMES if n in names), None)
    if time is None and value is None:
        return (0, 1), False
    time = 0 if time is None else time
    value = (1 if time == 0 else 0) if value is None else value
    return (time, value), True


def _value(text: str, at: str) -> float:
    if text.lower() in _MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise FatalError(f"{at}: {text[:40]!r} is no number; leave missing values empty") from None


class _Clock:
    """Reads timestamps, and fills in those that are missing."""

    def __init__(self) -> None:
        self.last: float | None = None
        self.steps: deque[float] = deque(maxlen=_STEPS)

    def read(self, text: str, at: str) -> float:
        """Seconds since 1970."""
        time = self._missing() if text.lower() in _MISSING else _seconds(text, at)
        if self.last is not None and time > self.last:
            self.steps.append(time - self.last)
        self.last = time
        return time

    def _missing(self) -> float:
        step = sorted(self.steps)[len(self.steps) // 2] if self.steps else 0.0
        return (self.last or 0.0) + step


def _seconds(text: str, at: str) -> float:
    # Numbers first: ten digits may also be read as a date without dashes.
    try:
        number = float(text)
    except ValueError:
        return _iso(text, at)
    if not math.isfinite(number):
        raise _no_time(text, at)
    return number if abs(number) < _SECONDS_BELOW else number / 1000.0


def _iso(text: str, at: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _no_time(text, at) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _no_time(text: str, at: str) -> FatalError:
    return FatalError(
        f"{at}: {text[:40]!r} is no time; write 2026-03-19 08:00:00 or seconds since 1970"
    )
