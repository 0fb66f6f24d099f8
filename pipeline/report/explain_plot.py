"""The evidence of an incident as one SVG file that asks nobody for anything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.model.window import moment
from pipeline.notify.clean import clean
from pipeline.notify.words import count, short
from pipeline.report.chart import nice
from pipeline.report.explain_text import flag_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.report.explain import Explanation

# All in pixels of a picture 960 wide; the style sheet of the template knows the colours.
WIDTH: Final = 960
PANEL: Final = 360  # height of one flag
_LEFT, _RIGHT = 60.0, 940.0
_COUNTS: Final = (56.0, 176.0)  # top and bottom of the upper plot
_SCORES: Final = (206.0, 306.0)
_POINTS: Final = 90
_TICKS: Final = 6


@dataclass(frozen=True, slots=True)
class Label:
    """A text and where its line stands."""

    at: str
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Panel:
    """One flag, ready to draw; paths are SVG path data."""

    top: int
    title: str
    note: str
    unit: str
    band: str
    expected: str
    observed: str
    score: str
    threshold: str
    threshold_text: str
    marks: list[Label]
    kinds: list[str]
    ticks: list[Label]
    count_levels: list[Label]
    score_levels: list[Label]


def explanation_plot(title: str, explanations: Sequence[Explanation]) -> str:
    """One picture with a panel a flag, light or dark as its reader has it."""
    panels = [_panel(e, 40 + number * PANEL) for number, e in enumerate(explanations)]
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    height = 40 + PANEL * len(panels)
    template = environment.get_template("explain.svg")
    return template.render(title=clean(title), panels=panels, width=WIDTH, height=height)


def _panel(explanation: Explanation, top: int) -> Panel:
    trace = explanation.trace
    minutes = trace.minute
    width = max(1, math.ceil((int(minutes[-1]) - int(minutes[0]) + 1) / _POINTS))
    group = (minutes - minutes[0]) // width
    _, first = np.unique(group, return_index=True)
    x = _across((minutes[0] + group[first] * width + width / 2).astype(float), minutes)
    known = ~np.isnan(explanation.score)
    variance = (explanation.high - trace.expected) ** 2
    seen, mean = (np.add.reduceat(v, first) for v in (trace.observed, trace.expected))
    reach = np.sqrt(np.add.reduceat(variance, first))
    low, high = np.maximum(mean - reach, 0.0), mean + reach
    most = nice(float(max(seen.max(), high.max())))
    score_x = _across((minutes[known] + 1).astype(float), minutes)
    score = explanation.score[known]
    highest = nice(max(float(score.max()), explanation.threshold) * 1.05)
    level = _down(explanation.threshold, highest, _SCORES)
    broken = np.append(np.diff(group[first]) > 1, False)
    kinds, marks = _marks(explanation)
    return Panel(
        top=top,
        title=flag_title(explanation.flag),
        note=f"{explanation.flag.flag_id}, score {explanation.flag.score:.1f}",
        unit=f"in {width} min, with what is usual and the band of 99 of 100 quiet stretches",
        band=_area(x, _down(low, most, _COUNTS), _down(high, most, _COUNTS), broken),
        expected=_line(x, _down(mean, most, _COUNTS), broken),
        observed=_line(x, _down(seen, most, _COUNTS), broken),
        score=_line(score_x, _down(score, highest, _SCORES), np.zeros(len(score), bool)),
        threshold=f"{float(level):.1f}",
        threshold_text=f"threshold {explanation.threshold:.2f}",
        marks=marks,
        kinds=kinds,
        ticks=_ticks(minutes),
        count_levels=_levels(most, _COUNTS),
        score_levels=_levels(highest, _SCORES),
    )


def _across(minute: NDArray[np.float64], minutes: NDArray[np.int64]) -> NDArray[np.float64]:
    first, last = float(minutes[0]), float(minutes[-1]) + 1.0
    return np.asarray(_LEFT + (minute - first) / (last - first) * (_RIGHT - _LEFT))


def _down(
    value: NDArray[np.float64] | float, top: float, plot: tuple[float, float]
) -> NDArray[np.float64]:
    share = np.clip(np.asarray(value) / top, 0.0, 1.0)
    return np.asarray(plot[1] - share * (plot[1] - plot[0]))


def _runs(broken: NDArray[np.bool_]) -> list[slice]:
    ends = [*(np.flatnonzero(broken) + 1).tolist(), len(broken)]
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if b > a]


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _line(x: NDArray[np.float64], y: NDArray[np.float64], broken: NDArray[np.bool_]) -> str:
    return "".join("M" + _points(x[run], y[run]) for run in _runs(broken))


def _area(
    x: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    broken: NDArray[np.bool_],
) -> str:
    return "".join(
        f"M{_points(x[run], high[run])}L{_points(x[run][::-1], low[run][::-1])}Z"
        for run in _runs(broken)
    )


def _levels(top: float, plot: tuple[float, float]) -> list[Label]:
    return [Label(f"{float(_down(v, top, plot)):.1f}", count(v)) for v in (top, top / 2, 0.0)]


def _ticks(minutes: NDArray[np.int64]) -> list[Label]:
    length = int(minutes[-1]) - int(minutes[0]) + 1
    steps = (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
    step = next((s for s in steps if length / s <= _TICKS), steps[-1])
    first = -(-int(minutes[0]) // step) * step
    places = np.arange(first, int(minutes[-1]) + 1, step)
    return [
        Label(f"{a:.1f}", short(moment(int(p))))
        for a, p in zip(_across(places.astype(float), minutes), places, strict=True)
    ]


def _marks(explanation: Explanation) -> tuple[list[str], list[Label]]:
    flag, minutes = explanation.flag, explanation.trace.minute
    first, last = int(minutes[0]), int(minutes[-1]) + 1
    kinds, marks = [], []
    for kind, name, at in (
        ("onset", "onset", flag.onset_at),
        ("raised", "raised", flag.alarm_at),
        ("resolved", "over since", flag.closed_at),
    ):
        minute = 0 if at is None else int(at.timestamp()) // 60
        if at is not None and first <= minute <= last:
            place = float(_across(np.array(float(minute)), minutes))
            anchor = "start" if place < WIDTH * 0.8 else "end"
            kinds.append(kind)
            marks.append(Label(f"{place:.1f}", f"{name} {at:%H:%M}", anchor))
    return kinds, marks
