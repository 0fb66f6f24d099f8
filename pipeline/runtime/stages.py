"""The stages after parsing, wired: one call a block of hours, whatever feeds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from pipeline.window.arrival import DECLARED
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one block gave."""

    block: WindowBlock
    flags: tuple[Flag, ...]
    incidents: tuple[Incident, ...]
    timeline: pa.Table
    trace: pa.Table


@dataclass(slots=True)
class Stages:
    """State of all stages of one run."""

    config: Config
    windows: WindowState = field(default_factory=WindowState)
    banks: dict[str, TenantBank] = field(default_factory=dict)
    correlated: CorrelateState = field(default_factory=CorrelateState)
    matched: MatchState = field(default_factory=MatchState)
    bank_settings: BankSettings = field(init=False)
    correlate_settings: CorrelateSettings = field(init=False)

    def __post_init__(self) -> None:
        """Read the tables the stages share."""
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
            events: table of EVENT_SCHEMA with the events of the stretch.
            start: first moment, on a full hour.
            until: moment after the block.
            data_end: newest moment any record speaks of, if more may still come.
            advisories: new versions of advisories.
        """
        self.windows, block = close_windows(
            self.windows, events, start=start, until=until, data_end=data_end
        )
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
            changes=changes_of(events),
            settings=replace(self.correlate_settings, arrival=_arrival(block)),
        )
        self.matched, final = match(self.matched, moment_after(block), incidents, advisories)
        tables = pa.concat_tables(hours), pa.concat_tables(minutes)
        return Outcome(block, tuple(flags), final, *tables)


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
