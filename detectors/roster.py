"""Which lanes a tenant has, by group, in the order in which their cells were met."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from detectors.flags import Lane
from detectors.moves import is_watched
from pipeline.model.vocabulary import Client, OutcomeFamily, Service, Signal, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.model.window import Cell, WindowBlock

SIGN_INS: Final = (Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE)
GROUPS: Final = ("failures", "retries", "codes", "users", "volume", "shifts")


@dataclass(slots=True)
class Group:
    """Lanes of one kind; ``index`` finds a lane by its key."""

    lanes: list[Lane] = field(default_factory=list)
    index: dict[Any, int] = field(default_factory=dict)

    def add(self, key: Any, lane: Lane) -> bool:
        """Add a lane, and tell whether it is new."""
        if key in self.index:
            return False
        self.index[key] = len(self.lanes)
        self.lanes.append(lane)
        return True


class Roster:
    """The lanes of one tenant, by the names of GROUPS."""

    def __init__(self, family_of_code: Mapping[int, OutcomeFamily]) -> None:
        self.groups = {name: Group() for name in GROUPS}
        self._family_of_code = family_of_code

    def __getitem__(self, group: str) -> Group:
        """The lanes of a group."""
        return self.groups[group]

    def lanes(self) -> dict[str, Sequence[Lane]]:
        """All lanes, by group."""
        return {name: group.lanes for name, group in self.groups.items()}

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Add the lanes of cells."""
        for cell in cells:
            # Baskets of unlike things have no level of their own.
            named = cell.client is not Client.OTHER
            if named and cell.service is not Service.OTHER:
                self._add("users", cell, Lane(cell, Signal.ACTIVE_USERS, "volume_drop"))
            if named and cell.source is Source.EXCHANGE_AUDIT:
                self._add("volume", cell, Lane(cell, Signal.ACCESS_VOLUME, "volume_drop"))
            if is_watched(cell):
                self._add("shifts", cell, Lane(cell, Signal.CLIENT_SHIFT, "client_shift"))
            if cell.source not in SIGN_INS:
                continue
            self._add("retries", cell, Lane(cell, Signal.RETRY_PRESSURE, "retry_pressure"))
            for family in OutcomeFamily:
                lane = Lane(cell, Signal.FAILURE_RATE, "failure_spike", family)
                self._add("failures", (cell, family), lane)

    def add_codes(self, block: WindowBlock, rows: Iterable[int], end: int) -> list[tuple[int, int]]:
        """Add the lanes of failure codes, and tell of each new one which lane it is part of.

        Args:
            block: where the codes are counted.
            rows: the tenant's rows of it.
            end: codes first met in this minute of the block or later are left out, so
                that hours may come one by one or by the day.

        Returns:
            Index of the code's lane, and of the lane of its family among the failures.
        """
        mine = set(rows)
        known = self.groups["codes"].index
        new = []
        for row, code in sorted(block.codes):
            cell = block.cells[row]
            if row not in mine or cell.source not in SIGN_INS:
                continue
            if (cell, code) in known or not block.codes[row, code][:end].any():
                continue
            family = self._family_of_code.get(code, OutcomeFamily.SERVICE)
            if family is OutcomeFamily.CREDENTIAL:
                continue  # people mistype every day; their rate is watched, not the code
            lane = Lane(cell, Signal.NEW_ERROR, "new_error_code", family, code)
            if self._add("codes", (cell, code), lane):
                whole = self.groups["failures"].index[cell, family]
                new.append((len(self.groups["codes"].lanes) - 1, whole))
        return new

    def _add(self, group: str, key: Any, lane: Lane) -> bool:
        return self.groups[group].add(key, lane)
