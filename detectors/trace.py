"""The minutes around each flag, kept so that a sceptic can redo the sum."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from pipeline.model.clock import MINUTE_US
from pipeline.model.trace import TRACE_SCHEMA, LawName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from detectors.evidence import Change
    from detectors.law import Judgement
    from pipeline.model.flag import Flag

# Nearly all flags rise within a day of their onset, and most close within one. Beyond it
# the hourly timeline tells the story. A day of 450 lanes takes 12 MB.
_KEPT_HOURS: Final = 24
# What was quiet before shows what the change is held against.
_BEFORE: Final = 30


@dataclass(frozen=True, slots=True)
class _Kept:
    """A judgement, its sums as small as they go, and the completeness of its minutes."""

    judgement: Judgement
    sums: NDArray[np.float32]
    completeness: NDArray[np.float32]

    @property
    def lanes(self) -> int:
        """Number of lanes in that hour."""
        return len(self.judgement.judged)

    @property
    def end(self) -> int:
        """The minute after the last."""
        return self.judgement.first + int(self.judgement.judged.shape[1])


class Trace:
    """Keeps the last day of every lane and writes rows of TRACE_SCHEMA for those flagged.

    From half an hour before the onset to the alarm, and on to the recovery; of a flag that
    stays open for more than a day, the last day.
    """

    def __init__(self) -> None:
        self._kept: dict[str, deque[_Kept]] = {}
        self._written: dict[str, int] = {}
        self._tables: list[pa.Table] = []

    def add(
        self,
        group: str,
        judgement: Judgement,
        completeness: NDArray[np.float64],
        flags: Iterable[tuple[Change, Flag]],
    ) -> None:
        """Keep one hour of a group of lanes, and write what its new flags rest on.

        Args:
            group: lanes that are judged together.
            judgement: what they were told, of whole hours.
            completeness: of each minute, shape (lanes, minutes).
            flags: what opened or closed in that hour.
        """
        kept = self._kept.setdefault(group, deque(maxlen=_KEPT_HOURS))
        small = judgement.sums.astype(np.float32), completeness.astype(np.float32)
        kept.append(_Kept(judgement, *small))
        for change, flag in flags:
            start = self._written.pop(flag.flag_id, change.onset - _BEFORE)
            for hour in kept:
                if hour.end > start and hour.lanes > change.lane:
                    self._tables.append(_rows(flag.flag_id, hour, change, start))
            if change.opened:
                self._written[flag.flag_id] = change.minute + 1

    def take(self) -> pa.Table:
        """The rows since the last call, as a table of TRACE_SCHEMA."""
        table = pa.concat_tables([TRACE_SCHEMA.empty_table(), *self._tables])
        self._tables = []
        return table


def _rows(flag_id: str, kept: _Kept, change: Change, start: int) -> pa.Table:
    """The minutes of one kept hour from ``start`` to the change, as rows.

    A run begins on a full hour, where the statistics it begins with are known.
    """
    told, lane = kept.judgement, change.lane
    skip = max(start - told.first, 0) if not change.opened else 0
    span = slice(skip, min(change.minute + 1, kept.end) - told.first)
    count = span.stop - span.start
    law = told.law
    observed, expected, trials = kept.sums[:, lane, span].astype(float)
    minutes = told.first + np.arange(span.start, span.stop, dtype=np.int64)
    wide = (count, law.alternatives.shape[1])
    alternatives = np.broadcast_to(_part(law.alternatives[lane], span).T, wide)
    tried = law.name is LawName.BETA_BINOMIAL
    threshold = float(np.broadcast_to(told.threshold, kept.lanes)[lane])
    columns: dict[str, Any] = {
        "flag_id": [flag_id] * count,
        "minute": minutes * MINUTE_US,
        "law": [str(law.name)] * count,
        "judged": told.judged[lane, span],
        "completeness": kept.completeness[lane, span],
        "observed": observed,
        "expected": expected,
        "trials": trials if tried else [None] * count,
        "null": np.broadcast_to(_part(law.null[lane], span), count),
        "alternatives": list(alternatives),
        "spread": np.full(count, law.spread[lane]),
        "threshold": np.full(count, threshold),
        "carried": _first(told.r[lane], count, given=not skip),
        "carried_cusum": _first(told.cusum[lane], count, given=not skip),
    }
    return pa.table(columns, schema=TRACE_SCHEMA)


def _part(values: NDArray[np.float64], span: slice) -> NDArray[np.float64]:
    """Minutes of ``span`` along the last axis, unless one value stands for all."""
    return values if values.shape[-1] == 1 else values[..., span]


def _first(values: NDArray[np.float64], count: int, *, given: bool) -> list[Any]:
    return [values if given else None] + [None] * (count - 1)
