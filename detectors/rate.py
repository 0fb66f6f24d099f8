"""How often users usually fail: the baseline of every failure-like signal.

    p0(t) = (F + a) / (N + a / p) * factor(hour of day) * level

with F failing and N eligible users summed with a half-life of four days, a prior of ``a``
failures at rate p, and an hour factor shrunk towards 1 with 20 pseudo-failures. ``level``
follows the drift of the last hours about this season: it is Gamma distributed, each hour's
count sharpens it (a Poisson count has a Gamma posterior), and between hours it returns to
1 with a memory of four hours, its variance to that which the lane's hours have about the
season (West and Harrison 1997, discounted to moments). The spread of a minute beyond the
binomial is the intra-class correlation rho, estimated from the decayed excess variance.

The rate that evidence is held against lies above p0(t) by 0.7 standard deviations of what
is not known of it: with more, small rises are found late; with less, drift raises alarms.
All hours are learned from in which no flag is open: leaving out those that look bad, most
of them by chance, pulls the rate down and triples the false alarms (benchmarks/detection).
"""

from __future__ import annotations

import math
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
    _State = tuple[_Floats, ...]  # the fields of RateBaseline, in their order

_DAY: Final = 24
_CERTAIN: Final = 0.95  # no rate is believed to be higher
_FORGET_AN_HOUR: Final = 0.5 ** (1 / 96)
_FORGET_HOUR_OF_DAY: Final = 0.5 ** (1 / 14)  # by visit, one a day
_HOUR_PSEUDO_FAILURES: Final = 20.0
_RHO_PRIOR: Final = 0.003
_RHO_PRIOR_WEIGHT: Final = 20.0
_RHO_LEAST: Final = 0.0005
_RHO_MOST: Final = 0.2
_WINSOR_SD: Final = 5.0
_DOUBT_SD: Final = 0.7
_LEVEL_MEMORY_HOURS: Final = 4.0
_RETURN: Final = math.exp(-1.0 / _LEVEL_MEMORY_HOURS)
_LEVEL_VARIANCE_PRIOR: Final = 0.15**2
_LEVEL_VARIANCE_LEAST: Final = 0.03**2
_LEVEL_VARIANCE_MOST: Final = 0.5**2
_LEVEL_VARIANCE_WEIGHT: Final = 2000.0  # squared expected failures of hours
_FORGET_SPREAD: Final = 0.5 ** (1 / 336)


_compiled: Final = compiler([Path(__file__)])


@_compiled
def _rho(excess: float, scale: float) -> float:
    """Intra-class correlation, pulled towards its prior."""
    rho = (excess + _RHO_PRIOR * _RHO_PRIOR_WEIGHT) / (scale + _RHO_PRIOR_WEIGHT)
    return min(max(rho, _RHO_LEAST), _RHO_MOST)


@_compiled
def _usual_variance(excess: float, scale: float) -> float:
    """Variance of the level about its season that a lane's hours have shown."""
    shown = excess + _LEVEL_VARIANCE_PRIOR * _LEVEL_VARIANCE_WEIGHT
    variance = shown / (scale + _LEVEL_VARIANCE_WEIGHT)
    return min(max(variance, _LEVEL_VARIANCE_LEAST), _LEVEL_VARIANCE_MOST)


@_compiled
def _expect(
    slot: int, prior: float, prior_failures: float, floor: float, state: _State
) -> tuple[_Floats, _Floats, _Floats]:
    """Mean, null and rho of each lane in an hour of the day; see :class:`Rates`."""
    eligible, failing, hour_expected, hour_failing = state[:4]
    excess, scale, _, level_excess, level_scale, drift, drift_variance = state[4:]
    lanes = len(eligible)
    mean, null, rho = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for lane in range(lanes):
        base = (failing[lane] + prior_failures) / (eligible[lane] + prior_failures / prior)
        factor = (hour_failing[lane, slot] + _HOUR_PSEUDO_FAILURES) / (
            hour_expected[lane, slot] + _HOUR_PSEUDO_FAILURES
        )
        mean[lane] = min(max(base * factor * (1.0 + drift[lane]), 0.0), _CERTAIN)
        variance = drift_variance[lane]
        if variance <= 0.0:
            variance = _usual_variance(level_excess[lane], level_scale[lane])
        variance += 1.0 / (failing[lane] + prior_failures)
        variance += 1.0 / (hour_failing[lane, slot] + _HOUR_PSEUDO_FAILURES)
        highest = mean[lane] * (1.0 + _DOUBT_SD * math.sqrt(variance))
        null[lane] = min(max(highest, floor), _CERTAIN)
        rho[lane] = _rho(excess[lane], scale[lane])
    return mean, null, rho


@_compiled
def _learn(
    slot: int, users: _Floats, failing: _Floats, p0: _Floats, takes: _Bools, state: _State
) -> None:
    """Take one hour of all lanes over; ``state`` is written."""
    eligibles, failings, hour_expected, hour_failing = state[:4]
    excesses, scales, hours, level_excess, level_scale, drift, drift_variance = state[4:]
    for lane in range(len(p0)):
        # Users, failing, ordered pairs of users in a minute, variance beyond the binomial.
        n, f, pairs, excess = 0.0, 0.0, 0.0, 0.0
        p, coin = p0[lane], p0[lane] * (1.0 - p0[lane])
        for at in range(users.shape[1]):
            tried, failed = users[lane, at], failing[lane, at]
            noise = tried * coin
            n += tried
            f += failed
            pairs += tried * max(tried - 1.0, 0.0)
            excess += min((failed - tried * p) ** 2, _WINSOR_SD**2 * max(noise, 0.2)) - noise
        expected, take = n * p, takes[lane]
        season = expected / (1.0 + drift[lane])
        # So many failures that come together tell as much as one.
        phi = 1.0 + _rho(excesses[lane], scales[lane]) * pairs / max(n, 1.0)
        usual = _usual_variance(level_excess[lane], level_scale[lane])
        variance = drift_variance[lane] if drift_variance[lane] > 0.0 else usual
        # A burst that raised no alarm must not raise the baseline either.
        spread = math.sqrt(expected * phi + expected**2 * variance + 1.0)
        f = min(f, expected + _WINSOR_SD * spread)
        if take:
            noise = season * phi
            largest = 16.0 * (noise + season**2 * _LEVEL_VARIANCE_PRIOR)
            off = min((f - season) ** 2, largest) - noise
            level_excess[lane] = level_excess[lane] * _FORGET_SPREAD + off
            level_scale[lane] = level_scale[lane] * _FORGET_SPREAD + season**2
            usual = _usual_variance(level_excess[lane], level_scale[lane])
            variance = drift_variance[lane] if drift_variance[lane] > 0.0 else usual
            eligibles[lane] = eligibles[lane] * _FORGET_AN_HOUR + n
            failings[lane] = failings[lane] * _FORGET_AN_HOUR + f
            excesses[lane] = excesses[lane] * _FORGET_AN_HOUR + excess
            scales[lane] = scales[lane] * _FORGET_AN_HOUR + pairs * coin
            hours[lane] += 1.0 if n > 0.0 else 0.0
            fade = _FORGET_HOUR_OF_DAY
            hour_expected[lane, slot] = hour_expected[lane, slot] * fade + season
            hour_failing[lane, slot] = hour_failing[lane, slot] * fade + f
        # A lane that learns nothing only returns towards its season.
        level, told = 1.0 + drift[lane], 1.0 if take else 0.0
        shape = level**2 / variance + f / phi * told
        rate = level / variance + season / phi * told
        drift[lane] = _RETURN * (shape / rate - 1.0)
        drift_variance[lane] = _RETURN**2 * shape / rate**2 + (1.0 - _RETURN**2) * usual


@dataclass(frozen=True, slots=True)
class Rates(Frozen):
    """What is usual in one hour; arrays of shape (lanes,).

    Attributes:
        mean: usual rate of failing.
        null: highest rate that still counts as usual: above the mean by what is not known,
            the level, and a rate and an hour factor that were learned from so many failures.
        rho: intra-class correlation.
    """

    mean: _Floats
    null: _Floats
    rho: _Floats


@dataclass(slots=True)
class RateBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 24).

    ``drift`` is the expected level of the coming hour less 1, so that a new lane's zeros
    mean none; a ``drift_variance`` of 0 is not yet known.
    """

    eligible: _Floats
    failing: _Floats
    hour_expected: _Floats
    hour_failing: _Floats
    excess: _Floats
    scale: _Floats
    hours: _Floats
    level_excess: _Floats
    level_scale: _Floats
    drift: _Floats
    drift_variance: _Floats

    @classmethod
    def empty(cls) -> RateBaseline:
        """Baselines without a lane."""
        one, day = np.zeros(0), np.zeros((0, _DAY))
        return cls(one, one.copy(), day, day.copy(), *(one.copy() for _ in range(7)))

    def expect(self, hour: int, prior: float, prior_failures: float, floor: float) -> Rates:
        """What is usual in the hour with number ``hour`` (hours since 1970).

        Args:
            hour: which.
            prior: rate before anything is known.
            prior_failures: its weight, in failures.
            floor: no null is below this.
        """
        return Rates(*_expect(hour % _DAY, prior, prior_failures, floor, self.arrays()))

    def learn(
        self, hour: int, users: _Floats, failing: _Floats, p0: _Floats, lanes: _Bools
    ) -> None:
        """Take one finished hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            users: eligible users by minute, shape (lanes, minutes).
            failing: newly failing users, same shape.
            p0: the mean rate that was expected, shape (lanes,).
            lanes: which lanes may learn.
        """
        users, failing = np.ascontiguousarray(users), np.ascontiguousarray(failing)
        _learn(hour % _DAY, users, failing, p0, lanes, self.arrays())
