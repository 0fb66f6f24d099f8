"""Changes of lanes, written as flags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from detectors.frozen import Frozen
from pipeline.model.flag import Flag, FlagState
from pipeline.model.ids import content_id
from pipeline.model.vocabulary import FlagKind, OutcomeFamily, Signal
from pipeline.model.window import moment

if TYPE_CHECKING:
    from detectors.evidence import Change
    from pipeline.model.window import Cell, WindowBlock

KINDS: Final[dict[Signal, FlagKind]] = {
    Signal.FAILURE_RATE: FlagKind.FAILURE_SPIKE,
    Signal.RETRY_PRESSURE: FlagKind.RETRY_SURGE,
    Signal.NEW_ERROR: FlagKind.NEW_ERROR,
    Signal.ACTIVE_USERS: FlagKind.VOLUME_DROP,
    Signal.ACCESS_VOLUME: FlagKind.VOLUME_DROP,
    Signal.CLIENT_SHIFT: FlagKind.CLIENT_SHIFT,
}
_DROPS: Final = (Signal.ACTIVE_USERS, Signal.ACCESS_VOLUME)
# Failure evidence only grows as records arrive, so half of a minute's records will do;
# that people are missing is believed only once nearly all have come.
_MISSING: Final = (*_DROPS, Signal.CLIENT_SHIFT)
JOINT: Final = "joint"


@dataclass(frozen=True, slots=True)
class Lane(Frozen):
    """What one lane watches."""

    cell: Cell
    signal: Signal
    detector: str
    family: OutcomeFamily | None = None
    code: int | None = None


def flag_of(
    lane: Lane, change: Change, block: WindowBlock, carriers: tuple[Lane, ...] = ()
) -> Flag:
    """The flag revision that tells of a change: 1 opens, 2 closes.

    Args:
        lane: what has changed.
        change: when and how much.
        block: where the change was decided.
        carriers: lanes whose joint evidence opened the flag; none if its own did.
    """
    cell = lane.cell
    delay = max(_delay(told, block) for told in (lane, *carriers))
    unit = "accesses" if lane.signal is Signal.ACCESS_VOLUME else "users"
    observed, expected = {unit: change.observed}, {unit: change.expected}
    if lane.signal not in _DROPS and change.trials > 0:
        observed["rate"] = change.observed / change.trials
        expected["rate"] = change.expected / change.trials
    return Flag(
        flag_id=content_id(
            "flag", *cell, lane.signal, lane.family, lane.code, change.onset, change.alarm
        ),
        revision=1 if change.opened else 2,
        state=FlagState.OPEN if change.opened else FlagState.CLOSED,
        tenant=cell.tenant,
        source=cell.source,
        service=cell.service,
        client=cell.client,
        signal=lane.signal,
        kind=KINDS[lane.signal],
        onset_at=moment(change.onset),
        alarm_at=moment(change.alarm),
        raised_at=moment(change.alarm + 1) + delay,
        closed_at=None if change.end is None else moment(change.end),
        decided_at=moment(change.minute + 1),
        score=change.score,
        p_value=math.exp(-change.score),
        detector=JOINT if carriers else lane.detector,
        detector_version="1",
        family=lane.family,
        error_code=lane.code,
        observed=observed,
        expected=expected,
        completeness=_completeness(cell, change, block),
    )


def _delay(lane: Lane, block: WindowBlock) -> timedelta:
    """How long after a minute enough of its records are there to believe the lane."""
    median, p95 = block.settle[lane.cell.tenant, lane.cell.source]
    return timedelta(seconds=p95 if lane.signal in _MISSING else median)


def _completeness(cell: Cell, change: Change, block: WindowBlock) -> float:
    start = int(block.start.timestamp()) // 60
    share = block.completeness[cell.tenant, cell.source]
    inside = share[max(change.onset - start, 0) : change.minute - start + 1]
    return float(inside.mean()) if len(inside) else 1.0
