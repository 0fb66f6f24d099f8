"""From events to incident revisions, before advisories: the part that may be done again."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connectors.normalise.meanings import meanings
from detectors.bank import BankSettings, TenantBank, families_of
from pipeline.correlate.settings import CorrelateSettings
from pipeline.correlate.stage import advance as correlate
from pipeline.correlate.state import CorrelateState
from pipeline.model.change import ChangeKind, TenantChange
from pipeline.model.clock import from_us
from pipeline.model.trace import TRACE_SCHEMA
from pipeline.model.vocabulary import Source
from pipeline.model.window import TIMELINE_SCHEMA
from pipeline.window.arrival import DECLARED
from pipeline.window.stage import advance as close_windows
from pipeline.window.state import WindowState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.config import Config

_NOBODY: Final[Mapping[Source, datetime]] = {}


@dataclass(frozen=True, slots=True)
class Judged:
    """What one block of hours gave.

    Attributes:
        block: its windows.
        flags, incidents: new revisions in order; incidents are not matched yet.
        timeline: rows of TIMELINE_SCHEMA.
        trace: rows of TRACE_SCHEMA, by flag and minute.
    """

    block: WindowBlock
    flags: tuple[Flag, ...]
    incidents: tuple[Incident, ...]
    timeline: pa.Table
    trace: pa.Table


@dataclass(frozen=True, slots=True)
class Settings:
    """What every run of one configuration shares.

    Attributes:
        bank: of the detectors.
        correlate: of the incidents.
        declared: by source, (median, p95) delays in seconds where records tell none.
    """

    bank: BankSettings
    correlate: CorrelateSettings
    declared: dict[Source, tuple[float, float]]

    @classmethod
    def of(cls, config: Config, *, trace_hours: int = 24) -> Settings:
        """Read the tables that the stages share.

        Args:
            config: of the run.
            trace_hours: how much evidence the detectors hold for a flag that may rise;
                some 12 MB an hour-day of 450 lanes.
        """
        known = meanings()
        detection = config.detection
        return cls(
            BankSettings(
                detection.false_pages_per_month,
                families_of({code: outcome for code, (outcome, _) in known.items()}),
                float(detection.warm_up_hours),
                trace_hours,
            ),
            CorrelateSettings(code_meanings=known),
            {
                source: (delay * median / p95, delay)
                for source, (median, p95) in DECLARED.items()
                for delay in [float(getattr(config.sources, source).declared_delay_seconds)]
            },
        )


@dataclass(slots=True)
class Judging:
    """State of windows, detectors and incidents, of one tenant or of several."""

    windows: WindowState = field(default_factory=WindowState)
    banks: dict[str, TenantBank] = field(default_factory=dict)
    correlated: CorrelateState = field(default_factory=CorrelateState)

    def copy(self) -> Judging:
        """A copy that goes on without touching this one; arrays never written to are shared."""
        return Judging(self.windows.copy(), copy.deepcopy(self.banks), self.correlated.copy())

    def advance(
        self,
        settings: Settings,
        events: pa.Table,
        *,
        start: datetime,
        until: datetime,
        data_end: datetime | None = None,
        reached: Mapping[Source, datetime] = _NOBODY,
    ) -> Judged:
        """Judge one block of whole hours within a UTC day.

        Args:
            settings: the same in every call.
            events: table of EVENT_SCHEMA with the events of the stretch, in any order.
            start: first moment, on a full hour; where the last block ended, if there was one.
            until: moment after the block.
            data_end: newest moment any record speaks of, if more may still come.
            reached: of sources whose feed is behind or fails, how far it came.
        """
        self.windows.declared = settings.declared
        self.windows, block = close_windows(
            self.windows, events, start=start, until=until, data_end=data_end, reached=reached
        )
        flags: list[Flag] = []
        hours = [TIMELINE_SCHEMA.empty_table()]
        minutes = [TRACE_SCHEMA.empty_table()]
        for tenant in sorted({cell.tenant for cell in block.cells}):
            if tenant not in self.banks:
                self.banks[tenant] = TenantBank(tenant, settings.bank)
            bank = self.banks[tenant]
            flags += bank.advance(block)
            hours.append(bank.timeline.take())
            minutes.append(bank.trace.take())
        self.correlated, incidents = correlate(
            self.correlated,
            block,
            flags,
            changes=changes_of(events),
            settings=replace(settings.correlate, arrival=_arrival(block)),
        )
        return Judged(
            block, tuple(flags), incidents, pa.concat_tables(hours), pa.concat_tables(minutes)
        )


def _arrival(block: WindowBlock) -> str:
    """Whether every feed's arrival times are its own, or some declared delay stands in."""
    feeds = {(cell.tenant, cell.source) for cell in block.cells}
    return "measured" if feeds <= block.measured else "declared"


def changes_of(events: pa.Table) -> tuple[TenantChange, ...]:
    """The directory changes among the events, once each, in order of time."""
    source = events.column("source").unify_dictionaries()
    names = source.chunk(0).dictionary.to_pylist() if source.num_chunks else []
    if Source.ENTRA_DIRECTORY_AUDIT not in names:
        return ()
    codes = pa.chunked_array([chunk.indices for chunk in source.chunks])
    mine = events.filter(pc.equal(codes, names.index(Source.ENTRA_DIRECTORY_AUDIT)))
    kinds = set(ChangeKind)
    found = {
        TenantChange(tenant, from_us(at), ChangeKind(kind) if kind in kinds else ChangeKind.OTHER)
        for tenant, at, kind in zip(
            mine.column("tenant").to_pylist(),
            # Arrow's own times have a zone of another class, which no stored state holds.
            mine.column("event_time").cast(pa.int64()).to_pylist(),
            mine.column("operation").to_pylist(),
            strict=True,
        )
    }
    return tuple(sorted(found, key=lambda c: (c.at, c.tenant, c.kind)))
