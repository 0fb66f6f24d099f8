"""The joint evidence of a tenant's lanes: which belong together, and what it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from detectors.account import Account, account_of
from detectors.joint import FIRST_NAMES, LATER_NAMES, JointLanes, Membership
from pipeline.model.vocabulary import CLIENT_FAMILIES, FINER_CLIENTS, Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.evidence import Change, Evidence
    from detectors.flags import Lane
    from detectors.gate import LearningGate

# One source's coarse client is the same people as another's fine one.
_COARSE: Final = {fine: coarse for coarse, all_ in FINER_CLIENTS.items() for fine in all_}
_LINE: Final = {client: name for name, all_ in CLIENT_FAMILIES.items() for client in all_}
# Who turns up is one sign of a client, what goes wrong for those who do is another.
_PRESENCE: Final = (Signal.ACTIVE_USERS, Signal.ACCESS_VOLUME, Signal.CLIENT_SHIFT)
# How much each group says within its unit: a shift is held against a narrower null than a
# drop, and accesses say what users say, later.
_SAY: Final = {"shifts": 3.0, "volume": 0.1}


class Part(Protocol):
    """Lanes of one kind, as the joint evidence sees them."""

    evidence: Evidence
    gate: LearningGate
    gain: NDArray[np.float64]

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes are judged."""
        ...


class Together:
    """Adds up the lanes of a tenant every hour, and opens flags on those that carry it."""

    def __init__(self) -> None:
        self.evidence = JointLanes()
        self._opened: dict[tuple[str, int], tuple[Lane, ...]] = {}
        self._accounts: dict[tuple[str, int], Account] = {}
        self._over: list[tuple[str, int]] = []
        self._unit: dict[str, list[int]] = {}
        self._units: dict[tuple[str, bool], int] = {}
        self._lines: dict[tuple[str, bool], int] = {}
        self._line: list[int] = []
        self._members: tuple[bytes, Membership] | None = None

    def advance(
        self,
        minute: int,
        parts: Mapping[str, Part],
        lanes: Mapping[str, Sequence[Lane]],
        threshold: float,
    ) -> list[tuple[str, Change]]:
        """Take one hour over, after all parts have.

        Args:
            minute: last of the hour, since 1970.
            parts: the groups of lanes, always in one order.
            lanes: what they watch.
            threshold: alarm level of the joint score.

        Returns:
            The group and the change of each flag opened.
        """
        self.evidence.advance({name: part.gain for name, part in parts.items()})
        for name, lane in self._over:
            self.evidence.forget(name, lane)
        self._over = []
        amiss = any(bool(part.evidence.is_open.any()) for part in parts.values())
        wrong = LATER_NAMES if amiss else FIRST_NAMES
        members = self.members(parts, lanes)
        standing = self.evidence.standing(members, wrong)
        if standing.score < threshold:
            return []
        places = [(name, at) for name, part in parts.items() for at in range(len(part.gain))]
        found = [places[at] for at in np.flatnonzero(standing.carriers).tolist()]
        carriers = tuple(lanes[name][at] for name, at in found)
        fresh = [(name, lane) for name, lane in found if not parts[name].evidence.is_open[lane]]
        if not fresh:
            return []
        account = account_of(standing, members, [lanes[name][at] for name, at in places])
        opened = []
        for name, lane in fresh:
            part = parts[name]
            opened.append((name, part.evidence.open(lane, minute, standing.score)))
            part.gate.watch(part.evidence, [lane])
            self._opened[name, lane] = carriers
            self._accounts[name, lane] = account
        return opened

    def carriers(self, group: str, change: Change) -> tuple[Lane, ...]:
        """The lanes that opened a flag jointly, empty if it rose alone.

        Nobody could know before the slowest of their sources had told. Once the flag has
        closed, its lane's evidence is forgotten.
        """
        key = (group, change.lane)
        if change.opened:
            return self._opened.get(key, ())
        self._over.append(key)
        return self._opened.pop(key, ())

    def account(self, group: str, change: Change) -> Account | None:
        """How the score that has just opened a flag is made up; None if its lane rose alone."""
        return self._accounts.pop((group, change.lane), None) if change.opened else None

    def members(self, parts: Mapping[str, Part], lanes: Mapping[str, Sequence[Lane]]) -> Membership:
        """Units by client and kind of sign; the lanes of a group share its say in the unit."""
        for name in parts:
            known = self._unit.setdefault(name, [])
            if len(known) < len(lanes[name]):
                known.extend(self._unit_of(lane) for lane in lanes[name][len(known) :])
                self._members = None
        warm = np.concatenate([part.warm() for part in parts.values()])
        # Lanes come in the first days and warm up together: most hours are like the last.
        if self._members is None or self._members[0] != warm.tobytes():
            self._members = warm.tobytes(), self._membership(parts, warm.astype(float))
        return self._members[1]

    def _membership(self, parts: Mapping[str, Part], judged: NDArray[np.float64]) -> Membership:
        unit = np.array([at for name in parts for at in self._unit[name]], np.int64)
        group = np.repeat(np.arange(len(parts)), [len(self._unit[name]) for name in parts])
        alike = np.zeros((len(parts), len(self._line)))
        np.add.at(alike, (group, unit), judged)
        say = np.array([_SAY.get(name, 1.0) for name in parts])[group]
        share = say * judged / np.maximum(alike[group, unit], 1.0)
        return Membership.of(unit, np.array(self._line, np.int64), share)

    def _unit_of(self, lane: Lane) -> int:
        client = _COARSE.get(lane.cell.client, lane.cell.client)
        presence = lane.signal in _PRESENCE
        key = (client, presence)
        if key not in self._units:
            self._units[key] = len(self._units)
            line = (_LINE.get(client, client), presence)
            self._line.append(self._lines.setdefault(line, len(self._lines)))
        return self._units[key]
