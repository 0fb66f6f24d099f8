"""All lanes of one tenant, an hour of minutes at a time: windows in, flags out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.budget import JOINT_SHARE, threshold
from detectors.common import Siblings
from detectors.drop import DropLanes, DropSettings
from detectors.failure import FailureLanes, FailureSettings
from detectors.flags import flag_of
from detectors.hour import MINUTES, Hour, Places
from detectors.moves import Moves, sightings
from detectors.roster import GROUPS, Roster
from detectors.shift import ShiftSettings, in_hours
from detectors.single import NEW_ERROR_SETTINGS, RETRY_SETTINGS
from detectors.timeline import Timeline
from detectors.together import Together
from detectors.trace import KEPT_HOURS, Trace
from pipeline.model.vocabulary import OUTCOME_FAMILIES, Client, OutcomeFamily

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.evidence import Change
    from detectors.flags import Lane
    from detectors.moves import Sighting
    from detectors.shift import ShiftLanes
    from pipeline.model.flag import Flag
    from pipeline.model.window import Cell, WindowBlock

# Completeness below which a minute shows nothing, and from which it shows all that matters.
_BLIND: Final = 0.05
_WHOLE: Final = 0.9
# Accesses come in bursts of one user's, and their drop says the same as the drop of users: it
# need not tell a mild one, and what a day of a kind met once says is doubted more.
VOLUME_SETTINGS: Final = DropSettings(
    remains=(0.3, 0.02), bursts=4.0, credit=0.0, novelty=0.7, least_hourly=20.0
)


@dataclass(frozen=True, slots=True)
class BankSettings:
    """Knobs of the bank.

    Attributes:
        false_pages_per_month: budget over all lanes of a tenant.
        family_of_code: outcome family of each known failure code; others are ``service``.
        warm_hours: hours a level must have been learned before a drop is judged.
        trace_hours: hours of evidence kept for flags that may rise.
    """

    false_pages_per_month: float
    family_of_code: Mapping[int, OutcomeFamily]
    warm_hours: float = 168.0
    trace_hours: int = KEPT_HOURS


class TenantBank:
    """Detectors of one tenant.

    Examples: see ``tests/unit/detectors/test_bank.py``, which holds the bank to the
    one-lane River classes.
    """

    def __init__(self, tenant: str, settings: BankSettings) -> None:
        self.tenant = tenant
        self.settings = settings
        self.failures = FailureLanes(FailureSettings())
        self.retries = FailureLanes(RETRY_SETTINGS)
        self.codes = FailureLanes(NEW_ERROR_SETTINGS)
        self.users = DropLanes(DropSettings(warm_hours=settings.warm_hours))
        self.volume = DropLanes(replace(VOLUME_SETTINGS, warm_hours=settings.warm_hours))
        self.moves = Moves(ShiftSettings(warm_hours=settings.warm_hours))
        self.together = Together()
        self.siblings = Siblings.empty()
        self.timeline = Timeline(tenant)
        self.trace = Trace(settings.trace_hours)
        self.roster = Roster(settings.family_of_code)
        self._found: list[tuple[int, Flag]] = []

    def _parts(self) -> dict[str, FailureLanes | DropLanes | ShiftLanes]:
        lanes = (self.failures, self.retries, self.codes, self.users, self.volume)
        return dict(zip(GROUPS, (*lanes, self.moves.lanes), strict=True))

    def lanes(self, group: str) -> Sequence[Lane]:
        """The lanes of a group, of those that ``detectors.roster`` names."""
        return self.roster[group].lanes

    def threshold(self) -> float:
        """Alarm level of every lane: its part of the budget over the lanes that can raise."""
        warm = sum(int(part.warm().sum()) for part in self._parts().values())
        return threshold(self.settings.false_pages_per_month * (1.0 - JOINT_SHARE), warm)

    def joint_threshold(self) -> float:
        """Alarm level of the joint evidence."""
        return threshold(self.settings.false_pages_per_month * JOINT_SHARE, 1)

    def advance(self, block: WindowBlock) -> list[Flag]:
        """Judge and learn one block; flags come in order of the minute they tell of."""
        row_of = {
            c: i
            for i, c in enumerate(block.cells)
            if c.tenant == self.tenant and c.client is not Client.SYSTEM
        }
        self.roster.add_cells(row_of)
        self._grow()
        seen = sightings(block, self.tenant)
        places = Places(block, row_of, self.roster)
        self._found = []
        for number in range(block.minutes // MINUTES):
            self._add_codes(block, row_of, (number + 1) * MINUTES)
            self._hour(Hour(places, number), seen)
        self._found.sort(key=lambda pair: (pair[0], pair[1].flag_id, pair[1].revision))
        return [flag for _, flag in self._found]

    def _add_codes(self, block: WindowBlock, row_of: Mapping[Cell, int], end: int) -> None:
        for at, whole in self.roster.add_codes(block, row_of.values(), end):
            # A code never met before has failed nobody in all that time.
            self.codes.grow(at + 1)
            known = self.failures.baseline
            self.codes.begin(at, float(known.eligible[whole]), float(known.hours[whole]))

    def _grow(self) -> None:
        self.moves.watch([lane.cell.client for lane in self.lanes("shifts")])
        for name, part in self._parts().items():
            part.grow(len(self.lanes(name)))
        self.siblings.grow(self.users.lanes)

    def _hour(self, hour: Hour, seen: Mapping[int, Sighting]) -> None:
        level = self.threshold()
        self._failures(hour, level)
        amiss = self._amiss()
        self.users.hold = self.volume.hold = amiss
        self._drops(hour, level)
        self._shifts(hour, level, seen[hour.minute // MINUTES], hold=amiss)
        self._jointly(hour)

    def _amiss(self) -> bool:
        return any(bool(part.evidence.is_open.any()) for part in self._parts().values())

    def _failures(self, hour: Hour, level: float) -> None:
        for name, part, could, newly in (
            ("failures", self.failures, "eligible_{family}", "newly_failing_{family}"),
            ("retries", self.retries, "eligible_pressing", "newly_pressing"),
        ):
            users = hour.counts(name, could)
            failing = hour.counts(name, newly)
            complete = hour.completeness(name)
            part.enter(hour.minute // MINUTES)
            rate = part.rate(hour.minute // MINUTES)
            changes = part.advance(hour.minute, users, failing, complete > _BLIND, level)
            self._write(name, hour, changes, complete)
            self.timeline.rates(self.lanes(name), hour.minute, users, failing, rate)
        met = hour.met()
        users = np.maximum(hour.counts("codes", "eligible_{family}"), met)
        complete = hour.completeness("codes")
        changes = self.codes.advance(hour.minute, users, met, complete > _BLIND, level)
        self._write("codes", hour, changes, complete)

    def _drops(self, hour: Hour, level: float) -> None:
        minute = hour.minute
        counts = hour.counts("users", "newly_active")
        complete = hour.completeness("users")
        self.users.enter(minute // MINUTES)
        usual = self.users.usual.ahead(minute // MINUTES).minutes * complete
        follows = self.users.usual.learned().follows[:, None]
        judged = (complete >= _WHOLE) & self.users.warm()[:, None] & follows
        flagged = self.users.evidence.is_open
        # The last row is of nobody, for lanes without a lane of users.
        others = np.zeros((2, len(counts) + 1, MINUTES))
        others[:, :-1] = self.siblings.advance(counts, usual, judged, flagged, hour.kin("users"))
        # Programs read mailboxes in batches: that their accesses fall says nothing, that
        # they stay away is told by the lanes of users.
        people = np.append(follows[:, 0], True)
        for name, part, values in (
            ("users", self.users, counts),
            ("volume", self.volume, hour.counts("volume", "weight")),
        ):
            complete = hour.completeness(name)
            at = hour.users(name)
            mine = others[:, at]
            mine *= part.usual.learned().follows[:, None]
            tells = people[at][:, None] if name == "volume" else True
            changes = part.advance(minute, values, mine[0], mine[1], complete * tells, level)
            self._write(name, hour, changes, complete)
            self.timeline.levels(self.lanes(name), minute, values, complete, part)

    def _shifts(self, hour: Hour, level: float, seen: Sighting, *, hold: bool) -> None:
        complete = hour.completeness("shifts")
        if not len(complete):
            return
        whole = float(complete.mean()) >= _WHOLE
        changes = self.moves.advance(hour.minute // MINUTES, seen, level, whole=whole, hold=hold)
        self._write("shifts", hour, changes, complete)
        absent, usual, asked = self.moves.lanes.told()
        rate = usual.sum(axis=1) / np.maximum(asked.sum(axis=1), 1.0)
        self.timeline.rates(self.lanes("shifts"), hour.minute, asked, absent, rate)

    def _jointly(self, hour: Hour) -> None:
        opened = self.together.advance(
            hour.minute + MINUTES - 1, self._parts(), self.roster.lanes(), self.joint_threshold()
        )
        for group, change in opened:
            self._tell(group, hour, [change])

    def _write(
        self, group: str, hour: Hour, changes: Sequence[Change], complete: NDArray[np.float64]
    ) -> None:
        judgement = self._parts()[group].last
        if judgement is not None:
            self.trace.add(group, judgement, complete)
        self._tell(group, hour, changes)

    def _tell(self, group: str, hour: Hour, changes: Sequence[Change]) -> None:
        told = []
        for found in changes:
            shift = group == "shifts"
            change = in_hours(found) if shift else found
            carriers = self.together.carriers(group, change)
            flag = flag_of(self.lanes(group)[change.lane], change, hour.block, carriers)
            if shift:
                observed, expected = self.moves.destinations(change)
                flag = replace(
                    flag,
                    observed={**flag.observed, **observed},
                    expected={**flag.expected, **expected},
                )
            told.append((change, flag, self.together.account(group, change)))
        self.trace.tell(group, told)
        self._found.extend((change.minute, flag) for change, flag, _ in told)


def families_of(outcomes: Mapping[int, str]) -> dict[int, OutcomeFamily]:
    """Outcome family of each failure code, from a table of code to outcome."""
    known = {str(o): f for o, f in OUTCOME_FAMILIES.items()}
    return {code: known[o] for code, o in outcomes.items() if o in known}
