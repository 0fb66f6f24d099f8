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

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays
from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.spread import Figures

    _Floats = NDArray[np.float64]
    _Bools = NDArray[np.bool_]

WEEK: Final = 168
_DAY: Final = 24
_DAYS: Final = 7
_FADE_A_WEEK: Final = 0.7
_LEVEL_HALF_LIFE: Final = 24.0  # hours with traffic
# Two days are compared over the hours from two before to two after.
_AROUND: Final = 2
# A day pools with weight exp(-1.5 (D - 1)), D the mean squared difference in units of its
# variance; five hours in a row tell as much as three apart would.
_UNLIKE: Final = 1.5
_LEAST_SEEN: Final = 1e-3
# Slots that were never met are taken from days of the same kind; others speak this softly.
_OTHER_KIND: Final = 0.02
# People may come so many hours sooner or later.
_LATE: Final = 0.15
_FLAT: Final = 0.5
# 1970-01-01 was a Thursday; hour-of-week 0 is Thursday 00:00 UTC.
_KIND_OF_DAY: Final = (0, 0, 1, 1, 0, 0, 0)
_NOTHING: Final = 1e-9
_LEVEL_FURTHEST: Final = 3.0  # of its logarithm
_LEVEL_STEP: Final = 0.5

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _rate(
    hour: int, total: _Floats, seen: _Floats, phi: float, level: float
) -> tuple[float, float]:
    """Users of an hour at level 1, and days it rests on, from sums of one lane, shape (168,)."""
    users, met = 0.0, 0.0
    kind, first_known = _KIND_OF_DAY[hour % WEEK // _DAY], seen[hour % WEEK] > 0.0
    for day in range(_DAYS):
        unlike, compared = 0.0, 0
        for around in range(-_AROUND, _AROUND + 1):
            here, there = (hour + around) % WEEK, (hour + _DAY * day + around) % WEEK
            if seen[here] <= 0.0 or seen[there] <= 0.0:
                continue
            compared += 1
            mean, other = total[here] / seen[here], total[there] / seen[there]
            noise = (level * mean**2 + phi * mean + 1.0) / max(seen[here], _LEAST_SEEN)
            noise += (level * other**2 + phi * other + 1.0) / max(seen[there], _LEAST_SEEN)
            unlike += (other - mean) ** 2 / noise
        slot = (hour + _DAY * day) % WEEK
        weight = seen[slot]
        if _KIND_OF_DAY[slot // _DAY] != kind:
            weight *= _OTHER_KIND
        if first_known:
            weight *= math.exp(-_UNLIKE * max(unlike / max(compared, 1) - 1.0, 0.0))
        met += weight
        users += weight * total[slot] / max(seen[slot], _NOTHING)
    met = max(met, _NOTHING)
    return users / met, met


@_compiled
def _expect(
    hour: int, phi: _Floats, level: _Floats, total: _Floats, seen: _Floats, log_level: _Floats
) -> tuple[_Floats, _Floats]:
    """Usual counts by minute, shape (lanes, 60), and the other fields of Usual, (4, lanes)."""
    lanes = len(phi)
    minutes, told = np.empty((lanes, 60)), np.empty((4, lanes))
    for lane in range(lanes):
        height = math.exp(log_level[lane])
        week, times, p, v = total[lane], seen[lane], phi[lane], level[lane]
        rate, met = _rate(hour, week, times, p, v)
        before = _rate(hour - 1, week, times, p, v)[0] * height
        after = _rate(hour + 1, week, times, p, v)[0] * height
        here = rate * height
        begin, end = (before + here) / 2.0, (here + after) / 2.0
        lowest = min(begin, end, here) / 2.0
        for minute in range(60):
            at = (minute + 0.5) / 60.0
            count = begin * (1.0 - at) * (1.0 - 3.0 * at) + end * at * (3.0 * at - 2.0)
            count += 6.0 * here * at * (1.0 - at)
            minutes[lane, minute] = max(count, lowest) / 60.0
        slope = math.log((after + 1.0) / (before + 1.0)) / 2.0
        few = p / ((rate + 1.0) * max(met, 0.3))
        told[0, lane], told[2, lane] = here, slope
        told[1, lane] = min(few, 0.5) + (_LATE * slope) ** 2
        told[3, lane] = max(met, 1.0) ** -2.0
    return minutes, told


@_compiled
def _learn(
    slot: int,
    counts: _Floats,
    expected: _Floats,
    plain: _Floats,
    common: _Floats,
    takes: _Bools,
    state: tuple[_Floats, ...],
) -> None:
    """Take one hour of all lanes over; ``state`` is written."""
    total, seen, log_level, hours = state
    for lane in range(len(takes)):
        if not takes[lane]:
            continue
        came, mean, known = 0.0, 0.0, 0.0
        for minute in range(counts.shape[1]):
            came += counts[lane, minute]
            mean += expected[lane, minute]
        for other in range(WEEK):
            known += seen[lane, other]
        winsorised = came / max(common[lane], 0.3)
        if known >= _DAY:
            highest = 2.0 * plain[lane] + 5.0 * math.sqrt(plain[lane] + 1.0)
            winsorised = min(winsorised, highest)
        users = winsorised / math.exp(log_level[lane])
        total[lane, slot] = total[lane, slot] * _FADE_A_WEEK + users
        seen[lane, slot] = seen[lane, slot] * _FADE_A_WEEK + 1.0
        hours[lane] += 1.0
        if hours[lane] > WEEK:
            # An hour weighs by what it tells: 20 expected users count half.
            weight = mean / (mean + 20.0) / _LEVEL_HALF_LIFE
            ratio = math.log((came + 5.0) / (mean + 5.0))
            log_level[lane] += weight * min(max(ratio, -_LEVEL_STEP), _LEVEL_STEP)
            log_level[lane] = min(max(log_level[lane], -_LEVEL_FURTHEST), _LEVEL_FURTHEST)


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

    minutes: _Floats
    hourly: _Floats
    unsure: _Floats
    slope: _Floats
    novel: _Floats


@dataclass(slots=True)
class SeasonBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes,) or (lanes, 168)."""

    total: _Floats
    seen: _Floats
    log_level: _Floats
    hours: _Floats

    @classmethod
    def empty(cls) -> SeasonBaseline:
        """Baselines without a lane."""
        week = np.zeros((0, WEEK))
        return cls(week.copy(), week.copy(), np.zeros(0), np.zeros(0))

    def usual(self, hour: int, spread: Figures) -> Usual:
        """The expectation of an hour, level included, without the common factor.

        A parabola through the middle of the neighbouring hours at either edge that keeps the
        hour's sum. ``spread`` is how far the counts stray.
        """
        state = self.total, self.seen, self.log_level
        minutes, (hourly, unsure, slope, novel) = _expect(hour, spread.phi, spread.level, *state)
        return Usual(minutes, hourly, unsure, slope, novel)

    def hourly(self) -> _Floats:
        """Mean usual count of an hour over the week, shape (lanes,)."""
        mean: _Floats = self.total.sum(axis=1) / np.maximum(self.seen.sum(axis=1), 1e-9)
        return mean * np.exp(self.log_level)

    def follows(self) -> _Bools:
        """Which lanes follow people's day: quiet hours hold less than half of busy ones.

        Machines that poll around the clock are the majority of what is active at night;
        they tell nothing about how many people are at work.
        """
        week = np.sort(self.total / np.maximum(self.seen, 1e-9), axis=1)
        low, high = week[:, WEEK // 10], week[:, -WEEK // 10]
        follows: _Bools = low < _FLAT * high
        return follows

    def learn(
        self,
        hour: int,
        counts: _Floats,
        expected: _Floats,
        plain: _Floats,
        common: _Floats,
        lanes: _Bools,
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
        counts, expected = np.ascontiguousarray(counts), np.ascontiguousarray(expected)
        _learn(hour % WEEK, counts, expected, plain, common, lanes, self.arrays())

    def settled(self) -> _Bools:
        """Lanes that have met every hour of the week: before, a weekend reads as a collapse."""
        settled: _Bools = self.hours > WEEK
        return settled
