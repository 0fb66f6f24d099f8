"""From scores to alarms: episodes, thresholds at a given false-alarm rate, delays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from benchmarks.detection.plan import DAY, MONTH, OUTAGE_MINUTES, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.detection.streams import Streams

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# Alarms less than an hour after the last one ended belong to it.
QUIET_MINUTES: Final = 60


class Watch(Protocol):
    """A detector that has a stream to watch."""

    def alarms(self, levels: Floats, minutes: int) -> Bools:
        """Minutes in alarm, shape (lanes, minutes), at one alarm level a lane."""

    def calibrated(self, size: NDArray[np.int64], plan: Plan) -> Floats:
        """Alarm level of each lane at one false episode a stream-month and size."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A detector whose score does not depend on its threshold; shape (lanes, minutes)."""

    score: Floats

    def alarms(self, levels: Floats, minutes: int) -> Bools:
        """Where the score is at its level or above."""
        return np.asarray(self.score[:, :minutes] >= levels[:, None])

    def calibrated(self, size: NDArray[np.int64], plan: Plan) -> Floats:
        """Lowest level reached from above that keeps the false alarms, by size."""
        levels = np.zeros(len(size))
        for one in np.unique(size):
            mine = size == one
            levels[mine] = _lowest(self.score[mine, plan.calibration])
        return levels


def _lowest(score: Floats) -> float:
    allowed = score.size / MONTH
    lanes, minutes = score.shape
    whole = minutes // QUIET_MINUTES * QUIET_MINUTES
    peaks = score[:, :whole].reshape(lanes, -1, QUIET_MINUTES).max(axis=2)
    values = np.unique(np.append(peaks, np.nextafter(peaks.max(), np.inf)))[::-1]
    # Far below, alarms run together and grow fewer again: gallop down, then halve.
    good, bad = 0, 1
    while bad < len(values) and episodes(score >= values[bad]).sum() <= allowed:
        good, bad = bad, bad * 2
    bad = min(bad, len(values))
    while bad - good > 1:
        middle = (good + bad) // 2
        if episodes(score >= values[middle]).sum() <= allowed:
            good = middle
        else:
            bad = middle
    return float(values[good])


def episodes(alarm: Bools) -> NDArray[np.int64]:
    """Number of separate episodes in each lane; one that lasts counts anew every day."""
    lanes, minutes = alarm.shape
    at = np.where(alarm, np.arange(minutes), -QUIET_MINUTES - 1)
    last = np.maximum.accumulate(at, axis=1)
    before = np.concatenate([np.full((lanes, 1), -QUIET_MINUTES - 1), last[:, :-1]], axis=1)
    minute = np.arange(minutes)
    fresh = alarm & ((minute - before > QUIET_MINUTES) | (minute % DAY == 0))
    return np.asarray(fresh.sum(axis=1))


def false_per_month(alarm: Bools, size: NDArray[np.int64]) -> dict[int, float]:
    """False episodes a stream-month, by size, in minutes that hold no outage."""
    found = episodes(alarm)
    return {
        int(one): float(found[size == one].sum() / (alarm[size == one].size / MONTH))
        for one in np.unique(size)
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of the outages of one kind and size.

    Attributes:
        delay: mean minutes to the alarm, its minute counted; a miss counts as 90.
        found: share of outages found.
        outages: how many were judged.
        left_out: how many found the detector in alarm already, and are not judged.
    """

    delay: float
    found: float
    outages: int
    left_out: int


def judge(alarm: Bools, streams: Streams, kind: str) -> dict[int, Cell]:
    """Delays of the outages of one kind, by size."""
    cells = {}
    for one in np.unique(streams.size):
        delays, left_out = [], 0
        for outage in streams.outages:
            if outage.kind != kind or streams.size[outage.lane] != one:
                continue
            if alarm[outage.lane, outage.start - 1]:
                left_out += 1
                continue
            hit = alarm[outage.lane, outage.start : outage.start + OUTAGE_MINUTES]
            delays.append(int(np.argmax(hit)) + 1 if hit.any() else None)
        minutes = [OUTAGE_MINUTES if d is None else d for d in delays]
        found = [d is not None for d in delays]
        cells[int(one)] = Cell(
            delay=float(np.mean(minutes)) if minutes else float("nan"),
            found=float(np.mean(found)) if found else float("nan"),
            outages=len(delays),
            left_out=left_out,
        )
    return cells
