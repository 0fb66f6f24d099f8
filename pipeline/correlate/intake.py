"""Taking flags and gaps into incidents, one hour at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.correlate.grouping import (
    Cause,
    belongs_to_gap,
    best_case,
    cause_of,
    merged_cause,
)
from pipeline.correlate.state import Case
from pipeline.model.clock import rfc3339
from pipeline.model.flag import Flag, FlagState
from pipeline.model.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import CorrelateState
    from pipeline.model.window import Gap

MAX_FLAGS: Final = 400  # members kept of one incident; beyond, the weakest closed ones go
STALE: Final = timedelta(hours=48)  # a closing of something this old opens nothing


@dataclass(slots=True)
class Touched:
    """What one hour brought to one incident.

    Attributes:
        case: the incident.
        opened: it is new.
        flags: flags that joined, or opened again.
        before: the members it had until then.
        gap: its gap is new or has grown.
    """

    case: Case
    opened: bool = False
    flags: list[Flag] = field(default_factory=list)
    before: dict[str, Flag] = field(default_factory=dict)
    gap: bool = False


def moment_of(flag: Flag) -> datetime:
    """The event time at which a revision of a flag became so."""
    if flag.state is FlagState.CLOSED and flag.closed_at is not None:
        return max(flag.decided_at or flag.closed_at, flag.alarm_at)
    return flag.alarm_at


def take_flags(
    state: CorrelateState, flags: Iterable[Flag], hour: int, settings: CorrelateSettings
) -> dict[str, Touched]:
    """Put the flag revisions of one hour into incidents; by incident id, what changed.

    Their order and repetition change nothing: they are put in order, and a revision that
    is known already is passed over.
    """
    touched: dict[str, Touched] = {}
    ordered = sorted(flags, key=lambda f: (moment_of(f), f.onset_at, f.flag_id, f.revision))
    for flag in ordered:
        known = state.seen.get(flag.flag_id)
        if known is not None and known[0] >= flag.revision:
            continue
        if known is not None and known[1] in state.cases:
            _update(state.cases[known[1]], flag, touched)
        elif flag.state is FlagState.CLOSED and moment_of(flag) - flag.onset_at > STALE:
            continue
        else:
            case = _place(state, flag, hour, settings, touched)
            if case is None:
                continue
            known = (0, case.incident_id)
        state.seen[flag.flag_id] = (flag.revision, known[1])
    return touched


def _entry(case: Case, touched: dict[str, Touched]) -> Touched:
    if case.incident_id not in touched:
        touched[case.incident_id] = Touched(case, before=dict(case.flags))
    return touched[case.incident_id]


def _update(case: Case, flag: Flag, touched: dict[str, Touched]) -> None:
    old = case.flags.get(flag.flag_id)
    again = flag.state is FlagState.OPEN and (old is None or old.state is FlagState.CLOSED)
    if again:
        _entry(case, touched).flags.append(flag)
    case.flags[flag.flag_id] = flag


def _place(
    state: CorrelateState,
    flag: Flag,
    hour: int,
    settings: CorrelateSettings,
    touched: dict[str, Touched],
) -> Case | None:
    for case in state.cases.values():
        if case.gap is not None and belongs_to_gap(flag, case.gap):
            case.flags[flag.flag_id] = flag
            return case
    found = best_case(state.cases.values(), flag, settings)
    if found is None:
        found = Case(
            content_id("inc", flag.tenant, flag.flag_id), flag.tenant, cause_of(flag), hour
        )
        state.cases[found.incident_id] = found
        _entry(found, touched).opened = True
    entry = _entry(found, touched)
    found.cause = merged_cause(found, flag) if found.flags else found.cause
    found.flags[flag.flag_id] = flag
    _limit(found)
    entry.flags.append(flag)
    return found


def _limit(case: Case) -> None:
    if len(case.flags) <= MAX_FLAGS:
        return
    closed = [f for f in case.flags.values() if f.state is FlagState.CLOSED]
    if closed:
        del case.flags[min(closed, key=lambda f: (f.score, f.flag_id)).flag_id]


def take_gaps(
    state: CorrelateState, gaps: Iterable[Gap], hour: int, touched: dict[str, Touched]
) -> None:
    """Give each gap its incident; incidents that were only its shadow become it."""
    for gap in sorted(gaps, key=lambda g: (g.end, g.tenant, g.source, g.start)):
        incident_id = content_id("inc", gap.tenant, gap.source, "gap", rfc3339(gap.start))
        same = [c for c in state.cases.values() if c.gap and _same_gap(c.gap, gap)]
        shadows = same or [
            c
            for c in state.cases.values()
            if c.gap is None
            and c.tenant == gap.tenant
            and c.resolved_hour is None
            and c.flags
            and all(belongs_to_gap(f, gap) for f in c.flags.values())
        ]
        if not shadows:
            shadows = [Case(incident_id, gap.tenant, Cause.GAP, hour)]
            state.cases[incident_id] = shadows[0]
            _entry(shadows[0], touched).opened = True
        for case in shadows:
            if case.gap is not None and case.gap.end >= gap.end:
                continue
            longest = gap if case.gap is None else replace(gap, start=case.gap.start)
            case.gap, case.cause = longest, Cause.GAP
            _entry(case, touched).gap = True


def _same_gap(left: Gap, right: Gap) -> bool:
    return (left.tenant, left.source, left.start) == (right.tenant, right.source, right.start)
