"""One hour of a block as arrays by lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from detectors.flags import Lane
    from detectors.roster import Roster
    from pipeline.model.window import Cell, WindowBlock

MINUTES = 60


class Hour:
    """Counts and completeness of an hour's minutes, in the order of a roster's lanes.

    Attributes:
        block: where it lies.
        minute: its first minute, since 1970.
    """

    def __init__(
        self, block: WindowBlock, row_of: Mapping[Cell, int], roster: Roster, number: int
    ) -> None:
        self.block = block
        self.minute = int(block.start.timestamp()) // 60 + number * MINUTES
        self._row_of = row_of
        self._roster = roster
        self._span = slice(number * MINUTES, (number + 1) * MINUTES)

    def counts(self, group: str, column: str) -> NDArray[np.float64]:
        """A column of the windows for each lane of a group, shape (lanes, 60).

        ``{family}`` in its name stands for the family the lane watches.
        """

        def counted(lane: Lane) -> Any:
            name = column.format(family=lane.family)
            return self.block.counts[name][self._row_of[lane.cell], self._span]

        return self._by_lane(group, counted)

    def completeness(self, group: str) -> NDArray[np.float64]:
        """Share of the records that can have arrived, shape (lanes, 60)."""
        told = self.block.completeness
        return self._by_lane(
            group, lambda lane: told[lane.cell.tenant, lane.cell.source][self._span]
        )

    def met(self) -> NDArray[np.float64]:
        """Users who newly meet each watched failure code, shape (codes, 60)."""

        def counted(lane: Lane) -> Any:
            found = self.block.codes.get((self._row_of[lane.cell], lane.code or 0))
            return 0.0 if found is None else found[self._span]

        return self._by_lane("codes", counted)

    def _by_lane(self, group: str, values: Callable[[Lane], Any]) -> NDArray[np.float64]:
        lanes = self._roster[group].lanes
        out = np.zeros((len(lanes), MINUTES))
        for at, lane in enumerate(lanes):
            out[at] = values(lane)
        return out
