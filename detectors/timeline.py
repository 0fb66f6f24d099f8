"""Hourly observed and expected values of every lane, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from pipeline.model.window import TIMELINE_SCHEMA, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.drop import DropLanes
    from detectors.flags import Lane

# 99 % of a normal law lies within this many standard deviations.
_BAND: Final = 2.58


class Timeline:
    """Collects rows of TIMELINE_SCHEMA for one tenant until they are taken away."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._columns: dict[str, list[Any]] = {name: [] for name in TIMELINE_SCHEMA.names}

    def rates(
        self,
        lanes: Sequence[Lane],
        minute: int,
        users: NDArray[np.float64],
        failing: NDArray[np.float64],
        rate: NDArray[np.float64],
    ) -> None:
        """Add one hour of failure-like lanes: users failing against users expected to.

        ``lanes`` of one cell are told apart by family: only the service family is kept,
        the others show in the flags.
        """
        trials = users.sum(axis=1)
        mean = trials * rate
        spread = _BAND * np.sqrt(mean * (1.0 - rate) + 0.25)
        self._add(lanes, minute, failing.sum(axis=1), mean, spread, np.ones(len(lanes)))

    def levels(
        self,
        lanes: Sequence[Lane],
        minute: int,
        counts: NDArray[np.float64],
        expected: NDArray[np.float64],
        completeness: NDArray[np.float64],
        drop: DropLanes,
    ) -> None:
        """Add one hour of level lanes: users or accesses against the expectation."""
        mean = (expected * completeness).sum(axis=1)
        noise = drop.baseline.noise()
        spread = _BAND * np.sqrt(drop.baseline.phi() * mean + (noise * mean) ** 2)
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
        columns = self._columns
        for at, lane in enumerate(lanes):
            if lane.family is not None and lane.family != "service":
                continue
            known = not np.isnan(mean[at])
            columns["hour"].append(moment(minute))
            columns["tenant"].append(lane.cell.tenant)
            columns["source"].append(str(lane.cell.source))
            columns["service"].append(str(lane.cell.service))
            columns["client"].append(str(lane.cell.client))
            columns["signal"].append(str(lane.signal))
            columns["observed"].append(float(observed[at]))
            columns["expected"].append(float(mean[at]) if known else None)
            columns["low"].append(float(max(mean[at] - spread[at], 0.0)) if known else None)
            columns["high"].append(float(mean[at] + spread[at]) if known else None)
            columns["completeness"].append(float(completeness[at]))

    def take(self) -> pa.Table:
        """The rows collected since the last call, as a table of TIMELINE_SCHEMA."""
        table = pa.table(self._columns, schema=TIMELINE_SCHEMA)
        self._columns = {name: [] for name in TIMELINE_SCHEMA.names}
        return table
