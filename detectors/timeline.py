"""Hourly observed and expected values of every lane, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.model.vocabulary import OutcomeFamily
from pipeline.model.window import TIMELINE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.drop import DropLanes
    from detectors.flags import Lane

# 99 % of a normal law lies within this many standard deviations.
_BAND: Final = 2.58


# Of the outcome families only the service's is drawn; the others show in the flags.
_SHOWN: Final = (None, OutcomeFamily.SERVICE)


class _Hour(NamedTuple):
    """One hour of some lanes; ``numbers`` has the shape (lanes, 5), as the schema's last five."""

    minute: int
    lanes: list[Lane]
    numbers: NDArray[np.float64]


class Timeline:
    """Collects rows of TIMELINE_SCHEMA for one tenant until they are taken away."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._hours: list[_Hour] = []

    def rates(
        self,
        lanes: Sequence[Lane],
        minute: int,
        users: NDArray[np.float64],
        failing: NDArray[np.float64],
        rate: NDArray[np.float64],
    ) -> None:
        """Add one hour of failure-like lanes: users failing against users expected to."""
        trials = users.sum(axis=1)
        mean = trials * rate
        spread = _BAND * np.sqrt(mean * (1.0 - rate) + 0.25)
        self._add(lanes, minute, failing.sum(axis=1), mean, spread, np.ones(len(lanes)))

    def levels(
        self,
        lanes: Sequence[Lane],
        minute: int,
        counts: NDArray[np.float64],
        completeness: NDArray[np.float64],
        drop: DropLanes,
    ) -> None:
        """Add the hour that ``drop`` was told last: users or accesses against the expectation."""
        mean = drop.expected()
        known = drop.usual.learned().spread
        spread = _BAND * np.sqrt(known.phi * mean + known.level * mean**2)
        warm = drop.warm()
        mean = np.where(warm, mean, np.nan)
        self._add(lanes, minute, counts.sum(axis=1), mean, spread, completeness.mean(axis=1))

    def _add(
        self,
        lanes: Sequence[Lane],
        minute: int,
        observed: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        completeness: NDArray[np.float64],
    ) -> None:
        shown = [i for i, lane in enumerate(lanes) if lane.family in _SHOWN]
        numbers = np.array([observed, mean, mean - spread, mean + spread, completeness]).T
        self._hours.append(_Hour(minute, [lanes[i] for i in shown], numbers[shown]))

    def take(self) -> pa.Table:
        """The rows collected since the last call, as a table of TIMELINE_SCHEMA."""
        hours, self._hours = self._hours, []
        lanes = [lane for hour in hours for lane in hour.lanes]
        numbers = np.concatenate([np.zeros((0, 5)), *(hour.numbers for hour in hours)])
        observed, mean, low, high, completeness = numbers.T
        unknown = np.isnan(mean)
        minutes = np.repeat(
            np.array([hour.minute for hour in hours], np.int64), [len(h.lanes) for h in hours]
        )
        columns = {
            "hour": pa.array(minutes * 60_000_000).cast(TIMELINE_SCHEMA.field("hour").type),
            "tenant": [lane.cell.tenant for lane in lanes],
            "source": [lane.cell.source.value for lane in lanes],
            "service": [lane.cell.service.value for lane in lanes],
            "client": [lane.cell.client.value for lane in lanes],
            "signal": [lane.signal.value for lane in lanes],
            "observed": observed,
            "expected": pa.array(mean, mask=unknown),
            "low": pa.array(np.maximum(low, 0.0), mask=unknown),
            "high": pa.array(high, mask=unknown),
            "completeness": completeness.astype(np.float32),
        }
        return pa.table(columns, schema=TIMELINE_SCHEMA)
