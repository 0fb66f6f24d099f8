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

_DAY: Final = 24
_BINS: Final = 12
_WIDE: Final = 5  # minutes of a bin
_PSEUDO_USERS: Final = 20.0
_FADE_A_DAY: Final = 0.8
_VISITS: Final = 5.0  # 1 / (1 - fade)
_BELIEVED: Final = 9.0  # three standard deviations, squared
_NOTHING: Final = 1e-9

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _bend(
    slot: int,
    smooth: _Floats,
    phi: _Floats,
    level: _Floats,
    counted: _Floats,
    usual: _Floats,
) -> _Floats:
    """The minutes of all lanes in their pattern, shape (lanes, 60)."""
    out = np.empty_like(smooth)
    for lane in range(len(smooth)):
        pseudo = _PSEUDO_USERS * phi[lane]
        before, after = 0.0, 0.0
        for at in range(_BINS):
            known = usual[lane, slot, at] + pseudo
            apart = (counted[lane, slot, at] + pseudo) / known - 1.0
            noise = phi[lane] / known + level[lane] / _VISITS
            sure = min(max(apart**2 / (_BELIEVED * noise) - 1.0, 0.0), 1.0)
            for minute in range(at * _WIDE, (at + 1) * _WIDE):
                out[lane, minute] = smooth[lane, minute] * (1.0 + apart * sure)
                before += smooth[lane, minute]
                after += out[lane, minute]
        for minute in range(_BINS * _WIDE):
            out[lane, minute] *= before / max(after, _NOTHING)
    return out


@_compiled
def _learn(
    slot: int, counts: _Floats, smooth: _Floats, takes: _Bools, counted: _Floats, usual: _Floats
) -> None:
    """Take one hour of all lanes over; ``counted`` and ``usual`` are written."""
    for lane in range(len(takes)):
        if not takes[lane]:
            continue
        came, course = 0.0, 0.0
        for minute in range(_BINS * _WIDE):
            came += counts[lane, minute]
            course += smooth[lane, minute]
        share = came / max(course, _NOTHING)
        for at in range(_BINS):
            came, went = 0.0, 0.0
            for minute in range(at * _WIDE, (at + 1) * _WIDE):
                came += counts[lane, minute]
                went += smooth[lane, minute] * share
            counted[lane, slot, at] = counted[lane, slot, at] * _FADE_A_DAY + came
            usual[lane, slot, at] = usual[lane, slot, at] * _FADE_A_DAY + went


@dataclass(slots=True)
class HourPattern(LaneArrays):
    """Sums behind the factors; arrays of shape (lanes, 24, 12)."""

    counted: _Floats
    usual: _Floats

    @classmethod
    def empty(cls) -> HourPattern:
        """No lane yet."""
        return cls(np.zeros((0, _DAY, _BINS)), np.zeros((0, _DAY, _BINS)))

    def bend(self, hour: int, smooth: _Floats, spread: Figures) -> _Floats:
        """The usual counts of an hour's minutes in its pattern; the hour's sum stays.

        Args:
            hour: hours since 1970.
            smooth: usual counts along the smooth course, shape (lanes, 60).
            spread: how far the counts of the lanes stray.
        """
        return _bend(hour % _DAY, smooth, spread.phi, spread.level, self.counted, self.usual)

    def learn(
        self,
        hour: int,
        counts: _Floats,
        smooth: _Floats,
        lanes: _Bools,
    ) -> None:
        """Take one whole hour over, for the given lanes.

        Args:
            hour: hours since 1970.
            counts: observed counts, shape (lanes, 60).
            smooth: usual counts along the smooth course, same shape.
            lanes: which lanes learn.
        """
        counts = np.ascontiguousarray(counts)
        _learn(hour % _DAY, counts, smooth, lanes, self.counted, self.usual)
