"""All lanes of one tenant, an hour of minutes at a time: windows in, flags out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detectors.budget import threshold
from detectors.common import CommonFactor
from detectors.drop import DropLanes, DropSettings
from detectors.failure import FailureLanes, FailureSettings
from detectors.flags import Lane, flag_of
from detectors.single import NEW_ERROR_SETTINGS, RETRY_SETTINGS
from detectors.timeline import Timeline
from detectors.trace import Trace
from pipeline.model.vocabulary import (
    OUTCOME_FAMILIES,
    Client,
    OutcomeFamily,
    Service,
    Signal,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.evidence import Change
    from pipeline.model.flag import Flag
    from pipeline.model.window import WindowBlock

SIGN_INS: Final = (Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE)
# Accesses come in bursts, and their drop says the same as the drop of users, later: it is
# judged against a wider null, so that it confirms rather than raises.
VOLUME_SETTINGS: Final = DropSettings(slack_sd=3.0, slack_range=(0.25, 0.6), least_hourly=20.0)


@dataclass(frozen=True, slots=True)
class BankSettings:
    """Knobs of the bank.

    Attributes:
        false_pages_per_month: budget over all lanes of a tenant.
        family_of_code: outcome family of each known failure code; others are ``service``.
        warm_hours: hours a level must have been learned before a drop is judged.
    """

    false_pages_per_month: float
    family_of_code: Mapping[int, OutcomeFamily]
    warm_hours: float = 168.0


@dataclass(slots=True)
class _Group:
    """Lanes of one kind; ``index`` finds a lane by its key."""

    lanes: list[Lane]
    index: dict[Any, int]


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
        self.common = CommonFactor.empty()
        self.timeline = Timeline(tenant)
        self.trace = Trace()
        self._groups = {name: _Group([], {}) for name in self._parts()}

    def _parts(self) -> dict[str, FailureLanes | DropLanes]:
        return {
            "failures": self.failures,
            "retries": self.retries,
            "codes": self.codes,
            "users": self.users,
            "volume": self.volume,
        }

    def lanes(self, group: str) -> Sequence[Lane]:
        """The lanes of ``failures``, ``retries``, ``codes``, ``users`` or ``volume``."""
        return self._groups[group].lanes

    def threshold(self) -> float:
        """Alarm level of every lane: the budget over the lanes that can raise."""
        warm = sum(int(part.warm().sum()) for part in self._parts().values())
        return threshold(self.settings.false_pages_per_month, warm)

    def advance(self, block: WindowBlock) -> list[Flag]:
        """Judge and learn one block; flags come in order of the minute they tell of."""
        rows = [
            i
            for i, c in enumerate(block.cells)
            if c.tenant == self.tenant and c.client is not Client.SYSTEM
        ]
        self._add_lanes(block, rows)
        start = int(block.start.timestamp()) // 60
        found: list[tuple[int, Flag]] = []
        for hour in range(block.minutes // 60):
            found += self._hour(block, rows, start, slice(hour * 60, hour * 60 + 60))
        found.sort(key=lambda pair: (pair[0], pair[1].flag_id, pair[1].revision))
        return [flag for _, flag in found]

    def _add_lanes(self, block: WindowBlock, rows: Sequence[int]) -> None:
        for row in rows:
            cell = block.cells[row]
            # Baskets of unlike things have no level of their own.
            if cell.client is not Client.OTHER and cell.service is not Service.OTHER:
                self._lane("users", cell, Lane(cell, Signal.ACTIVE_USERS, "volume_drop"))
            if cell.source is Source.EXCHANGE_AUDIT and cell.client is not Client.OTHER:
                self._lane("volume", cell, Lane(cell, Signal.ACCESS_VOLUME, "volume_drop"))
            if cell.source not in SIGN_INS:
                continue
            self._lane("retries", cell, Lane(cell, Signal.RETRY_PRESSURE, "retry_pressure"))
            for family in OutcomeFamily:
                lane = Lane(cell, Signal.FAILURE_RATE, "failure_spike", family)
                self._lane("failures", (cell, family), lane)
        self._grow()
        mine = set(rows)
        for row, code in sorted(block.codes):
            if row in mine and block.cells[row].source in SIGN_INS:
                cell = block.cells[row]
                family = self.settings.family_of_code.get(code, OutcomeFamily.SERVICE)
                if family is OutcomeFamily.CREDENTIAL:
                    continue  # people mistype every day; their rate is watched, not the code
                lane = Lane(cell, Signal.NEW_ERROR, "new_error_code", family, code)
                self._lane("codes", (cell, code), lane)
        self._grow()

    def _grow(self) -> None:
        for name, part in self._parts().items():
            part.grow(len(self._groups[name].lanes))
        self.common.grow(self.users.lanes)

    def _lane(self, group: str, key: Any, lane: Lane) -> None:
        members = self._groups[group]
        if key not in members.index:
            members.index[key] = len(members.lanes)
            members.lanes.append(lane)
            if group == "codes":
                # A code never met before has failed nobody in all that time.
                part = self.codes
                part.grow(len(members.lanes))
                at = self._groups["failures"].index[lane.cell, lane.family]
                part.baseline.eligible[-1] = self.failures.baseline.eligible[at]
                part.baseline.hours[-1] = self.failures.baseline.hours[at]

    def _hour(
        self, block: WindowBlock, rows: Sequence[int], start: int, span: slice
    ) -> list[tuple[int, Flag]]:
        level = self.threshold()
        minute = start + span.start
        row_of = {block.cells[r]: r for r in rows}

        def values(group: str, name: Callable[[Lane], str]) -> NDArray[np.float64]:
            lanes = self._groups[group].lanes
            out = np.zeros((len(lanes), 60))
            for at, lane in enumerate(lanes):
                out[at] = block.counts[name(lane)][row_of[lane.cell], span]
            return out

        def seen(group: str) -> NDArray[np.float64]:
            lanes = self._groups[group].lanes
            out = np.ones((len(lanes), 60))
            for at, lane in enumerate(lanes):
                out[at] = block.completeness[lane.cell.tenant, lane.cell.source][span]
            return out

        found: list[tuple[int, Flag]] = []

        def write(group: str, changes: Sequence[Change], complete: NDArray[np.float64]) -> None:
            lanes = self._groups[group].lanes
            told = [(c, flag_of(lanes[c.lane], c, block)) for c in changes]
            judgement = self._parts()[group].last
            if judgement is not None:
                self.trace.add(group, judgement, complete, told)
            found.extend((c.minute, flag) for c, flag in told)

        eligible = values("failures", lambda lane: f"eligible_{lane.family}")
        failing = values("failures", lambda lane: f"newly_failing_{lane.family}")
        complete = seen("failures")
        rate = self.failures.rate(minute // 60)
        changes = self.failures.advance(minute, eligible, failing, complete > 0.05, level)
        write("failures", changes, complete)
        self.timeline.rates(self._groups["failures"].lanes, minute, eligible, failing, rate)

        pressing = values("retries", lambda _: "newly_pressing")
        could = values("retries", lambda _: "eligible_pressing")
        complete = seen("retries")
        rate = self.retries.rate(minute // 60)
        changes = self.retries.advance(minute, could, pressing, complete > 0.05, level)
        write("retries", changes, complete)
        self.timeline.rates(self._groups["retries"].lanes, minute, could, pressing, rate)

        met = np.zeros((self.codes.lanes, 60))
        for at, lane in enumerate(self._groups["codes"].lanes):
            counted = block.codes.get((row_of[lane.cell], lane.code or 0))
            if counted is not None:
                met[at] = counted[span]
        could = values("codes", lambda lane: f"eligible_{lane.family}")
        could = np.maximum(could, met)
        complete = seen("codes")
        changes = self.codes.advance(minute, could, met, complete > 0.05, level)
        write("codes", changes, complete)
        amiss = any(bool(part.evidence.is_open.any()) for part in self._parts().values())
        self.users.hold = self.volume.hold = amiss
        self._drops(minute, level, values, seen, write)
        return found

    def _drops(
        self,
        minute: int,
        level: float,
        values: Callable[..., NDArray[np.float64]],
        seen: Callable[[str], NDArray[np.float64]],
        write: Callable[[str, Sequence[Change], NDArray[np.float64]], None],
    ) -> None:
        counts = values("users", lambda _: "newly_active")
        complete = seen("users")
        usual = self.users.usual(minute, 60)
        follows = self.users.baseline.follows()[:, None]
        judged = (complete >= 0.9) & self.users.warm()[:, None] & follows
        factor = self.common.advance(counts, usual, judged, self.users.evidence.is_open)
        common = np.where(follows, factor, 1.0)
        changes = self.users.advance(minute, counts, common, complete, level)
        write("users", changes, complete)
        self.timeline.levels(
            self._groups["users"].lanes, minute, counts, usual * common, complete, self.users
        )
        volume = values("volume", lambda _: "weight")
        complete = seen("volume")
        follows = self.volume.baseline.follows()[:, None]
        shared = np.where(follows, factor, np.ones_like(volume))
        usual = self.volume.usual(minute, 60)
        changes = self.volume.advance(minute, volume, shared, complete, level)
        write("volume", changes, complete)
        self.timeline.levels(
            self._groups["volume"].lanes, minute, volume, usual * shared, complete, self.volume
        )


def families_of(outcomes: Mapping[int, str]) -> dict[int, OutcomeFamily]:
    """Outcome family of each failure code, from a table of code to outcome."""
    known = {str(o): f for o, f in OUTCOME_FAMILIES.items()}
    return {code: known[o] for code, o in outcomes.items() if o in known}
