"""What all clients of a tenant do together: the common factor of the drop signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Which siblings behave as most do is read off one hour.
_RANKED: Final = 60
# How far they are from their usual is read off the last 20 minutes, leaning to the last
# hour by 10 expected users, which leans to the last four hours, which lean to 1: a sudden
# change by day is followed at once, a slow one at night too.
_LOOK_BACKS: Final = (240, 60, 20)
_LEAN: Final = 10.0
_LONGEST: Final = max(_LOOK_BACKS)
# Siblings between these shares of the weight, from the most fallen to the most risen: a
# drop of up to two fifths of the tenant's traffic does not pull the factor down with it.
_CENTRE: Final = (0.40, 0.85)
# A lane need not follow its siblings up: machines that poll all day do not.
_HIGHEST: Final = 1.25
# Flagged lanes are no reference, unless less than this share of the traffic is left.
_LEFT: Final = 0.4


@dataclass(slots=True)
class CommonFactor:
    """Counts and expectations of the last four hours by lane, shape (lanes, 240)."""

    counts: NDArray[np.float64]
    usual: NDArray[np.float64]

    @classmethod
    def empty(cls) -> CommonFactor:
        """No lane yet."""
        return cls(np.zeros((0, _LONGEST)), np.zeros((0, _LONGEST)))

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
    ) -> NDArray[np.float64]:
        """Observed over usual of the siblings in the weighted centre, by minute.

        Args:
            counts: observed, shape (lanes, minutes), at most 60 minutes.
            usual: expected without the factor, same shape.
            judged: lanes and minutes that may serve as a reference, same shape.
            flagged: lanes that have fallen already, shape (lanes,).

        Returns:
            The factor by minute, shape (minutes,); 1 where no sibling tells.
        """
        minutes = counts.shape[1]
        all_counts = np.concatenate([self.counts, np.where(judged, counts, 0.0)], axis=1)
        all_usual = np.concatenate([self.usual, np.where(judged, usual, 0.0)], axis=1)
        self.counts = all_counts[:, -_LONGEST:]
        self.usual = all_usual[:, -_LONGEST:]
        if self.usual[~flagged].sum() >= _LEFT * self.usual.sum():
            all_counts, all_usual = all_counts[~flagged], all_usual[~flagged]
        central = _central(
            _trailing(all_counts, minutes, _RANKED), _trailing(all_usual, minutes, _RANKED)
        )
        factor = np.ones(minutes)
        for back in _LOOK_BACKS:
            seen = (_trailing(all_counts, minutes, back) * central).sum(axis=0)
            mean = (_trailing(all_usual, minutes, back) * central).sum(axis=0)
            factor = (seen + _LEAN * factor) / (mean + _LEAN)
        return np.minimum(factor, _HIGHEST)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return {"counts": self.counts.tolist(), "usual": self.usual.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        self.counts = np.array(state["counts"], float).reshape(-1, _LONGEST)
        self.usual = np.array(state["usual"], float).reshape(-1, _LONGEST)


def _trailing(values: NDArray[np.float64], minutes: int, back: int) -> NDArray[np.float64]:
    """Sums over the ``back`` columns ending at each of the last ``minutes`` columns."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    ends = np.arange(total.shape[1] - minutes, total.shape[1])
    result: NDArray[np.float64] = total[:, ends] - total[:, ends - back]
    return result


def _central(seen: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Lanes whose share of the weight, ranked by seen / mean, lies in the centre."""
    ratio = (seen + 1.0) / (mean + 1.0)
    order = np.argsort(ratio, axis=0, kind="stable")
    weight = np.take_along_axis(mean, order, axis=0)
    upper = np.cumsum(weight, axis=0)
    total = weight.sum(axis=0)
    inside = (upper > _CENTRE[0] * total) & (upper - weight < _CENTRE[1] * total)
    central = np.zeros(seen.shape, dtype=bool)
    np.put_along_axis(central, order, inside, axis=0)
    return central
