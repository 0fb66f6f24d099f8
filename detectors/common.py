"""What the other clients of a tenant do in the same minutes, for each client.

A holiday, a late Monday or a clock change moves all clients of a tenant, an outage does not.
Each lane is therefore told the sums of its siblings, observed and usual, without itself. Of
the siblings only the central ones speak: ranked by how far they are from their usual, those
between 40 and 85 % of the weight, so that an outage of up to two fifths of the other
traffic does not pull the sums down with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Bools = NDArray[np.bool_]
    _Ints = NDArray[np.int64]

# Ranks are read off the last hour, anew every quarter of an hour.
_RANKED: Final = 60
_STEP: Final = 15
_CENTRE: Final = 0.6
_PHI: Final = 2.0
_SPREAD: Final = 0.1
_FAR: Final = 3.0
# Flagged lanes are no reference, unless less than this share of the traffic is left.
_LEFT: Final = 0.4
_NOTHING: Final = 1e-9

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _most(lane: int, usual: _Floats, kin: _Ints) -> float:
    """The most that a sibling may weigh: one large one speaks for no more than all others."""
    largest, second, whole = 0.0, 0.0, 0.0
    for other in range(len(usual)):
        if kin[other] != kin[lane]:
            whole += usual[other]
            second = max(second, min(largest, usual[other]))
            largest = max(largest, usual[other])
    rest = whole - largest
    return max(rest / 2.0, second) if rest > 0.0 else largest


@_compiled
def _centre(order: _Ints, ratio: _Floats, weight: _Floats) -> float:
    """The ratio below which lies the central share of the weight; ``order`` sorts ratios."""
    whole, upper, centre = 0.0, 0.0, 0.0
    for other in order:
        whole += weight[other]
    for other in order:
        upper += weight[other]
        centre = ratio[other]
        if upper >= _CENTRE * whole:
            break
    return centre


@_compiled
def _central(ratios: _Floats, orders: _Ints, mean: _Floats, kin: _Ints) -> _Floats:
    """Weight of the lane of the column as a sibling of the lane of the row, 0..1.

    ``ratios`` of what was seen to what is usual, the ``orders`` that sort them, and the usual
    ``mean`` have shape (quarters, lanes); returns (quarters, lanes, lanes).
    """
    quarters, lanes = mean.shape
    central, weight = np.zeros((quarters, lanes, lanes)), np.zeros(lanes)
    for quarter in range(quarters):
        usual, ratio = mean[quarter], ratios[quarter]
        for lane in range(lanes):
            most = _most(lane, usual, kin)
            for other in range(lanes):
                weight[other] = min(usual[other], most) if kin[other] != kin[lane] else 0.0
            centre = _centre(orders[quarter], ratio, weight)
            for other in range(lanes):
                if weight[other] <= 0.0:
                    continue
                noise = _PHI / max(usual[other] * centre, _NOTHING) + _SPREAD**2
                if abs(math.log(ratio[other] / centre)) < _FAR * math.sqrt(noise):
                    central[quarter, lane, other] = weight[other] / usual[other]
    return central


@dataclass(slots=True)
class Siblings:
    """Counts and expectations of the last hour by lane, shape (lanes, 60)."""

    counts: _Floats
    usual: _Floats

    @classmethod
    def empty(cls) -> Siblings:
        """No lane yet."""
        return cls(np.zeros((0, _RANKED)), np.zeros((0, _RANKED)))

    def grow(self, lanes: int) -> None:
        """Add silent lanes until there are ``lanes``."""
        pad = ((0, max(lanes - len(self.counts), 0)), (0, 0))
        self.counts = np.pad(self.counts, pad)
        self.usual = np.pad(self.usual, pad)

    def advance(
        self,
        counts: _Floats,
        usual: _Floats,
        judged: _Bools,
        flagged: _Bools,
        kin: _Ints | None = None,
    ) -> tuple[_Floats, _Floats]:
        """Sums over the central siblings of each lane, observed and usual.

        Args:
            counts: observed in one whole hour, shape (lanes, 60).
            usual: expected, same shape.
            judged: lanes and minutes that may serve as a reference, same shape.
            flagged: lanes that have fallen already, shape (lanes,).
            kin: lanes of the same number tell of the same client and are no siblings,
                shape (lanes,); every lane is a client of its own if not given.

        Returns:
            Two arrays of shape (lanes, 60); 0 where no sibling tells.
        """
        counts, usual = np.where(judged, counts, 0.0), np.where(judged, usual, 0.0)
        all_counts = np.concatenate([self.counts, counts], axis=1)
        all_usual = np.concatenate([self.usual, usual], axis=1)
        self.counts, self.usual = counts, usual
        kin = np.arange(len(counts)) if kin is None else kin
        speaks = np.ones(len(counts))
        if all_usual[~flagged].sum() >= _LEFT * all_usual.sum():
            speaks = np.where(flagged, 0.0, 1.0)
        seen, mean = _last_hour(all_counts) * speaks, _last_hour(all_usual) * speaks
        ratios = (seen + 1.0) / (mean + 1.0)
        central = _central(ratios, np.argsort(ratios, axis=1, kind="stable"), mean, kin)
        return _over(central, counts), _over(central, usual)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return {"counts": self.counts.tolist(), "usual": self.usual.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        self.counts = np.array(state["counts"], float).reshape(-1, _RANKED)
        self.usual = np.array(state["usual"], float).reshape(-1, _RANKED)


def _last_hour(values: _Floats) -> _Floats:
    """Sums over the hour before each quarter of the second hour; shape (quarters, lanes)."""
    spans = range(0, _RANKED, _STEP)
    return np.array([values[:, at : at + _RANKED].sum(axis=1) for at in spans])


def _over(central: _Floats, values: _Floats) -> _Floats:
    """Weighted sums over the siblings of each lane; shape (lanes, 60) as ``values``."""
    quarters = values.reshape(len(values), -1, _STEP).transpose(1, 0, 2)
    out: _Floats = np.matmul(central, quarters).transpose(1, 0, 2)
    return out.reshape(values.shape)
