"""Who is watched, and how well: the ground under "no sign of it here"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.power import detectable
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.stages import Stages

_DAYS = 10


class Exposures:
    """Collects the distinct users a day by (service, client) over the last days."""

    def __init__(self) -> None:
        self._daily: dict[tuple[Service, Client], list[int]] = {}

    def take(self, block: WindowBlock) -> None:
        """Count one block's users; blocks are days in a backfill."""
        table = block.user_hours
        if not table.num_rows:
            return
        plain = pa.table(
            {
                "service": pc.cast(table.column("service"), pa.string()),
                "client": pc.cast(table.column("client"), pa.string()),
                "user": table.column("user"),
            }
        )
        counted = plain.group_by(["service", "client"]).aggregate([("user", "count_distinct")])
        for row in counted.to_pylist():
            key = (Service(row["service"]), Client(row["client"]))
            days = self._daily.setdefault(key, [])
            days.append(int(row["user_count_distinct"]))
            del days[:-_DAYS]

    def result(self, stages: Stages) -> dict[tuple[Service, Client], tuple[int, float]]:
        """By (service, client): users on a usual working day, smallest detectable effect.

        The upper quartile of the last ten days with users stands for a working day.
        """
        effects: dict[tuple[Service, Client], float] = {}
        for bank in stages.judging.banks.values():
            for key, effect in detectable(bank).items():
                effects[key] = min(effect, effects.get(key, 1.0))
        return {
            key: (int(np.quantile(days, 0.75)), effects.get(key, 1.0))
            for key, days in self._daily.items()
        }
