"""One hour of a block as arrays by lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.flags import Lane
    from detectors.roster import Roster
    from pipeline.model.window import Cell, WindowBlock

MINUTES = 60


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a group's lanes stand: row of the block, and which lanes share what."""

    rows: NDArray[np.int64]
    by_family: dict[Hashable, NDArray[np.int64]]
    by_feed: dict[Hashable, NDArray[np.int64]]


class Places:
    """Where the lanes of a roster stand in one block.

    Attributes:
        block: the block.
        row_of: rows of the tenant's cells.
        roster: its lanes; more may come while the hours pass.
    """

    def __init__(self, block: WindowBlock, row_of: Mapping[Cell, int], roster: Roster) -> None:
        self.block, self.row_of, self.roster = block, row_of, roster
        self._known: dict[str, _Places] = {}

    def of(self, group: str) -> _Places:
        """The places of a group's lanes."""
        lanes = self.roster[group].lanes
        known = self._known.get(group)
        if known is None or len(known.rows) != len(lanes):
            known = self._known[group] = _Places(
                np.array([self.row_of[lane.cell] for lane in lanes], np.int64),
                _alike(lanes, lambda lane: lane.family),
                _alike(lanes, lambda lane: (lane.cell.tenant, lane.cell.source)),
            )
        return known


def _alike(
    lanes: Sequence[Lane], key: Callable[[Lane], Hashable]
) -> dict[Hashable, NDArray[np.int64]]:
    found: dict[Hashable, list[int]] = {}
    for at, lane in enumerate(lanes):
        found.setdefault(key(lane), []).append(at)
    return {k: np.array(v, np.int64) for k, v in found.items()}


class Hour:
    """Counts and completeness of an hour's minutes, in the order of a roster's lanes.

    Attributes:
        block: where it lies.
        minute: its first minute, since 1970.
    """

    def __init__(self, places: Places, number: int) -> None:
        self.block = places.block
        self.minute = int(self.block.start.timestamp()) // 60 + number * MINUTES
        self._places = places
        self._span = slice(number * MINUTES, (number + 1) * MINUTES)

    def counts(self, group: str, column: str) -> NDArray[np.float64]:
        """A column of the windows for each lane of a group, shape (lanes, 60).

        ``{family}`` in its name stands for the family the lane watches.
        """
        places = self._places.of(group)
        out = np.zeros((len(places.rows), MINUTES))
        for family, lanes in places.by_family.items():
            counted = self.block.counts[column.format(family=family)]
            out[lanes] = counted[places.rows[lanes], self._span]
        return out

    def completeness(self, group: str) -> NDArray[np.float64]:
        """Share of the records that can have arrived, shape (lanes, 60)."""
        places = self._places.of(group)
        out = np.zeros((len(places.rows), MINUTES))
        for feed, lanes in places.by_feed.items():
            out[lanes] = self.block.completeness[feed][self._span]  # type: ignore[index] # (tenant, source)
        return out

    def met(self) -> NDArray[np.float64]:
        """Users who newly meet each watched failure code, shape (codes, 60)."""
        lanes = self._places.roster["codes"].lanes
        out = np.zeros((len(lanes), MINUTES))
        for at, lane in enumerate(lanes):
            counted = self.block.codes.get((self._places.row_of[lane.cell], lane.code or 0))
            if counted is not None:
                out[at] = counted[self._span]
        return out
