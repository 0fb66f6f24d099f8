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
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PHI_PRIOR: Final = 1.3
_PHI_PRIOR_WEIGHT: Final = 200.0  # expected users
# One program that reads a mailbox in a burst makes an hour's accesses stray by hundreds: a
# lane that must not say so raises false alarms, the more the larger the tenant.
_PHI_RANGE: Final = (1.05, 400.0)
_LEVEL_PRIOR: Final = 0.08**2
_WANDER_PRIOR: Final = _LEVEL_PRIOR * 2.0 / 90.0
_PRIOR_HOURS: Final = 24.0
_HALVES: Final = 16.0
_FORGET: Final = 0.5 ** (1 / 168)
# Winsorising at 3 standard deviations.
_OUTLIER: Final = 9.0


@dataclass(slots=True)
class Spread(LaneArrays):
    """Sums behind the three figures; arrays of shape (lanes,)."""

    minute_excess: NDArray[np.float64]
    minute_mean: NDArray[np.float64]
    burst_excess: NDArray[np.float64]
    burst_mean: NDArray[np.float64]
    half_excess: NDArray[np.float64]
    half_hours: NDArray[np.float64]
    hour_excess: NDArray[np.float64]
    hour_hours: NDArray[np.float64]

    @classmethod
    def empty(cls) -> Spread:
        """No lane yet."""
        return cls(*(np.zeros(0) for _ in range(8)))

    def phi(self, bursts: float) -> NDArray[np.float64]:
        """Variance of a count over its mean, of minutes or of hours, whichever is more.

        ``bursts`` is that of hours, until the lane has shown its own.
        """
        minutes = (self.minute_excess + _PHI_PRIOR * _PHI_PRIOR_WEIGHT) / (
            self.minute_mean + _PHI_PRIOR_WEIGHT
        )
        hours = (self.burst_excess + bursts * _PRIOR_HOURS) / (self.burst_mean + _PRIOR_HOURS)
        phi: NDArray[np.float64] = within(np.maximum(minutes, hours), *_PHI_RANGE)
        return phi

    def wander(self) -> NDArray[np.float64]:
        """Relative variance that the level gains a minute."""
        estimate = (self.half_excess / _HALVES + _WANDER_PRIOR * _PRIOR_HOURS) / (
            self.half_hours + _PRIOR_HOURS
        )
        return within(estimate, _WANDER_PRIOR / 20.0, _WANDER_PRIOR * 20.0)

    def level(self) -> NDArray[np.float64]:
        """Relative variance of the level at rest."""
        estimate = (self.hour_excess + _LEVEL_PRIOR * _PRIOR_HOURS) / (
            self.hour_hours + _PRIOR_HOURS
        )
        return within(estimate, 0.02**2, 0.5**2)

    def learn(
        self,
        counts: NDArray[np.float64],
        expected: NDArray[np.float64],
        take: NDArray[np.float64],
        bursts: float,
    ) -> None:
        """Take one finished hour over.

        Args:
            counts: observed counts by minute, shape (lanes, minutes).
            expected: expected counts, same shape.
            take: 1 for lanes that learn, 0 for others, shape (lanes,).
            bursts: as in :meth:`phi`.
        """
        phi = self.phi(bursts)
        forget = np.where(take > 0, _FORGET, 1.0)
        step = np.diff(counts - expected, axis=1) ** 2 / 2.0
        pair = (expected[:, 1:] + expected[:, :-1]) / 2.0
        step = np.minimum(step, 36.0 * np.maximum(pair, 0.3))
        self.minute_excess = self.minute_excess * forget + step.sum(axis=1) * take
        self.minute_mean = self.minute_mean * forget + pair.sum(axis=1) * take
        half = counts.shape[1] // 2
        first, second = expected[:, :half].sum(axis=1), expected[:, half:].sum(axis=1)
        ratio = counts[:, :half].sum(axis=1) / np.maximum(first, 1e-9)
        ratio -= counts[:, half:].sum(axis=1) / np.maximum(second, 1e-9)
        noise = phi * (1.0 / np.maximum(first, 1e-9) + 1.0 / np.maximum(second, 1e-9))
        usual = self.wander() * _HALVES
        weight = (usual / (usual + noise)) ** 2 * take
        excess = np.minimum(ratio**2, _OUTLIER * (usual + noise)) - noise
        self.half_excess = self.half_excess * forget + excess * weight
        self.half_hours = self.half_hours * forget + weight
        total, mean = counts.sum(axis=1), np.maximum(expected.sum(axis=1), 1e-9)
        noise, usual = phi / mean, self.level()
        off = np.minimum((total / mean - 1.0) ** 2, _OUTLIER * (usual + noise))
        weight = (usual / (usual + noise)) ** 2 * take
        self.hour_excess = self.hour_excess * forget + (off - noise) * weight
        self.hour_hours = self.hour_hours * forget + weight
        weight = (noise / (usual + noise)) ** 2 * mean / (mean + 1.0) * take
        self.burst_excess = self.burst_excess * forget + (off - usual) * mean * weight
        self.burst_mean = self.burst_mean * forget + weight
