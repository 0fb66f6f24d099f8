"""What the stage remembers: user-hours, changes and the incidents in progress."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.correlate.history import ATTRIBUTES, History
from pipeline.correlate.tally import Tally
from pipeline.model.incident import Incident, IncidentState

if TYPE_CHECKING:
    from pipeline.correlate.grouping import Cause
    from pipeline.correlate.scope import Mix
    from pipeline.correlate.view import Plan
    from pipeline.model.change import TenantChange
    from pipeline.model.flag import Flag
    from pipeline.model.vocabulary import Source
    from pipeline.model.window import Cell, Gap


@dataclass(slots=True)
class Case:
    """One incident in progress.

    Attributes:
        incident_id: content hash of the tenant and the first flag (or gap).
        tenant: whose it is.
        cause: class of its flags.
        opened_hour: hour since 1970 in which it was opened.
        flags: by id, the newest revision of each member.
        state: open, recovering or resolved.
        published: the last revision given out.
        folded: sum of the hours that can no longer change.
        folded_to: first hour not in ``folded``.
        hours: by hour, what was counted and the result.
        resolved_hour: hour in which the resolution was published.
        flips: how often it seemed to recover and did not.
        gap: of a telemetry gap, the gap.
        mix: how the users of these cells are usually spread.
    """

    incident_id: str
    tenant: str
    cause: Cause
    opened_hour: int
    flags: dict[str, Flag] = field(default_factory=dict)
    state: IncidentState = IncidentState.OPEN
    published: Incident | None = None
    folded: Tally = field(default_factory=Tally)
    folded_to: int = 0
    hours: dict[int, tuple[Plan, Tally]] = field(default_factory=dict)
    resolved_hour: int | None = None
    flips: int = 0
    gap: Gap | None = None
    mix: tuple[frozenset[Cell], Mix] | None = None

    def copy(self) -> Case:
        """A copy that may be changed; flags and tallies are shared, never changed."""
        return replace(self, flags=dict(self.flags), hours=dict(self.hours))


@dataclass(slots=True)
class CorrelateState:
    """The whole memory of the stage, bounded by eight days of user-hours.

    Picklable; :mod:`pipeline.correlate.snapshot` writes it down without pickle.

    Attributes:
        history: user-hours.
        cases: by incident id, in the order they were opened.
        changes: changes of the last seven days, in order of time.
        settle: by (tenant, source), (median, 95 %) seconds until a minute is known.
        seen: by flag id, the newest revision taken in, and the incident it belongs to.
    """

    history: History = field(default_factory=History)
    cases: dict[str, Case] = field(default_factory=dict)
    changes: tuple[TenantChange, ...] = ()
    settle: dict[tuple[str, Source], tuple[float, float]] = field(default_factory=dict)
    seen: dict[str, tuple[int, str]] = field(default_factory=dict)

    def copy(self) -> CorrelateState:
        """A copy that may be advanced without touching this one."""
        return replace(
            self,
            history=self.history.copy(),
            cases={k: c.copy() for k, c in self.cases.items()},
            settle=dict(self.settle),
            seen=dict(self.seen),
        )

    def compact(self) -> None:
        """Forget names (networks, versions) that no row and no incident uses any more."""
        tallies = [
            t for c in self.cases.values() for t in (c.folded, *(t for _, t in c.hours.values()))
        ]
        mapping = self.history.forget_names([t.rows[a] for t in tallies for a in ATTRIBUTES])
        if mapping is None:
            return

        def renamed(tally: Tally) -> Tally:
            rows = tally.rows.copy()
            for attribute in ATTRIBUTES:
                rows[attribute] = mapping[rows[attribute]]
            return replace(tally, rows=rows)

        for case in self.cases.values():
            case.folded = renamed(case.folded)
            case.hours = {h: (plan, renamed(t)) for h, (plan, t) in case.hours.items()}
