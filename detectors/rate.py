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

from detectors.arrays import LaneArrays, within
from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORGET_AN_HOUR: Final = 0.5 ** (1 / 96)
_FORGET_HOUR_OF_DAY: Final = 0.5 ** (1 / 14)  # by visit, one a day
_HOUR_PSEUDO_FAILURES: Final = 20.0
_RHO_PRIOR: Final = 0.003
_RHO_PRIOR_WEIGHT: Final = 20.0
_RHO_RANGE: Final = (0.0005, 0.2)
_WINSOR_SD: Final = 5.0
_DOUBT_SD: Final = 0.7
_LEVEL_MEMORY_HOURS: Final = 4.0
_RETURN: Final = math.exp(-1.0 / _LEVEL_MEMORY_HOURS)
_LEVEL_VARIANCE_PRIOR: Final = 0.15**2
_LEVEL_VARIANCE_RANGE: Final = (0.03**2, 0.5**2)
_LEVEL_VARIANCE_WEIGHT: Final = 2000.0  # squared expected failures of hours
_FORGET_SPREAD: Final = 0.5 ** (1 / 336)


_compiled: Final = compiler([Path(__file__)])


@_compiled
def _sums(
    users: NDArray[np.float64], failing: NDArray[np.float64], p0: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Users, failing, ordered pairs of users in a minute, and variance beyond the binomial.

    Over the minutes of an hour, shape (4, lanes); in one pass, as the same in whole arrays
    took a tenth of all detection.
    """
    out = np.zeros((4, len(users)))
    for lane in range(len(users)):
        variance = p0[lane] * (1.0 - p0[lane])
        for at in range(users.shape[1]):
            n, f = users[lane, at], failing[lane, at]
            noise = n * variance
            most = _WINSOR_SD**2 * max(noise, 0.2)
            out[0, lane] += n
            out[1, lane] += f
            out[2, lane] += n * max(n - 1.0, 0.0)
            out[3, lane] += min((f - n * p0[lane]) ** 2, most) - noise
    return out


@dataclass(slots=True)
class RateBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 24).

    ``drift`` is the expected level of the coming hour less 1, so that a new lane's zeros
    mean none; a ``drift_variance`` of 0 is not yet known.
    """

    eligible: NDArray[np.float64]
    failing: NDArray[np.float64]
    hour_expected: NDArray[np.float64]
    hour_failing: NDArray[np.float64]
    excess: NDArray[np.float64]
    scale: NDArray[np.float64]
    hours: NDArray[np.float64]
    level_excess: NDArray[np.float64]
    level_scale: NDArray[np.float64]
    drift: NDArray[np.float64]
    drift_variance: NDArray[np.float64]

    @classmethod
    def empty(cls) -> RateBaseline:
        """Baselines without a lane."""
        one, day = np.zeros(0), np.zeros((0, 24))
        return cls(one, one.copy(), day, day.copy(), *(one.copy() for _ in range(7)))

    def null(
        self, hour: int, mean: NDArray[np.float64], prior_failures: float, floor: float
    ) -> NDArray[np.float64]:
        """Highest rate of each lane in the hour that still counts as usual.

        Above the ``mean`` of that hour by what is not known: the level, and a rate and an hour factor that
        were learned from so many failures.
        """
        variance = (
            self.level_variance()
            + 1.0 / (self.failing + prior_failures)
            + 1.0 / (self.hour_failing[:, hour % 24] + _HOUR_PSEUDO_FAILURES)
        )
        highest = mean * (1.0 + _DOUBT_SD * np.sqrt(variance))
        return within(highest, floor, 0.95)

    def mean(self, hour: int, prior: float, prior_failures: float) -> NDArray[np.float64]:
        """Usual rate of each lane in the hour with number ``hour`` (hours since 1970)."""
        base = (self.failing + prior_failures) / (self.eligible + prior_failures / prior)
        slot = hour % 24
        factor = (self.hour_failing[:, slot] + _HOUR_PSEUDO_FAILURES) / (
            self.hour_expected[:, slot] + _HOUR_PSEUDO_FAILURES
        )
        return within(base * factor * (1.0 + self.drift), 0.0, 0.95)

    def rho(self) -> NDArray[np.float64]:
        """Intra-class correlation of each lane."""
        estimate = (self.excess + _RHO_PRIOR * _RHO_PRIOR_WEIGHT) / (self.scale + _RHO_PRIOR_WEIGHT)
        return within(estimate, *_RHO_RANGE)

    def level_variance(self) -> NDArray[np.float64]:
        """Variance of each lane's level in the coming hour; 1 is its mean in the long run."""
        return np.where(self.drift_variance > 0.0, self.drift_variance, self._usual_variance())

    def _usual_variance(self) -> NDArray[np.float64]:
        estimate = (self.level_excess + _LEVEL_VARIANCE_PRIOR * _LEVEL_VARIANCE_WEIGHT) / (
            self.level_scale + _LEVEL_VARIANCE_WEIGHT
        )
        return within(estimate, *_LEVEL_VARIANCE_RANGE)

    def learn(
        self,
        hour: int,
        users: NDArray[np.float64],
        failing: NDArray[np.float64],
        p0: NDArray[np.float64],
        lanes: NDArray[np.bool_],
    ) -> None:
        """Take one finished hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            users: eligible users by minute, shape (lanes, minutes).
            failing: newly failing users, same shape.
            p0: the mean rate that was expected, shape (lanes,).
            lanes: which lanes may learn.
        """
        n, f, pairs, excess = _sums(np.ascontiguousarray(users), np.ascontiguousarray(failing), p0)
        expected = n * p0
        season = expected / (1.0 + self.drift)
        phi = 1.0 + self.rho() * pairs / np.maximum(n, 1.0)
        # A burst that raised no alarm must not raise the baseline either.
        spread = np.sqrt(expected * phi + expected**2 * self.level_variance() + 1.0)
        f = np.minimum(f, expected + _WINSOR_SD * spread)
        take = lanes.astype(float)
        self._learn_level(f, season, phi, take)
        scale = pairs * p0 * (1.0 - p0)
        forget = np.where(lanes, _FORGET_AN_HOUR, 1.0)
        self.eligible = self.eligible * forget + n * take
        self.failing = self.failing * forget + f * take
        self.excess = self.excess * forget + excess * take
        self.scale = self.scale * forget + scale * take
        self.hours = self.hours + take * (n > 0)
        slot = hour % 24
        fade = np.where(lanes, _FORGET_HOUR_OF_DAY, 1.0)
        self.hour_expected[:, slot] = self.hour_expected[:, slot] * fade + season * take
        self.hour_failing[:, slot] = self.hour_failing[:, slot] * fade + f * take

    def _learn_level(
        self,
        failing: NDArray[np.float64],
        season: NDArray[np.float64],
        phi: NDArray[np.float64],
        take: NDArray[np.float64],
    ) -> None:
        """Follow the level by one hour; lanes not taken only return towards their season."""
        noise = season * phi
        largest = 16.0 * (noise + season**2 * _LEVEL_VARIANCE_PRIOR)
        excess = np.minimum((failing - season) ** 2, largest) - noise
        forget = np.where(take > 0.0, _FORGET_SPREAD, 1.0)
        self.level_excess = self.level_excess * forget + excess * take
        self.level_scale = self.level_scale * forget + season**2 * take
        variance, level = self.level_variance(), 1.0 + self.drift
        # phi failures that come together tell as much as one.
        shape = level**2 / variance + failing / phi * take
        rate = level / variance + season / phi * take
        self.drift = _RETURN * (shape / rate - 1.0)
        self.drift_variance = (
            _RETURN**2 * shape / rate**2 + (1.0 - _RETURN**2) * self._usual_variance()
        )
