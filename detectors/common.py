"""What the other clients of a tenant do in the same minutes, for each client.

A holiday, a late Monday or a clock change moves all clients of a tenant, an outage does not.
Each lane is therefore told the sums of its siblings, observed and usual, without itself. Of
the siblings only the central ones speak: ranked by how far they are from their usual, those
between 40 and 85 % of the weight, so that an outage of up to two fifths of the other
traffic does not pull the sums down with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Ranks are read off the last hour, anew every quarter of an hour.
_RANKED: Final = 60
_STEP: Final = 15
_CENTRE: Final = 0.6
_PHI: Final = 2.0
_SPREAD: Final = 0.1
_FAR: Final = 3.0
# Flagged lanes are no reference, unless less than this share of the traffic is left.
_LEFT: Final = 0.4


@dataclass(slots=True)
class Siblings:
    """Counts and expectations of the last hour by lane, shape (lanes, 60)."""

    counts: NDArray[np.float64]
    usual: NDArray[np.float64]

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
        counts: NDArray[np.float64],
        usual: NDArray[np.float64],
        judged: NDArray[np.bool_],
        flagged: NDArray[np.bool_],
        kin: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
        central = _central(_last_hour(all_counts) * speaks, _last_hour(all_usual) * speaks, kin)
        return _over(central, counts), _over(central, usual)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return {"counts": self.counts.tolist(), "usual": self.usual.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        self.counts = np.array(state["counts"], float).reshape(-1, _RANKED)
        self.usual = np.array(state["usual"], float).reshape(-1, _RANKED)


def _last_hour(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the hour before each quarter of the second hour; shape (quarters, lanes)."""
    spans = range(0, _RANKED, _STEP)
    return np.array([values[:, at : at + _RANKED].sum(axis=1) for at in spans])


def _over(central: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sums over the siblings of each lane; shape (lanes, 60) as ``values``."""
    quarters = values.reshape(len(values), -1, _STEP).transpose(1, 0, 2)
    out: NDArray[np.float64] = np.matmul(central, quarters).transpose(1, 0, 2)
    return out.reshape(values.shape)


def _central(
    seen: NDArray[np.float64], mean: NDArray[np.float64], kin: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weight of the lane of the column as a sibling of the lane of the row, 0..1.

    ``seen`` and ``mean`` have shape (quarters, lanes); returns (quarters, lanes, lanes).
    """
    lanes = len(kin)
    ratio = (seen + 1.0) / (mean + 1.0)
    order = np.argsort(ratio, axis=1, kind="stable")
    ratio, mean = np.take_along_axis(ratio, order, 1), np.take_along_axis(mean, order, 1)
    # Axes from here on: quarters, the lane told, its siblings by rank.
    ranked = np.where(kin[:, None] == kin[order][:, None, :], 0.0, mean[:, None, :])
    largest = ranked.max(axis=2, keepdims=True)
    second = np.partition(ranked, -2, axis=2)[:, :, -2:-1] if lanes > 1 else largest
    rest = ranked.sum(axis=2, keepdims=True) - largest
    most = np.where(rest > 0.0, np.maximum(rest / 2.0, second), largest)
    weight = np.minimum(ranked, most)
    upper = np.cumsum(weight, axis=2)
    at = np.argmax(upper >= _CENTRE * upper[:, :, -1:], axis=2)
    centre = np.take_along_axis(ratio, at, 1)[:, :, None]
    noise = np.sqrt(_PHI / np.maximum(mean[:, None, :] * centre, 1e-9) + _SPREAD**2)
    inside = np.abs(np.log(ratio[:, None, :] / centre)) < _FAR * noise
    central = np.zeros(inside.shape)
    said = np.where(inside, weight / np.maximum(ranked, 1e-9), 0.0)
    np.put_along_axis(central, order[:, None, :], said, 2)
    return central
