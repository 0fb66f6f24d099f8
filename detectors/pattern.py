"""In which five minutes of an hour its people come: the pattern of scheduled work.

Machines come by the clock: all that poll every ten minutes begin anew at midnight, mail is
fetched at the full hour. A smooth course through the hours misses that, and the more
accounts a lane has the surer it is that half of them are gone. Per hour of the day,

    factor(bin) = (counted + k) / (usual + k),    k = 20 users * phi

over twelve bins, with ``usual`` the hour's count spread along the smooth course, so that only
the shape is learned and never the height. A level that wanders bends an hour too, and means
nothing the next day: with v the variance that counting and the level leave to the factor, of
its distance d from 1 there counts

    d * clip(d^2 / 9v - 1, 0, 1)

so that what lies within three standard deviations is none, and from 4.2 on all of it. A day fades by
a fifth a day, so that a clock change is followed. Lanes of few or of bursty people keep a
factor near 1. Hours are learned even if a flag was raised in them, as long as it has closed by their
end: a pattern that was refused would be refused for ever, after a clock change for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAY: Final = 24
_BINS: Final = 12
_HOUR: Final = 60
_PSEUDO_USERS: Final = 20.0
_FADE_A_DAY: Final = 0.8
_VISITS: Final = 5.0  # 1 / (1 - fade)
_BELIEVED: Final = 9.0  # three standard deviations, squared


@dataclass(slots=True)
class HourPattern(LaneArrays):
    """Sums behind the factors; arrays of shape (lanes, 24, 12)."""

    counted: NDArray[np.float64]
    usual: NDArray[np.float64]

    @classmethod
    def empty(cls) -> HourPattern:
        """No lane yet."""
        return cls(np.zeros((0, _DAY, _BINS)), np.zeros((0, _DAY, _BINS)))

    def bend(
        self,
        hour: int,
        smooth: NDArray[np.float64],
        phi: NDArray[np.float64],
        level: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The usual counts of an hour's minutes in its pattern; the hour's sum stays.

        Args:
            hour: hours since 1970.
            smooth: usual counts along the smooth course, shape (lanes, 60).
            phi: variance of a count over its mean, shape (lanes,).
            level: relative variance of the lane's level, shape (lanes,).
        """
        slot, pseudo = hour % _DAY, _PSEUDO_USERS * phi[:, None]
        known = self.usual[:, slot] + pseudo
        apart = (self.counted[:, slot] + pseudo) / known - 1.0
        noise = phi[:, None] / known + level[:, None] / _VISITS
        sure = within(apart**2 / (_BELIEVED * noise) - 1.0, 0.0, 1.0)
        factor = 1.0 + apart * sure
        bent = smooth * np.repeat(factor, _HOUR // _BINS, axis=1)
        whole = smooth.sum(axis=1) / np.maximum(bent.sum(axis=1), 1e-9)
        out: NDArray[np.float64] = bent * whole[:, None]
        return out

    def learn(
        self,
        hour: int,
        counts: NDArray[np.float64],
        smooth: NDArray[np.float64],
        lanes: NDArray[np.bool_],
    ) -> None:
        """Take one whole hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            counts: observed counts, shape (lanes, 60).
            smooth: usual counts along the smooth course, same shape.
            lanes: which lanes learn.
        """
        slot = hour % _DAY
        share = smooth / np.maximum(smooth.sum(axis=1, keepdims=True), 1e-9)
        spread = share * counts.sum(axis=1, keepdims=True)
        fade = np.where(lanes, _FADE_A_DAY, 1.0)[:, None]
        for sums, values in ((self.counted, counts), (self.usual, spread)):
            bins = values.reshape(-1, _BINS, _HOUR // _BINS).sum(axis=2)
            sums[:, slot] = sums[:, slot] * fade + bins * lanes[:, None]
