"""One hour of a block as arrays by lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.model.vocabulary import Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.flags import Lane
    from detectors.roster import Roster
    from pipeline.model.vocabulary import OutcomeFamily
    from pipeline.model.window import Cell, WindowBlock

MINUTES = 60


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a group's lanes stand.

    Attributes:
        rows: of the block, shape (lanes,).
        by_family: which lanes watch each family.
        feed: number of each lane's source among those of the tenant, shape (lanes,).
        users: each lane's place among the lanes of users, -1 for none, shape (lanes,).
        kin: a number for each lane, the same for all of one client, shape (lanes,).
    """

    rows: NDArray[np.int64]
    by_family: dict[OutcomeFamily | None, NDArray[np.int64]]
    feed: NDArray[np.int64]
    users: NDArray[np.int64]
    kin: NDArray[np.int64]


class Places:
    """Where the lanes of a roster stand in one block.

    Attributes:
        block: the block.
        row_of: rows of the tenant's cells.
        feeds: a number for each source of the tenant.
        roster: its lanes; more may come while the hours pass.
    """

    def __init__(self, block: WindowBlock, row_of: Mapping[Cell, int], roster: Roster) -> None:
        self.block, self.row_of, self.roster = block, row_of, roster
        feeds = dict.fromkeys((cell.tenant, cell.source) for cell in row_of)
        self.feeds = {feed: at for at, feed in enumerate(feeds)}
        self._known: dict[str, _Places] = {}

    def of(self, group: str) -> _Places:
        """The places of a group's lanes."""
        lanes = self.roster[group].lanes
        known = self._known.get(group)
        if known is None or len(known.rows) != len(lanes):
            known = self._known[group] = self._of(lanes)
        return known

    def _of(self, lanes: Sequence[Lane]) -> _Places:
        users, client = self.roster["users"].index, {c: at for at, c in enumerate(Client)}
        families: dict[OutcomeFamily | None, list[int]] = {}
        for at, lane in enumerate(lanes):
            families.setdefault(lane.family, []).append(at)
        cells = [lane.cell for lane in lanes]
        return _Places(
            rows=np.array([self.row_of[cell] for cell in cells], np.int64),
            by_family={family: np.array(of, np.int64) for family, of in families.items()},
            feed=np.array([self.feeds[cell.tenant, cell.source] for cell in cells], np.int64),
            users=np.array([users.get(cell, -1) for cell in cells], np.int64),
            kin=np.array([client[cell.client] for cell in cells], np.int64),
        )


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
        complete = [self.block.completeness[feed][self._span] for feed in places.feeds]
        self._complete = np.array(complete, float).reshape(-1, MINUTES)

    def users(self, group: str) -> NDArray[np.int64]:
        """Place of each lane among the lanes of users, -1 for none, shape (lanes,)."""
        return self._places.of(group).users

    def kin(self, group: str) -> NDArray[np.int64]:
        """A number for each lane, the same for all of one client, shape (lanes,)."""
        return self._places.of(group).kin

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
        return self._complete.take(self._places.of(group).feed, axis=0)

    def met(self) -> NDArray[np.float64]:
        """Users who newly meet each watched failure code, shape (codes, 60)."""
        lanes = self._places.roster["codes"].lanes
        out = np.zeros((len(lanes), MINUTES))
        for at, lane in enumerate(lanes):
            counted = self.block.codes.get((self._places.row_of[lane.cell], lane.code or 0))
            if counted is not None:
                out[at] = counted[self._span]
        return out
