"""The stages after parsing, wired: one call a block of hours, whatever feeds them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connectors.normalise.meanings import meanings
from detectors.bank import BankSettings, TenantBank, families_of
from pipeline.correlate.settings import CorrelateSettings
from pipeline.correlate.stage import advance as correlate
from pipeline.correlate.state import CorrelateState
from pipeline.match.stage import advance as match
from pipeline.match.stage import drain
from pipeline.match.state import MatchState
from pipeline.model.change import ChangeKind, TenantChange
from pipeline.model.trace import TRACE_SCHEMA
from pipeline.model.vocabulary import Source
from pipeline.model.window import TIMELINE_SCHEMA
from pipeline.runtime.past import Past, Step
from pipeline.window.arrival import DECLARED
from pipeline.window.late import reopen
from pipeline.window.stage import advance as close_windows
from pipeline.window.stage import moment_after
from pipeline.window.state import WindowState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.config import Config
    from pipeline.window.late import Reopened


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one block gave, and what its late events changed.

    Attributes:
        block: the windows that were closed now.
        flags, incidents: new revisions, corrections first.
        timeline: rows of the block; before them, those of blocks that were judged again,
            which take the place of earlier rows of the same hour and lane.
        trace: the same, by flag and minute.
        corrected: blocks closed before in which rows have changed.
    """

    block: WindowBlock
    flags: tuple[Flag, ...]
    incidents: tuple[Incident, ...]
    timeline: pa.Table
    trace: pa.Table
    corrected: tuple[WindowBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """Flags and incidents (not matched yet) of some blocks, and what is drawn of them."""

    flags: tuple[Flag, ...]
    incidents: tuple[Incident, ...]
    timeline: pa.Table
    trace: pa.Table


@dataclass(slots=True)
class Stages:
    """State of all stages of one run; picklable.

    ``late_horizon`` is how late an event may come and still re-open its window. Zero, as in
    a backfill that has all events in order, keeps nothing for it.
    """

    config: Config
    late_horizon: timedelta = timedelta(0)
    windows: WindowState = field(default_factory=WindowState)
    banks: dict[str, TenantBank] = field(default_factory=dict)
    correlated: CorrelateState = field(default_factory=CorrelateState)
    matched: MatchState = field(default_factory=MatchState)
    bank_settings: BankSettings = field(init=False)
    correlate_settings: CorrelateSettings = field(init=False)
    past: Past | None = field(init=False)

    def __post_init__(self) -> None:
        """Read the tables the stages share."""
        self.windows.horizon = self.late_horizon
        self.past = Past() if self.late_horizon else None
        known = meanings()
        detection = self.config.detection
        self.bank_settings = BankSettings(
            detection.false_pages_per_month,
            families_of({code: outcome for code, (outcome, _) in known.items()}),
            float(detection.warm_up_hours),
        )
        self.correlate_settings = CorrelateSettings(code_meanings=known)
        for source, (median, p95) in DECLARED.items():
            delay = float(getattr(self.config.sources, source).declared_delay_seconds)
            self.windows.declared[source] = (delay * median / p95, delay)

    def drain(self) -> tuple[Incident, ...]:
        """What the stages still hold at the end of the data, and nothing later."""
        self.matched, final = drain(self.matched)
        return final

    def advance(
        self,
        events: pa.Table,
        *,
        start: datetime,
        until: datetime,
        data_end: datetime | None = None,
        advisories: Sequence[Advisory] = (),
    ) -> Outcome:
        """Take one block of whole hours through all stages.

        Args:
            events: table of EVENT_SCHEMA with the events of the stretch, and late ones.
            start: first moment, on a full hour.
            until: moment after the block.
            data_end: newest moment any record speaks of, if more may still come.
            advisories: new versions of advisories.
        """
        self.windows, rest, reopened = reopen(self.windows, events)
        parts: list[_Judged] = []
        if reopened is not None and self.past is not None:
            parts.append(self._judge_again(self.past, reopened))
        self.windows, block = close_windows(
            self.windows, rest, start=start, until=until, data_end=data_end
        )
        parts.append(self._judge(block, changes_of(rest)))
        if self.past is not None:
            flags, found = self.past.issue()
            parts[-1] = replace(parts[-1], flags=flags, incidents=found)
            self.past.forget_before(self.windows.kept[0].block.start)
        incidents = [i for part in parts for i in part.incidents]
        self.matched, final = match(self.matched, moment_after(block), incidents, advisories)
        return Outcome(
            block,
            tuple(f for part in parts for f in part.flags),
            final,
            pa.concat_tables(part.timeline for part in parts),
            pa.concat_tables(part.trace for part in parts),
            reopened.changed if reopened else (),
        )

    def _judge(self, block: WindowBlock, changes: tuple[TenantChange, ...]) -> _Judged:
        """Flags and incidents of a block, as its events alone would have it."""
        before = copy.deepcopy(self.banks) if self.past is not None else {}
        correlated = self.correlated
        flags: list[Flag] = []
        hours = [TIMELINE_SCHEMA.empty_table()]
        minutes = [TRACE_SCHEMA.empty_table()]
        for tenant in sorted({cell.tenant for cell in block.cells}):
            if tenant not in self.banks:
                self.banks[tenant] = TenantBank(tenant, self.bank_settings)
            bank = self.banks[tenant]
            flags += bank.advance(block)
            hours.append(bank.timeline.take())
            minutes.append(bank.trace.take())
        self.correlated, incidents = correlate(
            self.correlated,
            block,
            flags,
            changes=changes,
            settings=replace(self.correlate_settings, arrival=_arrival(block)),
        )
        if self.past is not None:
            step = Step(block.start, before, correlated, changes, tuple(flags), incidents)
            self.past.steps.append(step)
        return _Judged(tuple(flags), incidents, pa.concat_tables(hours), pa.concat_tables(minutes))

    def _judge_again(self, past: Past, reopened: Reopened) -> _Judged:
        """The revisions that late events make necessary."""
        steps = past.cut(reopened.blocks[0].start)
        self.banks, self.correlated = steps[0].banks, steps[0].correlated
        late = changes_of(reopened.events)
        again = []
        for step, block in zip(steps, reopened.blocks, strict=True):
            end = moment_after(block)
            mine = tuple(c for c in late if block.start <= c.at < end)
            again.append(self._judge(block, (*step.changes, *mine)))
        flags, incidents = past.correct(reopened.arrived_at)
        return _Judged(
            flags,
            incidents,
            pa.concat_tables(a.timeline for a in again),
            pa.concat_tables(a.trace for a in again),
        )


def _arrival(block: WindowBlock) -> str:
    """Whether every feed's arrival times are its own, or some declared delay stands in."""
    feeds = {(cell.tenant, cell.source) for cell in block.cells}
    return "measured" if feeds <= block.measured else "declared"


def changes_of(events: pa.Table) -> tuple[TenantChange, ...]:
    """The directory changes among the events, once each, in order of time."""
    source = pc.cast(events.column("source"), pa.string())
    mine = events.filter(pc.equal(source, str(Source.ENTRA_DIRECTORY_AUDIT)))
    kinds = set(ChangeKind)
    found = {
        TenantChange(tenant, at, ChangeKind(kind) if kind in kinds else ChangeKind.OTHER)
        for tenant, at, kind in zip(
            mine.column("tenant").to_pylist(),
            mine.column("event_time").to_pylist(),
            mine.column("operation").to_pylist(),
            strict=True,
        )
    }
    return tuple(sorted(found, key=lambda c: (c.at, c.tenant, c.kind)))
