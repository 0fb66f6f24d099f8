"""How often users usually fail: the baseline of every failure-like signal.

p0(t) = (F + a) / (N + a / p) * factor(hour of day), with F failing and N eligible users
summed with a half-life of four days, a prior of ``a`` failures at rate p, and an hour
factor shrunk towards 1 with 20 pseudo-failures. The spread beyond the binomial is the
intra-class correlation rho, estimated from the decayed excess variance, plus 1/(N+1) for
not knowing p0 (reference prototype: 1.31 times the oracle's delay with this baseline).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORGET_AN_HOUR: Final = 0.5 ** (1 / 96)
_FORGET_HOUR_OF_DAY: Final = 0.5 ** (1 / 14)  # by visit, one a day
_HOUR_PSEUDO_FAILURES: Final = 20.0
_RHO_PRIOR: Final = 0.003
_RHO_PRIOR_WEIGHT: Final = 20.0
_RHO_RANGE: Final = (0.0005, 0.2)
_WINSOR_SD: Final = 5.0


@dataclass(slots=True)
class RateBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 24)."""

    eligible: NDArray[np.float64]
    failing: NDArray[np.float64]
    hour_expected: NDArray[np.float64]
    hour_failing: NDArray[np.float64]
    excess: NDArray[np.float64]
    scale: NDArray[np.float64]
    hours: NDArray[np.float64]

    @classmethod
    def empty(cls) -> RateBaseline:
        """Baselines without a lane."""
        one, day = np.zeros(0), np.zeros((0, 24))
        return cls(
            one.copy(), one.copy(), day.copy(), day.copy(), one.copy(), one.copy(), one.copy()
        )

    def null(
        self, hour: int, prior: float, prior_failures: float, floor: float
    ) -> NDArray[np.float64]:
        """Highest rate of each lane in the hour that still counts as usual.

        It lies above the mean by what the baseline does not know: 1.5 standard deviations
        of a rate learned from so many failures, and 10 % in any case.
        """
        doubt = 1.1 + 1.5 / np.sqrt(self.failing + prior_failures)
        return np.clip(self.mean(hour, prior, prior_failures) * doubt, floor, 0.95)

    def mean(self, hour: int, prior: float, prior_failures: float) -> NDArray[np.float64]:
        """Usual rate of each lane in the hour with number ``hour`` (hours since 1970)."""
        base = (self.failing + prior_failures) / (self.eligible + prior_failures / prior)
        slot = hour % 24
        factor = (self.hour_failing[:, slot] + _HOUR_PSEUDO_FAILURES) / (
            self.hour_expected[:, slot] + _HOUR_PSEUDO_FAILURES
        )
        return np.clip(base * factor, 0.0, 0.95)

    def rho(self) -> NDArray[np.float64]:
        """Intra-class correlation of each lane."""
        estimate = (self.excess + _RHO_PRIOR * _RHO_PRIOR_WEIGHT) / (self.scale + _RHO_PRIOR_WEIGHT)
        return np.clip(estimate, *_RHO_RANGE) + 1.0 / (self.eligible + 1.0)

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
        n, f = users.sum(axis=1), failing.sum(axis=1)
        expected = n * p0
        # A burst that raised no alarm must not raise the baseline either.
        spread = np.sqrt(expected * (1.0 + (n - 1.0).clip(0) * self.rho()) + 1.0)
        f = np.minimum(f, expected + _WINSOR_SD * spread)
        residual = (failing - users * p0[:, None]) ** 2
        noise = users * (p0 * (1.0 - p0))[:, None]
        cap = _WINSOR_SD**2 * np.maximum(noise, 0.2)
        excess = (np.minimum(residual, cap) - noise).sum(axis=1)
        scale = (users * (users - 1.0).clip(0) * (p0 * (1.0 - p0))[:, None]).sum(axis=1)
        forget = np.where(lanes, _FORGET_AN_HOUR, 1.0)
        take = lanes.astype(float)
        self.eligible = self.eligible * forget + n * take
        self.failing = self.failing * forget + f * take
        self.excess = self.excess * forget + excess * take
        self.scale = self.scale * forget + scale * take
        self.hours = self.hours + take * (n > 0)
        slot = hour % 24
        fade = np.where(lanes, _FORGET_HOUR_OF_DAY, 1.0)
        self.hour_expected[:, slot] = self.hour_expected[:, slot] * fade + expected * take
        self.hour_failing[:, slot] = self.hour_failing[:, slot] * fade + f * take
