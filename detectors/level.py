"""How the level of a lane wanders within hours, and what a drop would look like beside it.

A minute's count is negative binomial around ``usual * level``, where the level is a
first-order autoregression around 1 (relative variance ``spread``, moved each minute by
``wander``). It is followed by a Kalman filter on the relative scale, as a sensor would be
(Harvey 1989, section 3.2; the count takes the place of the reading, its relative variance
phi / mean that of the sensor's noise). The law of the next minute,

    NB(mean = usual * level,  variance = phi * mean + mean^2 * P),

with P the variance of the filtered level, is what the count is held against: a slow drift
is followed and surprises nobody, a sudden fall does.

Each alternative follows a level of its own on the understanding that only ``remains`` of it
shows. Its level before the change is the null's; how much of it has left the null is the
odds that the change has begun already, R / (1 + R): the two possibilities are merged into
one mean, as interacting multiple models do (Blom and Bar-Shalom 1988). An alternative may
predict as it likes, as long as it looks at the past only: E[exp(llr)] stays 1 under the
null, and with it the promise of the Shiryaev-Roberts statistic.

While a flag is open the level is not followed: it goes back to 1 from where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.arrays import LaneArrays
from detectors.kalman import ASLEEP, follow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is known of consecutive minutes of one hour.

    Attributes:
        usual: usual counts, shape (lanes, minutes).
        counts: the counts, same shape.
        others, others_usual: sums of the siblings, same shape; 0 where there are none.
        judged: which minutes count, same shape.
        phi: variance of a count over its mean, shape (lanes,).
        spread: relative variance of the lane's own level at rest, shape (lanes,).
        wander: relative variance that a minute adds to it, shape (lanes,).
        slope: relative change of the usual counts in an hour, shape (lanes,).
    """

    usual: NDArray[np.float64]
    counts: NDArray[np.float64]
    others: NDArray[np.float64]
    others_usual: NDArray[np.float64]
    judged: NDArray[np.bool_]
    phi: NDArray[np.float64]
    spread: NDArray[np.float64]
    wander: NDArray[np.float64]
    slope: NDArray[np.float64]

    def pick(self, lanes: NDArray[np.int64], span: slice) -> Stretch:
        """The same for some lanes and minutes."""
        return Stretch(
            self.usual[lanes, span],
            self.counts[lanes, span],
            self.others[lanes, span],
            self.others_usual[lanes, span],
            self.judged[lanes, span],
            self.phi[lanes],
            self.spread[lanes],
            self.wander[lanes],
            self.slope[lanes],
        )


@dataclass(frozen=True, slots=True)
class Told:
    """The laws of some minutes and what the counts say.

    Attributes:
        null: mean counts without a change, shape (lanes, minutes).
        alternatives: mean counts under each change, shape (lanes, alternatives, minutes).
        spread: variance over mean of the null, shape (lanes, minutes).
        common: level that the siblings tell, shape (lanes, minutes).
        llr: log-likelihood ratios, shape (lanes, alternatives, minutes).
    """

    null: NDArray[np.float64]
    alternatives: NDArray[np.float64]
    spread: NDArray[np.float64]
    common: NDArray[np.float64]
    llr: NDArray[np.float64]

    def pick(self, lanes: NDArray[np.int64]) -> Told:
        """The same for some lanes."""
        return Told(
            self.null[lanes],
            self.alternatives[lanes],
            self.spread[lanes],
            self.common[lanes],
            self.llr[lanes],
        )


@dataclass(slots=True)
class LevelFilter(LaneArrays):
    """Filtered levels of all lanes.

    Attributes:
        busiest: usual count of the siblings in their busiest minute of late, shape (lanes,).
        common: level of the siblings, shape (lanes,).
        surprise: faded sum of their standardised innovations, shape (lanes,).
        level: the lane's own under the null, shape (lanes,).
        others: the same under the alternatives, shape (lanes, alternatives).
        p_common, p_both, p_level: their relative (co)variances, shape (lanes,).
        held: lanes whose flag is open, shape (lanes,).
    """

    busiest: NDArray[np.float64]
    common: NDArray[np.float64]
    surprise: NDArray[np.float64]
    level: NDArray[np.float64]
    others: NDArray[np.float64]
    p_common: NDArray[np.float64]
    p_both: NDArray[np.float64]
    p_level: NDArray[np.float64]
    held: NDArray[np.bool_]

    @classmethod
    def empty(cls, alternatives: int) -> LevelFilter:
        """No lane yet."""
        none = np.zeros(0)
        wide = np.zeros((0, alternatives))
        return cls(none, none, none, none, wide, none, none, none, np.zeros(0, bool))

    def sync(self, evidence: Evidence, spread: NDArray[np.float64]) -> None:
        """Hold lanes whose flag has opened at the level before it; let go of those closed.

        Lanes met for the first time begin at their usual level.
        """
        fresh = self.p_level == 0.0
        turned = fresh | (evidence.is_open != self.held)
        if not turned.any():
            return
        opened = np.flatnonzero(evidence.is_open & ~self.held)
        self.level[opened] = self.others[opened, evidence.winner[opened]]
        self.level[fresh] = 1.0
        self.common[fresh] = 1.0
        self.p_level[turned] = spread[turned]
        self.p_both[turned] = 0.0
        self.others[turned] = self.level[turned, None]
        self.held = evidence.is_open.copy()

    def asleep(self, others_usual: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where the siblings are too few to tell, shape (lanes, minutes); never if none are."""
        asleep: NDArray[np.bool_] = others_usual < ASLEEP * self.busiest[:, None]
        return asleep

    def follow(self, hour: Stretch, remains: NDArray[np.float64], r: NDArray[np.float64]) -> Told:
        """Take minutes in; ``r`` is R of each alternative before them.

        The lanes of ``hour`` are those of the filter.
        """
        lanes, minutes = hour.usual.shape
        narrow, wide = (lanes, minutes), (lanes, len(remains), minutes)
        told = Told(*(np.empty(shape) for shape in (narrow, wide, narrow, narrow, wide)))
        follow(
            (hour.usual, hour.counts, hour.others, hour.others_usual),
            hour.judged,
            (hour.phi, hour.spread, hour.wander, hour.slope),
            remains,
            r.copy(),
            (
                self.busiest,
                self.common,
                self.surprise,
                self.level,
                self.p_common,
                self.p_both,
                self.p_level,
            ),
            self.others,
            self.held,
            (told.null, told.spread, told.common),
            (told.alternatives, told.llr),
        )
        return told
