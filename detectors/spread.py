"""How far counts stray from their expectation, and how fast: learned hour by hour.

Three figures a lane, each a mean of what calm hours showed and of a prior, faded with a
half-life of a week:

* ``phi``, variance over mean of a count, in minutes or in hours, whichever is more. In
  minutes from differences of neighbours, which a slow level cancels from (von Neumann 1941);
  in hours, where one user's bursts add up, from whole hours, less the level.
* ``wander``, relative variance that the level gains a minute. From the difference between
  the two halves of an hour, less what counting explains: for an autoregression of 90 minutes
  its variance is 16 times the wander of one, for a random walk 20 times.
* ``level``, relative variance of the level at rest. From whole hours, less counting.

An hour counts by what it can tell: (x / (1 + x))^2, x the variance looked for over the
other one; an hour of few users tells of bursts, one of many of the level.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays
from detectors.frozen import Frozen
from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Bools = NDArray[np.bool_]

_PHI_PRIOR: Final = 1.3
_PHI_PRIOR_WEIGHT: Final = 200.0  # expected users
# One program that reads a mailbox in a burst makes an hour's accesses stray by hundreds: a
# lane that must not say so raises false alarms, the more the larger the tenant.
_PHI_LEAST: Final = 1.05
_PHI_MOST: Final = 400.0
_LEVEL_PRIOR: Final = 0.08**2
_WANDER_PRIOR: Final = _LEVEL_PRIOR * 2.0 / 90.0
_LEVEL_LEAST: Final = 0.02**2
_LEVEL_MOST: Final = 0.5**2
_WANDER_TIMES: Final = 20.0  # times its prior that it may be, more or less
_PRIOR_HOURS: Final = 24.0
_HALVES: Final = 16.0
_FORGET: Final = 0.5 ** (1 / 168)
# Winsorising at 3 standard deviations; of differences between minutes, at 6 of a Poisson count's.
_OUTLIER: Final = 9.0
_OUTLIER_STEP: Final = 36.0
_NOTHING: Final = 1e-9

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _shrunk(excess: float, weight: float, prior: float, prior_weight: float) -> float:
    """What was shown and a prior, each by its weight."""
    return (excess + prior * prior_weight) / (weight + prior_weight)


@_compiled
def _figures_of(lane: int, bursts: float, state: tuple[_Floats, ...]) -> tuple[float, float, float]:
    """Phi, wander and level of a lane."""
    minutes = _shrunk(state[0][lane], state[1][lane], _PHI_PRIOR, _PHI_PRIOR_WEIGHT)
    hours = _shrunk(state[2][lane], state[3][lane], bursts, _PRIOR_HOURS)
    wander = _shrunk(state[4][lane] / _HALVES, state[5][lane], _WANDER_PRIOR, _PRIOR_HOURS)
    level = _shrunk(state[6][lane], state[7][lane], _LEVEL_PRIOR, _PRIOR_HOURS)
    return (
        min(max(minutes, hours, _PHI_LEAST), _PHI_MOST),
        min(max(wander, _WANDER_PRIOR / _WANDER_TIMES), _WANDER_PRIOR * _WANDER_TIMES),
        min(max(level, _LEVEL_LEAST), _LEVEL_MOST),
    )


@_compiled
def _figures(lanes: int, bursts: float, state: tuple[_Floats, ...]) -> _Floats:
    """Phi, wander and level of all lanes, shape (3, lanes)."""
    out = np.empty((3, lanes))
    for lane in range(lanes):
        out[0, lane], out[1, lane], out[2, lane] = _figures_of(lane, bursts, state)
    return out


@_compiled
def _learn(
    counts: _Floats, expected: _Floats, takes: _Bools, bursts: float, state: tuple[_Floats, ...]
) -> None:
    """Take one hour of all lanes over; ``state`` is written."""
    minute_excess, minute_mean, burst_excess, burst_mean = state[:4]
    half_excess, half_hours, hour_excess, hour_hours = state[4:]
    minutes = counts.shape[1]
    for lane in range(len(takes)):
        if not takes[lane]:
            continue
        phi, wander, level = _figures_of(lane, bursts, state)
        steps, pairs = 0.0, 0.0
        # Counted and expected, in the first half of the hour and in the second.
        came, mean = np.zeros(2), np.zeros(2)
        for at in range(minutes):
            half = 0 if at < minutes // 2 else 1
            came[half] += counts[lane, at]
            mean[half] += expected[lane, at]
            if at == 0:
                continue
            pair = (expected[lane, at] + expected[lane, at - 1]) / 2.0
            step = counts[lane, at] - expected[lane, at]
            step -= counts[lane, at - 1] - expected[lane, at - 1]
            steps += min(step**2 / 2.0, _OUTLIER_STEP * max(pair, 0.3))
            pairs += pair
        minute_excess[lane] = minute_excess[lane] * _FORGET + steps
        minute_mean[lane] = minute_mean[lane] * _FORGET + pairs
        first, second = max(mean[0], _NOTHING), max(mean[1], _NOTHING)
        apart = came[0] / first - came[1] / second
        noise, usual = phi * (1.0 / first + 1.0 / second), wander * _HALVES
        weight = (usual / (usual + noise)) ** 2
        excess = min(apart**2, _OUTLIER * (usual + noise)) - noise
        half_excess[lane] = half_excess[lane] * _FORGET + excess * weight
        half_hours[lane] = half_hours[lane] * _FORGET + weight
        total, whole = came[0] + came[1], max(mean[0] + mean[1], _NOTHING)
        noise = phi / whole
        off = min((total / whole - 1.0) ** 2, _OUTLIER * (level + noise))
        weight = (level / (level + noise)) ** 2
        hour_excess[lane] = hour_excess[lane] * _FORGET + (off - noise) * weight
        hour_hours[lane] = hour_hours[lane] * _FORGET + weight
        weight = (noise / (level + noise)) ** 2 * whole / (whole + 1.0)
        burst_excess[lane] = burst_excess[lane] * _FORGET + (off - level) * whole * weight
        burst_mean[lane] = burst_mean[lane] * _FORGET + weight


@dataclass(frozen=True, slots=True)
class Figures(Frozen):
    """The three figures, each of shape (lanes,); see the module."""

    phi: _Floats
    wander: _Floats
    level: _Floats


@dataclass(slots=True)
class Spread(LaneArrays):
    """Sums behind the three figures; arrays of shape (lanes,)."""

    minute_excess: _Floats
    minute_mean: _Floats
    burst_excess: _Floats
    burst_mean: _Floats
    half_excess: _Floats
    half_hours: _Floats
    hour_excess: _Floats
    hour_hours: _Floats

    @classmethod
    def empty(cls) -> Spread:
        """No lane yet."""
        return cls(*(np.zeros(0) for _ in range(8)))

    def figures(self, bursts: float) -> Figures:
        """The three figures of all lanes.

        ``bursts`` is the variance over mean of an hour's count, until a lane has shown its own.
        """
        return Figures(*_figures(len(self.hour_hours), bursts, self.arrays()))

    def learn(self, counts: _Floats, expected: _Floats, takes: _Bools, bursts: float) -> None:
        """Take one finished hour over.

        Args:
            counts: observed counts by minute, shape (lanes, minutes).
            expected: expected counts, same shape.
            takes: which lanes learn, shape (lanes,).
            bursts: as in :meth:`figures`.
        """
        counts, expected = np.ascontiguousarray(counts), np.ascontiguousarray(expected)
        _learn(counts, expected, takes, bursts, self.arrays())
