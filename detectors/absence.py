"""How many of a client's people are usually at work without it: the baseline of shifts.

By hour of the working day (or day off) and by how usual the client is for a person (the
bands of ``detectors.habits``): the share of those at work who are in no client of its
product line, p = (absent + a/2) / (at work + a) with a pseudo-person a = 1, summed over the
hours next to it with half the weight. Who is at work is told by the clients themselves, so a
holiday or a late Monday moves both sides. A day of the week on which people leave their
desks early is held against its own share where that is higher, pulled towards the share of
all working days by 50 people: without it a simulated tenant of 10,000 had a false page on
three Fridays of four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays
from detectors.habits import BANDS, WEEK_SLOTS, slot_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAY: Final = 24
_FADE_A_VISIT: Final = 0.85  # working days: the last seven
_WEEK: Final = 168
_FADE_A_WEEK: Final = 0.7
_PSEUDO_PEOPLE: Final = 1.0
_PSEUDO_OWN: Final = 50.0
_AROUND: Final = np.add.outer([-1, 0, 1], [-1, 0, 1])
_WEIGHTS: Final = np.array([0.5, 1.0, 0.5])
# At the edges of the day the share climbs fast, and a clock change moves the edge by an
# hour: a neighbour that lies higher by more than this lifts the hour.
_STEEP: Final = 0.03
_SLACK: Final = 1.05  # habits drift
_RATES: Final = (0.01, 0.95)
# Bands that are mostly away say little. Hours in which the client has less than half of the
# people of its busiest hour are mornings and evenings: those of a Friday are like no other.
_MOSTLY_THERE: Final = 0.5
_ENOUGH_PEOPLE: Final = 20.0
_OF_BUSIEST: Final = 0.5
_FORGET_SPREAD: Final = 0.5 ** (1 / 168)
_RHO_PRIOR: Final = 0.01
_RHO_PRIOR_WEIGHT: Final = 20.0
_RHO_RANGE: Final = (0.0005, 0.3)
_WINSOR: Final = 25.0  # squared residuals beyond five standard deviations are cut


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in one hour; arrays of shape (lanes, bands).

    Attributes:
        mean: share of those at work who are absent.
        null: highest share that still counts as usual.
        rho: correlation within an hour, and what so few people leave unknown.
        known: which bands can be judged.
    """

    mean: NDArray[np.float64]
    null: NDArray[np.float64]
    rho: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass(slots=True)
class AbsenceBaseline(LaneArrays):
    """Baselines of all lanes; arrays of shape (lanes, bands, 48), (lanes, bands) or (lanes,).

    ``own_at_work`` and ``own_absent`` are by hour of the week, shape (lanes, bands, 168).
    """

    at_work: NDArray[np.float64]
    absent: NDArray[np.float64]
    own_at_work: NDArray[np.float64]
    own_absent: NDArray[np.float64]
    excess: NDArray[np.float64]
    scale: NDArray[np.float64]
    hours: NDArray[np.float64]

    @classmethod
    def empty(cls) -> AbsenceBaseline:
        """Baselines without a lane."""
        slots, week = (np.zeros((0, len(BANDS), width)) for width in (WEEK_SLOTS, _WEEK))
        bands = np.zeros((0, len(BANDS)))
        sums = slots, slots.copy(), week, week.copy(), bands, bands.copy()
        return cls(*sums, np.zeros(0))

    def usual(self, hour: int) -> Usual:
        """What is usual in an hour; ``hour`` since 1970."""
        slot = slot_of(hour)
        # The hour before, the hour itself and the hour after, each summed over three.
        near = slot // _DAY * _DAY + (slot % _DAY + _AROUND) % _DAY
        met = self.at_work[:, :, near] @ _WEIGHTS
        away = self.absent[:, :, near] @ _WEIGHTS
        share = (away + 0.5 * _PSEUDO_PEOPLE) / (met + _PSEUDO_PEOPLE)
        share = np.maximum(share, self._own(hour, share))
        here, sides = share[:, :, 1], np.maximum(share[:, :, 0], share[:, :, 2])
        people = (self.at_work - self.absent).sum(axis=1)
        busy = people[:, slot] >= _OF_BUSIEST * people.max(axis=1)
        # By the whole day: an hour chosen for its low share would seem to rise ever after.
        day = slice(slot // _DAY * _DAY, (slot // _DAY + 1) * _DAY)
        there = self.absent[:, :, day].sum(axis=2) < _MOSTLY_THERE * self.at_work[:, :, day].sum(
            axis=2
        )
        known = (met[:, :, 1] >= _ENOUGH_PEOPLE) & there & busy[:, None]
        mean = here + np.maximum(sides - here - _STEEP, 0.0)
        return Usual(
            mean=mean,
            null=np.clip(mean * _SLACK, *_RATES),
            rho=self._rho() + 1.0 / (met[:, :, 1] + 1.0),
            known=known,
        )

    def _own(self, hour: int, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the day of the week itself; of the hours and shape of ``share``."""
        near = (hour + _AROUND) % _WEEK
        met = self.own_at_work[:, :, near] @ _WEIGHTS
        away = self.own_absent[:, :, near] @ _WEIGHTS
        own: NDArray[np.float64] = (away + _PSEUDO_OWN * share) / (met + _PSEUDO_OWN)
        return own

    def _rho(self) -> NDArray[np.float64]:
        """Correlation within an hour of the people of each lane and band."""
        estimate = (self.excess + _RHO_PRIOR * _RHO_PRIOR_WEIGHT) / (self.scale + _RHO_PRIOR_WEIGHT)
        return np.clip(estimate, *_RHO_RANGE)

    def busy(self) -> NDArray[np.bool_]:
        """Lanes with enough people in some hour of the week, shape (lanes,)."""
        busy: NDArray[np.bool_] = self.at_work.sum(axis=1).max(axis=1) >= _ENOUGH_PEOPLE
        return busy

    def learn(
        self,
        hour: int,
        at_work: NDArray[np.float64],
        absent: NDArray[np.float64],
        usual: Usual,
        lanes: NDArray[np.bool_],
    ) -> None:
        """Take one hour over.

        Args:
            hour: since 1970.
            at_work: people at work, shape (lanes, bands).
            absent: those without the client, same shape.
            usual: what was usual; the spread is learned from bands that are judged.
            lanes: which lanes learn.
        """
        slot, own, share = slot_of(hour), hour % _WEEK, usual.mean
        noise = at_work * share * (1.0 - share)
        scale = at_work * (at_work - 1.0).clip(0) * share * (1.0 - share)
        # In large tenants days differ by more than five standard deviations of a coin's.
        usually = np.maximum(noise + self._rho() * scale, 0.2)
        residual = np.minimum((absent - at_work * share) ** 2, _WINSOR * usually)
        take = lanes.astype(float)[:, None]
        fade = np.where(lanes, _FADE_A_VISIT, 1.0)[:, None]
        forget = np.where(lanes[:, None] & usual.known, _FORGET_SPREAD, 1.0)
        told = take * usual.known
        self.at_work[:, :, slot] = self.at_work[:, :, slot] * fade + at_work * take
        self.absent[:, :, slot] = self.absent[:, :, slot] * fade + absent * take
        weekly = np.where(lanes, _FADE_A_WEEK, 1.0)[:, None]
        self.own_at_work[:, :, own] = self.own_at_work[:, :, own] * weekly + at_work * take
        self.own_absent[:, :, own] = self.own_absent[:, :, own] * weekly + absent * take
        self.excess = self.excess * forget + (residual - noise) * told
        self.scale = self.scale * forget + scale * told
        self.hours = self.hours + lanes
