"""The minutes around each flag, kept so that a sceptic can redo the sum."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from detectors.frozen import Frozen
from pipeline.model.trace import TRACE_SCHEMA, LawName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from detectors.account import Account
    from detectors.evidence import Change
    from detectors.law import Judgement
    from pipeline.model.flag import Flag

# Nearly all flags rise within a day of their onset, and most close within one. Beyond it
# the hourly timeline tells the story. A day of 450 lanes takes 12 MB.
KEPT_HOURS: Final = 24
_MINUTE_US: Final = 60_000_000
# What was quiet before shows what the change is held against.
_BEFORE: Final = 30


@dataclass(frozen=True, slots=True)
class _Kept(Frozen):
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

    Args:
        hours: how many are kept; 0 writes nothing.
    """

    def __init__(self, hours: int = KEPT_HOURS) -> None:
        self._hours = hours
        self._kept: dict[str, deque[_Kept]] = {}
        self._written: dict[str, int] = {}
        self._closed: dict[tuple[str, int], int] = {}
        self._tables: list[pa.Table] = []

    def add(
        self,
        group: str,
        judgement: Judgement,
        completeness: NDArray[np.float64],
    ) -> None:
        """Keep one hour of a group of lanes.

        Args:
            group: lanes that are judged together.
            judgement: what they were told, of whole hours.
            completeness: of each minute, shape (lanes, minutes).
        """
        if not self._hours:
            return
        kept = self._kept.setdefault(group, deque(maxlen=self._hours))
        small = judgement.sums.astype(np.float32), completeness.astype(np.float32)
        kept.append(_Kept(judgement, *small))

    def tell(self, group: str, flags: Iterable[tuple[Change, Flag, Account | None]]) -> None:
        """Write what the flags rest on that opened or closed in the hour kept last.

        With each flag comes the account of the joint score, if that has just opened it.
        """
        kept = self._kept.get(group, ())
        for change, flag, account in flags:
            lane = (group, change.lane)
            if change.opened:
                fresh, wanted = self._closed.get(lane, 0), change.onset - _BEFORE
                run = _Run(flag.flag_id, change, fresh, wanted, account)
                self._written[flag.flag_id] = change.minute + 1
            else:
                start = self._written.pop(flag.flag_id, 0)
                run = _Run(flag.flag_id, change, start, start)
                self._closed[lane] = change.minute + 1
            self._tables += [run.rows(hour) for hour in kept if run.touches(hour)]

    def take(self) -> pa.Table:
        """The rows since the last call, as a table of TRACE_SCHEMA."""
        table = pa.concat_tables([TRACE_SCHEMA.empty_table(), *self._tables])
        self._tables = []
        return table


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive minutes of a flag's lane, up to the change.

    ``earliest``: no minute before it belongs to the run; the flag before closed there,
    and both statistics fell back to nothing. ``wanted``: the run reaches back to it, and
    further to the full hour, where the statistics are known.
    """

    flag_id: str
    change: Change
    earliest: int
    wanted: int
    account: Account | None = None

    def touches(self, kept: _Kept) -> bool:
        """Whether the run holds minutes of that hour."""
        return kept.lanes > self.change.lane and kept.end > max(self.earliest, self.wanted)

    def rows(self, kept: _Kept) -> pa.Table:
        """The minutes that lie in one kept hour."""
        told = kept.judgement
        skip = max(self.earliest - told.first, 0)
        span = slice(skip, min(self.change.minute + 1, kept.end) - told.first)
        return _rows(self, kept, span)


def _rows(run: _Run, kept: _Kept, span: slice) -> pa.Table:
    told, lane = kept.judgement, run.change.lane
    count = span.stop - span.start
    law = told.law
    observed, expected, trials = kept.sums[:, lane, span].astype(float)
    minutes = told.first + np.arange(span.start, span.stop, dtype=np.int64)
    wide = (count, law.alternatives.shape[1])
    alternatives = np.broadcast_to(_part(law.alternatives[lane], span).T, wide)
    tried = law.name is LawName.BETA_BINOMIAL
    # A flag that closed within the hour left nothing behind.
    fresh = 0.0 if span.start else 1.0
    threshold = float(np.broadcast_to(told.threshold, kept.lanes)[lane])
    columns: dict[str, Any] = {
        "flag_id": [run.flag_id] * count,
        "minute": minutes * _MINUTE_US,
        "law": [str(law.name)] * count,
        "judged": told.judged[lane, span],
        "completeness": kept.completeness[lane, span],
        "observed": observed,
        "expected": expected,
        "trials": trials if tried else [None] * count,
        "null": np.broadcast_to(_part(law.null[lane], span), count),
        "alternatives": list(alternatives),
        "spread": np.broadcast_to(_part(np.atleast_1d(law.spread[lane]), span), count),
        "threshold": np.full(count, threshold),
        "carried": _first(told.r[lane] * fresh, count, given=run.change.opened),
        "carried_cusum": _first(told.cusum[lane] * fresh, count, given=run.change.opened),
        "joint_since": [None] * count,
        "joint_lanes": [None] * count,
    }
    if run.account is not None and kept.end > run.change.minute:
        columns["joint_since"][0] = list(run.account.since)
        columns["joint_lanes"][0] = list(run.account.lanes)
    return pa.table(columns, schema=TRACE_SCHEMA)


def _part(values: NDArray[np.float64], span: slice) -> NDArray[np.float64]:
    """Minutes of ``span`` along the last axis, unless one value stands for all."""
    return values if values.shape[-1] == 1 else values[..., span]


def _first(values: NDArray[np.float64], count: int, *, given: bool) -> list[Any]:
    return [values if given else None] + [None] * (count - 1)
