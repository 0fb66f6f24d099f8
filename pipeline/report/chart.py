"""Geometry of the charts; the template draws it, so that every text is escaped in one place.

A chart is drawn into a plane of 1000 x 100 units that stretches with the page, while
texts and strokes keep their size: readable on a phone and on paper alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.clock import from_us, to_us
from pipeline.notify.words import count, short
from pipeline.report.timeline import HOUR_US, Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WIDTH: Final = 1000
HEIGHT: Final = 100
BLIND_BELOW: Final = 0.5  # completeness under which an hour is drawn as not seen
MAX_POINTS: Final = 360  # a fortnight by the hour; finer is thinner than a line
_STEPS: Final = (1, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 4320)  # hours between ticks
_WIDE_TICKS: Final = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, from and to in percent of the width."""

    start: str
    width: str
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, in percent of the width; ``kind`` is its class in the style sheet."""

    at: str
    kind: str
    label: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled line. ``anchor`` keeps the outermost labels inside the picture.

    ``minor`` ticks lose their label on a narrow screen.
    """

    at: str
    label: str
    anchor: str = "middle"
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One hour in words, for the table beside the picture."""

    hour: str
    observed: str
    expected: str
    band: str
    outside: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of time a picture shows."""

    begin: datetime
    end: datetime

    def share(self, at: datetime) -> float:
        """Where ``at`` stands, 0 at the begin, 1 at the end."""
        return (at - self.begin) / (self.end - self.begin)

    def inside(self, at: datetime) -> bool:
        """Whether ``at`` is in the picture."""
        return self.begin <= at <= self.end

    def percent(self, at: datetime) -> str:
        """``at`` in percent of the width, kept inside the picture."""
        return percent_of(min(max(self.share(at), 0.0), 1.0))

    def span(self, start: datetime, end: datetime, label: str = "") -> Span:
        """A stretch; one that is too short to see is widened to a hair."""
        left = min(max(self.share(start), 0.0), 1.0)
        right = min(max(self.share(end), 0.0), 1.0)
        return Span(percent_of(left), percent_of(max(right - left, 0.002)), label)

    def ticks(self) -> list[Tick]:
        """Six or so round moments, in UTC."""
        hours = (self.end - self.begin) / timedelta(hours=1)
        step = next((s for s in _STEPS if hours / s <= _WIDE_TICKS), _STEPS[-1])
        size = timedelta(hours=step)
        midnight = self.begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight + math.ceil((self.begin - midnight) / size) * size
        moments = []
        while first <= self.end:
            moments.append(first)
            first += size
        return [self._tick(m, step, n) for n, m in enumerate(moments)]

    def _tick(self, at: datetime, step: int, number: int) -> Tick:
        label = short(at)
        if step >= 24:
            label = label.rsplit(" ", 1)[0]
        elif at.hour:
            label = f"{at:%H:%M}"
        share = self.share(at)
        anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        return Tick(percent_of(share), label, anchor, minor=bool(number % 2))


@dataclass(frozen=True, slots=True)
class Chart:
    """A line with its expectation and band, ready to draw."""

    title: str
    description: str
    unit: str
    ticks: list[Tick]
    levels: list[Tick]
    band: str
    expected: str
    observed: str
    outside: str
    blind: list[Span]
    flags: list[Span]
    marks: list[Mark]
    rows: list[Row]
    hours_per_point: int
    rows_left_out: int


def percent_of(share: float) -> str:
    """A share as SVG wants it, in steps of a hundredth of a percent.

    >>> percent_of(1 / 3)
    '33.33%'
    """
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def chart(
    series: Series,
    axis: Axis,
    *,
    title: str,
    unit: str,
    flags: Iterable[Span] = (),
    marks: Iterable[Mark] = (),
    table_rows: int = 48,
) -> Chart:
    """Lay out one lane.

    Args:
        series: hours of the lane; those outside the axis are left out.
        axis: what the picture shows.
        title: of the picture.
        unit: what is counted, e.g. ``active users``.
        flags: stretches to underline.
        marks: moments to draw across.
        table_rows: hours told in the table, those outside the band first.
    """
    series = _within(series, axis)
    rows, left_out = _rows(series, table_rows)
    description = _describe(series, unit)
    drawn, width = _thin(series)
    top = _top(drawn)
    x = _positions(drawn.hour, width, axis)
    levels = [
        Tick(percent_of(1 - level / top), count(level), "start") for level in (top, top / 2, 0.0)
    ]
    return Chart(
        title=title,
        description=description,
        unit=unit,
        ticks=axis.ticks(),
        levels=levels,
        band=_area(x, drawn.low, drawn.high, top),
        expected=_line(x, drawn.expected, top),
        observed=_line(x, np.where(_blind(drawn), np.nan, drawn.observed), top),
        outside=_area(x, *_outside(drawn), top),
        blind=_blind_spans(drawn, width, axis),
        flags=list(flags),
        marks=list(marks),
        rows=rows,
        hours_per_point=width,
        rows_left_out=left_out,
    )


def _within(series: Series, axis: Axis) -> Series:
    inside = (series.hour + HOUR_US > to_us(axis.begin)) & (series.hour < to_us(axis.end))
    return Series(**{name: getattr(series, name)[inside] for name in Series.__slots__})


def _blind(series: Series) -> NDArray[np.bool_]:
    return np.asarray(series.completeness < BLIND_BELOW)


def _thin(series: Series) -> tuple[Series, int]:
    """Means over as many hours as keep the points under MAX_POINTS."""
    if not len(series.hour):
        return series, 1
    hours = int((series.hour[-1] - series.hour[0]) // HOUR_US) + 1
    width = math.ceil(hours / MAX_POINTS)
    if width == 1:
        return series, 1
    group = (series.hour - series.hour[0]) // (HOUR_US * width)
    _, at = np.unique(group, return_index=True)
    sizes = np.diff(np.append(at, len(group)))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = ~np.isnan(values)
        sums = np.add.reduceat(np.where(known, values, 0.0), at)
        numbers = np.add.reduceat(known.astype(float), at)
        # An hour without expectation must not pull the mean of its neighbours down.
        return np.asarray(np.where(numbers * 2 > sizes, sums / np.maximum(numbers, 1.0), np.nan))

    fields: dict[str, Any] = {
        name: mean(getattr(series, name)) for name in Series.__slots__ if name != "hour"
    }
    return Series(hour=series.hour[at], **fields), width


def _top(series: Series) -> float:
    values = np.concatenate([series.observed, series.high, series.expected])
    values = values[~np.isnan(values)]
    return nice(float(values.max())) if len(values) else 1.0


def nice(value: float) -> float:
    """The next round number at or above ``value``, of which the half is round too.

    >>> nice(0.0), nice(7.3), nice(230.0), nice(1000.0)
    (1.0, 8.0, 300.0, 1000.0)
    """
    if value <= 1:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(s * size for s in (1, 2, 3, 4, 6, 8, 10) if s * size >= value * (1 - 1e-9))


def _positions(hour: NDArray[np.int64], width: int, axis: Axis) -> NDArray[np.float64]:
    begin, end = to_us(axis.begin), to_us(axis.end)
    middle = hour + HOUR_US * width // 2
    return np.asarray(np.clip((middle - begin) / (end - begin), 0.0, 1.0) * WIDTH)


def _point(x: float, value: float, top: float) -> str:
    return f"{x:.0f} {HEIGHT * (1 - min(max(value / top, 0.0), 1.0)):.1f}"


def _runs(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of every run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], known.view(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _line(x: NDArray[np.float64], values: NDArray[np.float64], top: float) -> str:
    parts = []
    for begin, end in _runs(~np.isnan(values)):
        points = [_point(x[i], values[i], top) for i in range(begin, end)]
        # A lone hour has no length; a round cap makes it a dot.
        parts.append("M" + "L".join(points if len(points) > 1 else points * 2))
    return "".join(parts)


def _area(
    x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], top: float
) -> str:
    parts = []
    for begin, end in _runs(~(np.isnan(low) | np.isnan(high))):
        if end - begin > 1:
            up = [_point(x[i], high[i], top) for i in range(begin, end)]
            down = [_point(x[i], low[i], top) for i in reversed(range(begin, end))]
            parts.append("M" + "L".join(up + down) + "Z")
    return "".join(parts)


def _outside(series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between observed and expected, where the observed has left the band."""
    with np.errstate(invalid="ignore"):
        out = (series.observed < series.low) | (series.observed > series.high)
    out &= ~_blind(series)
    # One hour more on either side, so that the area reaches the line it left.
    wide = out.copy()
    wide[1:] |= out[:-1]
    wide[:-1] |= out[1:]
    return np.where(wide, series.observed, np.nan), np.where(wide, series.expected, np.nan)


def _blind_spans(series: Series, width: int, axis: Axis) -> list[Span]:
    spans = []
    for begin, end in _runs(_blind(series)):
        until = series.hour[end - 1] + HOUR_US * width
        start, stop = from_us(int(series.hour[begin])), from_us(int(until))
        spans.append(axis.span(start, stop, f"not seen from {short(start)} to {short(stop)}"))
    return spans


def _rows(series: Series, limit: int) -> tuple[list[Row], int]:
    with np.errstate(invalid="ignore"):
        out = (series.observed < series.low) | (series.observed > series.high)
    # Hours outside the band first, then the others, told in order of time.
    chosen = np.sort(np.argsort(~out, kind="stable")[:limit])
    rows = [_row(series, int(i), bool(out[i])) for i in chosen]
    return rows, len(series.hour) - len(rows)


def _row(series: Series, i: int, outside: bool) -> Row:  # noqa: FBT001 # inner helper
    known = not math.isnan(series.expected[i])
    band = f"{count(float(series.low[i]))} to {count(float(series.high[i]))}" if known else "-"
    return Row(
        hour=short(from_us(int(series.hour[i]))),
        observed="not seen" if _blind(series)[i] else count(float(series.observed[i])),
        expected=count(float(series.expected[i])) if known else "-",
        band=band,
        outside=outside,
    )


def _describe(series: Series, unit: str) -> str:
    known = ~np.isnan(series.expected) & ~_blind(series)
    with np.errstate(invalid="ignore"):
        below = int((known & (series.observed < series.low)).sum())
        above = int((known & (series.observed > series.high)).sum())
    hours = len(series.hour)
    if not known.any():
        return f"{unit} by the hour; no expectation yet (the baseline was warming up)."
    return (
        f"{unit} by the hour over {hours} hours: {below} hours below and {above} above the band "
        "in which 99 of 100 quiet hours fall."
    )
