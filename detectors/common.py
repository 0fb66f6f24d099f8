"""What all clients of a tenant do together: the common factor of the drop signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# The factor looks back one hour; with fewer than this many expected users it leans to 1.
_SHRINK: Final = 10.0
_LOOK_BACK: Final = 60


@dataclass(slots=True)
class CommonFactor:
    """Counts and expectations of the last hour by lane, shape (lanes, 60)."""

    counts: NDArray[np.float64]
    usual: NDArray[np.float64]

    @classmethod
    def empty(cls) -> CommonFactor:
        """No lane yet."""
        return cls(np.zeros((0, _LOOK_BACK)), np.zeros((0, _LOOK_BACK)))

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
        group: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Weighted median over sibling lanes of observed / usual, by minute.

        Args:
            counts: observed, shape (lanes, minutes), at most 60 minutes.
            usual: expected without the factor, same shape.
            judged: lanes and minutes that may serve as a reference, same shape.
            group: lanes with the same number are siblings (one tenant); shape (lanes,).

        Returns:
            The factor of each lane and minute; 1 where no sibling tells.
        """
        minutes = counts.shape[1]
        all_counts = np.concatenate([self.counts, np.where(judged, counts, 0.0)], axis=1)
        all_usual = np.concatenate([self.usual, np.where(judged, usual, 0.0)], axis=1)
        self.counts = all_counts[:, -_LOOK_BACK:]
        self.usual = all_usual[:, -_LOOK_BACK:]
        seen = _trailing(all_counts, minutes)
        mean = _trailing(all_usual, minutes)
        out = np.ones_like(counts)
        for number in np.unique(group):
            mine = np.flatnonzero(group == number)
            out[mine] = _weighted_median(seen[mine], mean[mine])
        return out

    def snapshot(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return {"counts": self.counts.tolist(), "usual": self.usual.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        self.counts = np.array(state["counts"], float).reshape(-1, _LOOK_BACK)
        self.usual = np.array(state["usual"], float).reshape(-1, _LOOK_BACK)


def _trailing(values: NDArray[np.float64], minutes: int) -> NDArray[np.float64]:
    """Sums over the 60 columns ending at each of the last ``minutes`` columns."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    result: NDArray[np.float64] = (
        total[:, -minutes:] - total[:, -minutes - _LOOK_BACK : -_LOOK_BACK]
    )
    return result


def _weighted_median(seen: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over lanes of (seen + k) / (mean + k), weighted by mean; shape (minutes,)."""
    ratio = (seen + _SHRINK) / (mean + _SHRINK)
    order = np.argsort(ratio, axis=0)
    ranked = np.take_along_axis(ratio, order, axis=0)
    weight = np.cumsum(np.take_along_axis(mean, order, axis=0), axis=0)
    half = weight[-1] / 2.0
    at = np.argmax(weight >= half[None, :], axis=0)
    median = np.take_along_axis(ranked, at[None, :], axis=0)[0]
    return np.where(weight[-1] > 0.0, median, 1.0)
