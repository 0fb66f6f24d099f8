"""All stages after parsing, wired for history: one call a day, everything in order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.match.stage import advance as match
from pipeline.match.stage import drain
from pipeline.match.state import MatchState
from pipeline.runtime.judging import Judging, Settings
from pipeline.window.stage import moment_after

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident
    from pipeline.runtime.config import Config
    from pipeline.runtime.judging import Judged


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one block gave; ``incidents`` are the matched revisions."""

    judged: Judged
    incidents: tuple[Incident, ...]


@dataclass(slots=True)
class Stages:
    """State of all stages of one run; picklable."""

    config: Config
    judging: Judging = field(default_factory=Judging)
    matched: MatchState = field(default_factory=MatchState)
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        """Read the tables the stages share."""
        self.settings = Settings.of(self.config)

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
        """Take one block of whole hours, none left out, through all stages.

        Args:
            events: table of EVENT_SCHEMA with the events of the stretch.
            start: first moment, on a full hour.
            until: moment after the block.
            data_end: newest moment any record speaks of, if more may still come.
            advisories: new versions of advisories.
        """
        judged = self.judging.advance(
            self.settings, events, start=start, until=until, data_end=data_end
        )
        self.matched, final = match(
            self.matched, moment_after(judged.block), judged.incidents, advisories
        )
        return Outcome(judged, final)
