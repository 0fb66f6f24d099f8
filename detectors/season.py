"""How many users are usually active: the seasonal baseline of the drop signals.

The expected count of a lane in an hour is

    m(t) = rate(hour of week) * level * common(t)

``rate`` comes from decayed means by hour of week. What other days showed at the same hour
of day is pooled with them as far as those days look alike around that hour: Tuesday mornings
with Thursday mornings, Friday afternoons with nothing, whatever the time zone of the people
and whatever days they work (non-local means; Buades, Coll and Morel 2005). ``level`` follows
slow growth. ``common`` is what all lanes of the tenant do together this hour (a holiday, a
late Monday, a clock change), handed in by the bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEEK: Final = 168
_DAYS: Final = 7
_FADE_A_WEEK: Final = 0.7
_LEVEL_HALF_LIFE: Final = 24.0  # hours with traffic
# Two days are compared over the hours from two before to two after; for the hour before,
# this one and the next; on this day and the six others.
_AROUND: Final = np.arange(-2, 3)
_SLOTS: Final = np.arange(-1, 2)[:, None, None] + 24 * np.arange(_DAYS)[:, None] + _AROUND
# A day pools with weight exp(-1.5 (D - 1)), D the mean squared difference in units of its
# variance; five hours in a row tell as much as three apart would.
_UNLIKE: Final = 1.5
# Slots that were never met are taken from days of the same kind; others speak this softly.
_OTHER_KIND: Final = 0.02
# People may come so many hours sooner or later.
_LATE: Final = 0.15
_FLAT: Final = 0.5
# 1970-01-01 was a Thursday; hour-of-week 0 is Thursday 00:00 UTC.
_KIND_OF_DAY: Final = np.array([0, 0, 1, 1, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in one hour.

    Attributes:
        minutes: count by minute without the common factor, shape (lanes, 60).
        hourly: its sum, shape (lanes,).
        unsure: relative variance of the hour's expectation, shape (lanes,): it rests on few
            users, and people come a little sooner or later.
        slope: relative change of the expectation in an hour, shape (lanes,).
        novel: 1 over the square of the days it rests on: one Sunday says little about the next.
    """

    minutes: NDArray[np.float64]
    hourly: NDArray[np.float64]
    unsure: NDArray[np.float64]
    slope: NDArray[np.float64]
    novel: NDArray[np.float64]


@dataclass(slots=True)
class SeasonBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 168)."""

    total: NDArray[np.float64]
    seen: NDArray[np.float64]
    log_level: NDArray[np.float64]
    hours: NDArray[np.float64]

    @classmethod
    def empty(cls) -> SeasonBaseline:
        """Baselines without a lane."""
        week = np.zeros((0, WEEK))
        return cls(week.copy(), week.copy(), np.zeros(0), np.zeros(0))

    def usual(self, hour: int, phi: NDArray[np.float64], level: NDArray[np.float64]) -> Usual:
        """The expectation of an hour, level included, without the common factor.

        A parabola through the middle of the neighbouring hours at either edge that keeps the
        hour's sum. ``phi`` and ``level`` are those of :class:`detectors.spread.Spread`.
        """
        rates, met = self._rates(hour, phi, level)
        before, here, after = (rates * np.exp(self.log_level)[:, None]).T
        begin, end = (before + here) / 2.0, (here + after) / 2.0
        at = (np.arange(60) + 0.5) / 60.0
        minutes = (
            begin[:, None] * (1.0 - at) * (1.0 - 3.0 * at)
            + end[:, None] * at * (3.0 * at - 2.0)
            + 6.0 * here[:, None] * at * (1.0 - at)
        )
        lowest = np.minimum(np.minimum(begin, end), here)[:, None] / 2.0
        slope = np.log((after + 1.0) / (before + 1.0)) / 2.0
        few = phi / ((rates[:, 1] + 1.0) * np.maximum(met, 0.3))
        unsure = np.minimum(few, 0.5) + (_LATE * slope) ** 2
        novel = np.maximum(met, 1.0) ** -2.0
        return Usual(np.maximum(minutes, lowest) / 60.0, here, unsure, slope, novel)

    def _rates(
        self, hour: int, phi: NDArray[np.float64], level: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Users of the hour before, this one and the next at level 1; days met at this one.

        Shapes (lanes, 3) and (lanes,).
        """
        # Axes: lanes, the three hours, days from this one on, hours around.
        slots = (hour + _SLOTS) % WEEK
        seen = self.seen[:, slots]
        mean = self.total[:, slots] / np.maximum(seen, 1e-9)
        one = level[:, None, None, None] * mean**2 + (phi[:, None, None, None] * mean + 1.0)
        noise = one / np.maximum(seen, 1e-3)
        apart = (mean - mean[:, :, :1]) ** 2 / (noise + noise[:, :, :1])
        both = (seen > 0.0) & (seen[:, :, :1] > 0.0)
        unlike = np.where(both, apart, 0.0).sum(axis=3) / np.maximum(both.sum(axis=3), 1)
        alike = np.exp(-_UNLIKE * np.maximum(unlike - 1.0, 0.0))
        kind = _KIND_OF_DAY[slots[:, :, 2] // 24]
        calendar = np.where(kind == kind[:, :1], 1.0, _OTHER_KIND)
        known = seen[:, :, :1, 2] > 0.0
        weight = np.where(known, alike * calendar, calendar) * seen[:, :, :, 2]
        met = np.maximum(weight.sum(axis=2), 1e-9)
        return (weight * mean[:, :, :, 2]).sum(axis=2) / met, met[:, 1]

    def hourly(self) -> NDArray[np.float64]:
        """Mean usual count of an hour over the week, shape (lanes,)."""
        mean: NDArray[np.float64] = self.total.sum(axis=1) / np.maximum(self.seen.sum(axis=1), 1e-9)
        return mean * np.exp(self.log_level)

    def follows(self) -> NDArray[np.bool_]:
        """Which lanes follow people's day: quiet hours hold less than half of busy ones.

        Machines that poll around the clock are the majority of what is active at night;
        they tell nothing about how many people are at work.
        """
        week = np.sort(self.total / np.maximum(self.seen, 1e-9), axis=1)
        low, high = week[:, WEEK // 10], week[:, -WEEK // 10]
        follows: NDArray[np.bool_] = low < _FLAT * high
        return follows

    def learn(
        self,
        hour: int,
        counts: NDArray[np.float64],
        expected: NDArray[np.float64],
        plain: NDArray[np.float64],
        common: NDArray[np.float64],
        lanes: NDArray[np.bool_],
    ) -> None:
        """Take one finished hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            counts: observed counts by minute, shape (lanes, minutes).
            expected: expected counts, same shape; they include the common factor.
            plain: usual count of the whole hour, shape (lanes,).
            common: mean common factor of the hour, shape (lanes,).
            lanes: which lanes may learn.
        """
        slot = hour % WEEK
        total, mean = counts.sum(axis=1), expected.sum(axis=1)
        known = self.seen.sum(axis=1) >= 24
        high = np.where(known, 2.0 * plain + 5.0 * np.sqrt(plain + 1.0), np.inf)
        winsorised = np.minimum(total / np.maximum(common, 0.3), high)
        take = lanes.astype(float)
        fade = np.where(lanes, _FADE_A_WEEK, 1.0)
        level = np.exp(self.log_level)
        self.total[:, slot] = self.total[:, slot] * fade + winsorised / level * take
        self.seen[:, slot] = self.seen[:, slot] * fade + take
        self.hours += take
        self._learn_level(total, mean, take * self.settled())

    def settled(self) -> NDArray[np.bool_]:
        """Lanes that have met every hour of the week: before, a weekend reads as a collapse."""
        settled: NDArray[np.bool_] = self.hours > WEEK
        return settled

    def _learn_level(
        self, total: NDArray[np.float64], mean: NDArray[np.float64], take: NDArray[np.float64]
    ) -> None:
        # An hour weighs by what it tells: 20 expected users count half.
        weight = take * mean / (mean + 20.0) / _LEVEL_HALF_LIFE
        ratio = np.log((total + 5.0) / (mean + 5.0))
        self.log_level = within(self.log_level + weight * within(ratio, -0.5, 0.5), -3.0, 3.0)
