"""Made-up series of the kinds that monitoring sees, each with the windows of its anomalies.

Sampling is every 5 minutes, every half hour, hourly, or irregular with gaps; values are
smooth and seasonal, spiky, heavy-tailed, counts, or slowly wandering. Some series hold no
anomaly at all, and ordinary spikes, noise and weekends are never labelled.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Dice = np.random.Generator

DAY = 86_400.0
START = 1_771_200_000.0  # Mon 16 Feb 2026 00:00 UTC
# Windows are a tenth of a series, shared among its anomalies.
WINDOW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Series:
    """Rows of one series.

    Attributes:
        name: its kind and number.
        time: seconds since 1970, shape (rows,).
        value: shape (rows,).
        windows: first and last row of every labelled window, in order.
    """

    name: str
    time: Values
    value: Values
    windows: tuple[tuple[int, int], ...]


def made(seed: int, copies: int = 4) -> list[Series]:
    """``copies`` of every kind; the same seed gives the same series."""
    found = []
    for number, (name, kind) in enumerate(KINDS.items()):
        for copy in range(copies):
            dice = np.random.default_rng((seed, number, copy))
            time, value, centres = kind(dice)
            found.append(Series(f"{name}-{copy}", time, value, _windows(len(value), centres)))
    return found


def _windows(rows: int, centres: list[int]) -> tuple[tuple[int, int], ...]:
    if not centres:
        return ()
    half = int(rows * WINDOW_SHARE / len(centres) / 2)
    spans: list[tuple[int, int]] = []
    for centre in sorted(centres):
        first, last = max(centre - half, 0), min(centre + half, rows - 1)
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return tuple(spans)


def _clock(rows: int, step: float) -> Values:
    return START + np.arange(rows) * step


def _places(dice: Dice, rows: int, count: int) -> list[int]:
    """Rows for anomalies: past the first quarter and apart from each other."""
    if count == 0:
        return []
    edges = np.linspace(0.25 * rows, 0.95 * rows, count + 1)
    return [int(dice.uniform(a, a + 0.7 * (b - a))) for a, b in itertools.pairwise(edges)]


def _wander(dice: Dice, rows: int, keep: float, size: float) -> Values:
    """A first-order walk that comes back, of standard deviation ``size``."""
    noise = dice.normal(0.0, size * np.sqrt(1 - keep**2), rows)
    out = np.empty(rows)
    level = dice.normal(0.0, size)
    for at in range(rows):
        level = keep * level + noise[at]
        out[at] = level
    return out


def _processor(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Load of a machine: steady, with ordinary spikes; a new level or a larger spike."""
    rows = 4032
    value = dice.uniform(2, 50) + dice.gamma(2.0, dice.uniform(0.05, 1.0), rows)
    spikes = dice.random(rows) < dice.uniform(0.001, 0.02)
    value[spikes] += dice.gamma(3.0, dice.uniform(1, 5), int(spikes.sum()))
    places = _places(dice, rows, int(dice.integers(1, 3)))
    for at in places:
        match dice.integers(3):
            case 0:
                value[at:] += dice.choice([-1, 1]) * dice.uniform(3, 8) * value[:at].std()
            case 1:
                value[at : at + int(dice.integers(1, 6))] += value.std() * dice.uniform(8, 15)
            case _:
                value[at : at + int(dice.integers(24, 200))] *= dice.uniform(0.0, 0.3)
    return _clock(rows, 300), np.maximum(value, 0.0), places


def _people(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Trips or visits each half hour: days and weeks; a holiday, a storm, a feast at night."""
    rows = 48 * 7 * int(dice.integers(10, 25))
    time = _clock(rows, 1800)
    hour, day = (time - START) / 3600 % 24, (time - START) // DAY
    shape = 0.15 + np.exp(-(((hour - 9) / 3.5) ** 2)) + 1.2 * np.exp(-(((hour - 19) / 3.5) ** 2))
    weekend = day % 7 >= 5
    shape = np.where(weekend, 0.2 + 0.9 * np.exp(-(((hour - 15) / 6.5) ** 2)), shape)
    value = dice.uniform(200, 20_000) * shape * np.exp(_wander(dice, rows, 0.98, 0.05))
    value *= np.exp(dice.normal(0, 0.03, rows))
    places = _places(dice, rows, int(dice.integers(2, 6)))
    for at in places:
        length = int(dice.integers(16, 48))
        value[at : at + length] *= dice.choice([dice.uniform(0.1, 0.6), dice.uniform(1.6, 2.5)])
    return time, np.round(value), [p + 12 for p in places]


def _machine(dice: Dice) -> tuple[Values, Values, list[int]]:
    """A temperature that wanders; it falls for hours, sometimes after a slow decline."""
    rows = int(dice.integers(6000, 12000))
    value = dice.uniform(60, 100) + _wander(dice, rows, 0.999, 4.0) + _wander(dice, rows, 0.9, 0.7)
    places = _places(dice, rows, int(dice.integers(1, 4)))
    for at in places:
        length = int(dice.integers(50, 250))
        fall = dice.uniform(18, 50) * np.sin(np.linspace(0, np.pi, length)) ** 0.5
        value[at : at + length] -= fall
    return _clock(rows, 300), value, places


def _mentions(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Counts with a day, heavy tails and ordinary bursts; a burst beyond all others."""
    rows = int(dice.integers(8000, 15000))
    time = _clock(rows, 300)
    daily = 1 + 0.7 * np.sin(2 * np.pi * ((time - START) / DAY - 0.3))
    mean = dice.uniform(3, 60) * daily * dice.gamma(4.0, 0.25, rows)
    for at in dice.integers(0, rows, rows // 800):
        mean[at : at + 12] *= dice.pareto(3.0) * 2 + 1
    places = _places(dice, rows, int(dice.integers(1, 5)))
    for at in places:
        length = int(dice.integers(3, 30))
        mean[at : at + length] += mean.max() * dice.uniform(0.8, 2) * np.linspace(1, 0.3, length)
    return time, dice.poisson(mean).astype(float), places


def _prices(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Hourly, log-normal, a weak day; one or a few hours far off."""
    rows = int(dice.integers(1400, 1800))
    time = _clock(rows, 3600)
    daily = 0.25 * np.sin(2 * np.pi * (time - START) / DAY)
    value = np.exp(dice.normal(0, 0.3, rows) + daily) * dice.uniform(0.05, 3)
    places = _places(dice, rows, int(dice.integers(1, 5)))
    for at in places:
        value[at : at + int(dice.integers(1, 6))] *= dice.choice([0.15, dice.uniform(4, 12)])
    return time, value, places


def _traffic(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Speeds measured when a car comes by: irregular, with gaps; a jam at a free hour."""
    rows = int(dice.integers(1100, 2500))
    time = START + np.cumsum(dice.choice([300, 300, 600, 900, 3600], rows))
    time[rows // 2 :] += DAY
    hour = (time - START) / 3600 % 24
    value = 70 - 14 * np.exp(-(((hour - 8) / 1.5) ** 2)) - 10 * np.exp(-(((hour - 17) / 1.5) ** 2))
    value += dice.normal(0, 4, rows)
    places = _places(dice, rows, int(dice.integers(1, 4)))
    for at in places:
        value[at : at + int(dice.integers(2, 12))] -= dice.uniform(25, 45)
    return time, np.maximum(np.round(value), 2.0), places


def _pattern(dice: Dice) -> tuple[Values, Values, list[int]]:
    """A plain daily shape with noise; one day it is flat, too high, too low or missing."""
    rows = 4032
    time = _clock(rows, 300)
    hour = (time - START) / 3600 % 24
    busy = (hour >= 9) & (hour < 18)
    value = np.where(busy, dice.uniform(60, 90), dice.uniform(18, 25)) + dice.uniform(0, 6, rows)
    day = int(dice.integers(9, 12))
    at = day * 288 + 9 * 12
    span = slice(at, at + 108)
    match dice.integers(4):
        case 0:
            value[span] = value[:100].mean()
        case 1:
            value[span] *= dice.uniform(1.4, 1.9)
        case 2:
            value[span] *= dice.uniform(0.3, 0.6)
        case _:
            span = slice(day * 288, day * 288 + 60)
            value[span] += 50.0
            at = day * 288
    return time, value, [at + 20]


def _density(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Ordinary spikes that come more often, grow, or stop; or noise that changes."""
    rows = 4032
    value = dice.normal(20, 1, rows)
    gap = int(dice.integers(20, 60))
    spikes = np.arange(int(dice.integers(gap)), rows, gap)
    value[spikes] += dice.uniform(30, 60)
    (at,) = _places(dice, rows, 1)
    length = 288
    match dice.integers(4):
        case 0:
            value[at : at + length : 4] = value[spikes].mean()
        case 1:
            value[spikes[(spikes >= at) & (spikes < at + length)]] *= 2.0
        case 2:
            value[at : at + 2 * length] = dice.normal(20, 1, len(value[at : at + 2 * length]))
        case _:
            value[at : at + length] += dice.normal(0, 6, length)
    return _clock(rows, 300), value, [at + 20]


def _bytes(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Nothing most of the time, heavy-tailed bursts; one beyond all, or many together."""
    rows = 4032
    value = np.zeros(rows)
    busy = dice.random(rows) < dice.uniform(0.02, 0.3)
    value[busy] = dice.lognormal(12, 1.0, int(busy.sum()))
    places = _places(dice, rows, int(dice.integers(1, 3)))
    for at in places:
        length = int(dice.integers(1, 40))
        scale = 20.0 if length < 4 else 4.0
        value[at : at + length] = dice.lognormal(12, 0.5, length) * scale
    return _clock(rows, 300), value, places


def _requests(dice: Dice) -> tuple[Values, Values, list[int]]:
    """Hourly requests with a day, a week and growth; an hour, a day or a new level is off."""
    rows = int(dice.integers(1000, 3000))
    time = _clock(rows, 3600)
    hour, day = (time - START) / 3600 % 24, (time - START) // DAY
    shape = 1 + 0.6 * np.sin(2 * np.pi * (hour - 8) / 24) * np.where(day % 7 >= 5, 0.5, 1.0)
    growth = np.linspace(1, dice.uniform(0.8, 1.8), rows)
    value = dice.uniform(50, 5000) * shape * growth * np.exp(dice.normal(0, 0.08, rows))
    places = _places(dice, rows, int(dice.integers(1, 6)))
    for at in places:
        match dice.integers(3):
            case 0:
                value[at : at + int(dice.integers(1, 4))] *= dice.choice([0.2, 2.5, 4.0])
            case 1:
                value[at : at + 24] *= dice.choice([0.5, 1.7])
            case _:
                value[at:] *= dice.choice([0.6, 1.5])
    return time, value, places


def _calm(dice: Dice) -> tuple[Values, Values, list[int]]:
    """No anomaly: a constant, noise, a square wave, or ordinary spikes."""
    rows = 4032
    time = _clock(rows, 300)
    match dice.integers(4):
        case 0:
            value = np.full(rows, 45.0)
        case 1:
            value = dice.normal(-3, 1, rows)
        case 2:
            value = np.where((time - START) / 3600 % 24 < 12, 20.0, 80.0)
        case _:
            value = dice.normal(20, 1, rows) + 20.0 * (dice.random(rows) < 0.01)
    return time, value, []


KINDS: dict[str, Callable[[Dice], tuple[Values, Values, list[int]]]] = {
    "processor": _processor,
    "people": _people,
    "machine": _machine,
    "mentions": _mentions,
    "prices": _prices,
    "traffic": _traffic,
    "pattern": _pattern,
    "density": _density,
    "bytes": _bytes,
    "requests": _requests,
    "calm": _calm,
}
