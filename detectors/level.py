"""How many users are usually active: the seasonal baseline of the drop signals.

The expected count of a lane is

    m(t) = rate(hour of week) * level * common(t)

``rate`` is a decayed mean by hour of week, shrunk towards the mean of that hour of day
over days of its kind (working day, Saturday, Sunday), and runs linearly from mid-hour to
mid-hour. ``level`` follows slow growth. ``common`` is what all lanes of the tenant do
together this hour (a holiday, a late Monday, a clock change): the weighted median of
observed over expected, handed in by the bank, so that a lane is compared with its
siblings and not with the calendar alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEEK: Final = 168
_FADE_A_WEEK: Final = 0.7
_POOL_WEIGHT: Final = 1.0
_LEVEL_HALF_LIFE: Final = 24.0  # hours with traffic
_PHI_PRIOR: Final = 1.3
_PHI_PRIOR_WEIGHT: Final = 200.0
# Hours with fewer expected users than this are quiet; their counts are taken to have
# twice the variance of a Poisson count until the lane has shown its own.
_FEW: Final = 15.0
_FLAT: Final = 0.5
_LOW_PRIOR: Final = 2.0
_LOW_PRIOR_WEIGHT: Final = 60.0
_NOISE_PRIOR: Final = 0.08
_NOISE_PRIOR_WEIGHT: Final = 200.0
_FORGET_SPREAD: Final = 0.5 ** (1 / 168)
# 1970-01-01 was a Thursday; hour-of-week 0 is Thursday 00:00 UTC.
_KIND_OF_DAY: Final = np.array([0, 0, 1, 2, 0, 0, 0])


@dataclass(slots=True)
class LevelBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 168)."""

    total: NDArray[np.float64]
    seen: NDArray[np.float64]
    log_level: NDArray[np.float64]
    hours: NDArray[np.float64]
    minute_excess: NDArray[np.float64]
    minute_mean: NDArray[np.float64]
    hour_excess: NDArray[np.float64]
    hour_square: NDArray[np.float64]
    low_excess: NDArray[np.float64]
    low_mean: NDArray[np.float64]

    @classmethod
    def empty(cls) -> LevelBaseline:
        """Baselines without a lane."""
        week = np.zeros((0, WEEK))
        return cls(week.copy(), week.copy(), *(np.zeros(0) for _ in range(8)))

    def hourly(self, hour: int) -> NDArray[np.float64]:
        """Usual count of the whole hour, level included, without the common factor."""
        slot = hour % WEEK
        same_kind = np.flatnonzero(_KIND_OF_DAY[slot // 24] == _KIND_OF_DAY) * 24 + slot % 24
        any_day = np.arange(7) * 24 + slot % 24
        kin_seen = self.seen[:, same_kind].sum(axis=1)
        all_seen = self.seen[:, any_day].sum(axis=1)
        kin = np.where(
            kin_seen > 0,
            self.total[:, same_kind].sum(axis=1) / np.maximum(kin_seen, 1e-9),
            self.total[:, any_day].sum(axis=1) / np.maximum(all_seen, 1e-9),
        )
        rate = (self.total[:, slot] + _POOL_WEIGHT * kin) / (self.seen[:, slot] + _POOL_WEIGHT)
        usual: NDArray[np.float64] = rate * np.exp(self.log_level)
        return usual

    def follows(self) -> NDArray[np.bool_]:
        """Which lanes follow people's day: quiet hours hold less than half of busy ones.

        Machines that poll around the clock are the majority of what is active at night;
        they tell nothing about how many people are at work.
        """
        week = np.sort(self.total / np.maximum(self.seen, 1e-9), axis=1)
        low, high = week[:, WEEK // 10], week[:, -WEEK // 10]
        follows: NDArray[np.bool_] = low < _FLAT * high
        return follows

    def minutes(self, hour: int, first: int, count: int) -> NDArray[np.float64]:
        """Usual count by minute, shape (lanes, count), from minute ``first`` (0..59) of the hour."""
        before, here, after = (self.hourly(h) / 60.0 for h in (hour - 1, hour, hour + 1))
        at = (first + np.arange(count) + 0.5) / 60.0 - 0.5
        side = np.where(at[None, :] < 0, before[:, None], after[:, None])
        share = np.abs(at)[None, :]
        usual: NDArray[np.float64] = here[:, None] * (1.0 - share) + side * share
        return usual

    def lowest(self, hour: int, first: int, count: int) -> NDArray[np.float64]:
        """The least that is usual within an hour either way, like :meth:`minutes`.

        A clock change moves a country's day by an hour against UTC, on another Sunday than
        its neighbour's; at the edges of the day that looks like a fall of half the users.
        """
        shifted = [self.minutes(h, first, count) for h in (hour - 1, hour, hour + 1)]
        lowest: NDArray[np.float64] = np.minimum.reduce(shifted)
        return lowest

    def phi(self, hourly: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Variance of a count over its mean, at least 1.05.

        By minute, as learned; where few users are expected ``hourly`` (shape (lanes,)) the
        spread of such quiet hours is added: there people come and go together.
        """
        estimate = (self.minute_excess + _PHI_PRIOR * _PHI_PRIOR_WEIGHT) / (
            self.minute_mean + _PHI_PRIOR_WEIGHT
        )
        phi = np.clip(estimate, 1.05, 12.0)
        if hourly is None:
            return phi
        low = (self.low_excess + _LOW_PRIOR * _LOW_PRIOR_WEIGHT) / (
            self.low_mean + _LOW_PRIOR_WEIGHT
        )
        return phi + np.maximum(low - phi, 0.0) * _FEW / (_FEW + hourly)

    def doubt(self, hour: int) -> NDArray[np.float64]:
        """How far an hour's expectation may be off for having met few such days, 0..0.35.

        One Sunday says little about the next: a third; five working days: 7 %.
        """
        slot = hour % WEEK
        same_kind = np.flatnonzero(_KIND_OF_DAY[slot // 24] == _KIND_OF_DAY) * 24 + slot % 24
        met = self.seen[:, same_kind].sum(axis=1)
        doubt: NDArray[np.float64] = 0.35 / np.maximum(met, 1.0)
        return doubt

    def noise(self) -> NDArray[np.float64]:
        """Relative standard deviation of an hour's count beyond its counting noise."""
        estimate = (self.hour_excess + _NOISE_PRIOR**2 * _NOISE_PRIOR_WEIGHT) / (
            self.hour_square + _NOISE_PRIOR_WEIGHT
        )
        return np.sqrt(np.clip(estimate, 0.02**2, 0.5**2))

    def learn(
        self,
        hour: int,
        counts: NDArray[np.float64],
        expected: NDArray[np.float64],
        common: NDArray[np.float64],
        lanes: NDArray[np.bool_],
    ) -> None:
        """Take one finished hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            counts: observed counts by minute, shape (lanes, minutes).
            expected: expected counts, same shape;
                they include the common factor.
            common: mean common factor of the hour, shape (lanes,).
            lanes: which lanes may learn.
        """
        slot = hour % WEEK
        total, mean = counts.sum(axis=1), expected.sum(axis=1)
        plain = self.hourly(hour)
        known = self.seen.sum(axis=1) >= 24
        high = np.where(known, 2.0 * plain + 5.0 * np.sqrt(plain + 1.0), np.inf)
        winsorised = np.minimum(total / np.maximum(common, 0.3), high)
        take = lanes.astype(float)
        fade = np.where(lanes, _FADE_A_WEEK, 1.0)
        level = np.exp(self.log_level)
        self.total[:, slot] = self.total[:, slot] * fade + winsorised / level * take
        self.seen[:, slot] = self.seen[:, slot] * fade + take
        self.hours += take
        # Before every hour of the week was met once, a weekend would read as a collapse.
        take = take * (self.hours > WEEK)
        self._learn_level(total, mean, take)
        self._learn_spread(counts, expected, take)

    def _learn_level(
        self, total: NDArray[np.float64], mean: NDArray[np.float64], take: NDArray[np.float64]
    ) -> None:
        # An hour weighs by what it tells: 20 expected users count half.
        weight = take * mean / (mean + 20.0) / _LEVEL_HALF_LIFE
        ratio = np.log((total + 5.0) / (mean + 5.0))
        self.log_level = np.clip(self.log_level + weight * np.clip(ratio, -0.5, 0.5), -3.0, 3.0)

    def _learn_spread(
        self, counts: NDArray[np.float64], expected: NDArray[np.float64], take: NDArray[np.float64]
    ) -> None:
        forget = np.where(take > 0, _FORGET_SPREAD, 1.0)
        residual = (counts - expected) ** 2
        cap = 36.0 * np.maximum(expected, 0.3)
        self.minute_excess = (
            self.minute_excess * forget + np.minimum(residual, cap).sum(axis=1) * take
        )
        self.minute_mean = self.minute_mean * forget + expected.sum(axis=1) * take
        total, mean = counts.sum(axis=1), expected.sum(axis=1)
        surplus = np.minimum((total - mean) ** 2, 0.5 * mean**2 + 9.0 * mean) - self.phi() * mean
        self.hour_excess = np.maximum(self.hour_excess * forget + surplus * take, 0.0)
        self.hour_square = self.hour_square * forget + mean**2 * take
        quiet = take * (mean < _FEW)
        residual = np.minimum((total - mean) ** 2, 25.0 * (mean + 1.0))
        self.low_excess = self.low_excess * forget + residual * quiet
        self.low_mean = self.low_mean * forget + mean * quiet
