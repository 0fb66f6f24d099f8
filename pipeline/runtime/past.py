"""The judged blocks of the late horizon: where to go back to, and what was given since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents

if TYPE_CHECKING:
    from datetime import datetime

    from detectors.bank import TenantBank
    from pipeline.correlate.state import CorrelateState
    from pipeline.model.change import TenantChange
    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident


@dataclass(frozen=True, slots=True)
class Step:
    """One judged block.

    Attributes:
        start: first moment of the block.
        banks: the detectors before it, about 1 MB a tenant of 60 cells.
        correlated: the incidents in progress before it.
        changes: directory changes it was judged with.
        flags, incidents: what it gave.
    """

    start: datetime
    banks: dict[str, TenantBank]
    correlated: CorrelateState
    changes: tuple[TenantChange, ...]
    flags: tuple[Flag, ...]
    incidents: tuple[Incident, ...]


@dataclass(slots=True)
class Past:
    """Steps of the late horizon, oldest first, and all that was issued and may still change.

    ``flags_before`` and ``incidents_before`` hold, by id, what the forgotten steps gave last.
    """

    steps: list[Step] = field(default_factory=list)
    issued_flags: IssuedFlags = field(default_factory=IssuedFlags)
    issued_incidents: IssuedIncidents = field(default_factory=IssuedIncidents)
    flags_before: dict[str, Flag] = field(default_factory=dict)
    incidents_before: dict[str, Incident] = field(default_factory=dict)

    def issue(self) -> tuple[tuple[Flag, ...], tuple[Incident, ...]]:
        """The revisions of the newest step, which was judged in its time."""
        step = self.steps[-1]
        flags = tuple(self.issued_flags.issue(f) for f in step.flags)
        return flags, tuple(self.issued_incidents.issue(i) for i in step.incidents)

    def cut(self, start: datetime) -> list[Step]:
        """Take away the steps from ``start`` on; they are judged again."""
        cut = [s for s in self.steps if s.start >= start]
        self.steps = self.steps[: -len(cut)]
        return cut

    def correct(self, at: datetime) -> tuple[tuple[Flag, ...], tuple[Incident, ...]]:
        """The revisions that late records, all there by ``at``, make necessary."""
        flags = self.issued_flags.newest(self.flags_before, *(s.flags for s in self.steps))
        incidents = self.issued_incidents.newest(
            self.incidents_before, *(s.incidents for s in self.steps)
        )
        return (
            tuple(self.issued_flags.correct(flags, at)),
            tuple(self.issued_incidents.correct(incidents, at)),
        )

    def forget_before(self, oldest: datetime) -> None:
        """Drop the steps before ``oldest``, and documents that nothing can change any more."""
        gone = [s for s in self.steps if s.start < oldest]
        if not gone:
            return
        self.steps = self.steps[len(gone) :]
        flags, incidents = self.issued_flags, self.issued_incidents
        flags.forget_before(oldest)
        incidents.forget_before(oldest, needed=self.steps[0].correlated.cases)
        before = flags.newest(self.flags_before, *(s.flags for s in gone))
        self.flags_before = {k: f for k, f in before.items() if k in flags.last}
        ended = incidents.newest(self.incidents_before, *(s.incidents for s in gone))
        self.incidents_before = {k: i for k, i in ended.items() if k in incidents.last}
