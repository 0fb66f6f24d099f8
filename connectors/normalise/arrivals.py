"""When records became available to us, where what carried them tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Arrivals:
    """Moments of arrival, kept as the few records at which they change."""

    def __init__(self) -> None:
        self._ordinals: list[int] = []
        self._moments: list[int] = []

    def mark(self, ordinal: int, moment: int) -> None:
        """Say that the records from ``ordinal`` on arrived at ``moment``, us since 1970.

        0 = nothing is known of these but what they tell themselves.
        """
        self._ordinals.append(ordinal)
        self._moments.append(moment)

    def over(self, received: NDArray[np.int64], at: Sequence[int]) -> NDArray[np.int64]:
        """``received`` with the moments known here in place of what the records tell.

        Args:
            received: microseconds since 1970, 0 where a record tells nothing.
            at: ordinals of the records, in order.
        """
        if not self._ordinals:
            return received
        place = np.searchsorted(np.array(self._ordinals), np.array(at, np.int64), "right") - 1
        known = np.where(place >= 0, np.array(self._moments, np.int64)[place], 0)
        return np.where(known > 0, known, received)

    def forget(self) -> None:
        """Keep only what is needed for the records to come."""
        del self._ordinals[:-1], self._moments[:-1]
