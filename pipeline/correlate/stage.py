"""The stage: blocks of hours and flags in, incident revisions out; pure and hour by hour."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.correlate.compose import compose
from pipeline.correlate.intake import Touched, moment_of, take_flags, take_gaps
from pipeline.correlate.lifecycle import HOUR, hour_of, start_of, transition
from pipeline.correlate.packing import pack, unpack
from pipeline.correlate.settings import CorrelateSettings
from pipeline.model.incident import Incident, IncidentState, RevisionReason, Severity
from pipeline.model.vocabulary import Source, same_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.correlate.state import Case, CorrelateState
    from pipeline.model.change import TenantChange
    from pipeline.model.flag import Flag
    from pipeline.model.window import Gap, WindowBlock

CHANGES_KEPT: Final = timedelta(days=7)
_DEFAULTS: Final = CorrelateSettings()
_RANK: Final = {s: i for i, s in enumerate(Severity)}


def advance(
    state: CorrelateState,
    block: WindowBlock,
    flags: Sequence[Flag],
    *,
    changes: Sequence[TenantChange] = (),
    settings: CorrelateSettings = _DEFAULTS,
) -> tuple[CorrelateState, tuple[Incident, ...]]:
    """Take in one block of whole hours; the outcome does not depend on how hours are grouped.

    Args:
        state: from the block before; it is not changed.
        block: consecutive to the block before. Only ``user_hours``, ``completeness``,
            ``gaps`` and ``settle`` are read.
        flags: revisions whose ``alarm_at`` (open) or ``decided_at`` (closed) lies in the
            block; in any order, repetition does no harm.
        changes: the tenants' own changes of these hours.
        settings: knobs and the meanings of codes.

    Returns:
        The new state and the revisions: within one incident, and within one hour, in order
        of ``published_at``; (incident_id, revision) is unique.

    Raises:
        ValueError: the block is not made of whole hours.
    """
    first = hour_of(block.start)
    count = block.minutes // 60
    if block.start != start_of(first) or block.minutes != count * 60 or count < 1:
        raise ValueError(
            f"block at {block.start:%F %T} of {block.minutes} minutes: whole hours only"
        )
    work = state.copy()
    work.settle.update(block.settle)
    rows = unpack(block.user_hours)
    last = first + count - 1
    out: list[Incident] = []
    for hour in range(first, last + 1):
        told = _completeness(block, hour - first)
        work.history.add(pack(hour, rows, told, work.history.names))
        _remember(work, [c for c in changes if _within(c.at, hour, first, last)], hour)
        out += _hour(
            work,
            hour,
            [f for f in flags if _within(moment_of(f), hour, first, last)],
            # A gap that ends on the full hour is of the hour before.
            [g for g in block.gaps if _within(g.end - timedelta(seconds=1), hour, first, last)],
            settings,
        )
    return work, tuple(out)


def _within(at: datetime, hour: int, first: int, last: int) -> bool:
    """Whether ``at`` is of ``hour``; what lies outside the block counts to its nearest hour."""
    return min(max(hour_of(at), first), last) == hour


def _completeness(block: WindowBlock, at: int) -> dict[tuple[str, Source], float]:
    held: Mapping[tuple[str, Source], Any] = block.completeness
    span = slice(60 * at, 60 * at + 60)
    return {key: float(np.mean(np.asarray(minutes)[span])) for key, minutes in held.items()}


def _remember(work: CorrelateState, changes: Sequence[TenantChange], hour: int) -> None:
    limit = start_of(hour + 1) - CHANGES_KEPT
    held = {*work.changes, *changes}
    work.changes = tuple(
        sorted((c for c in held if c.at > limit), key=lambda c: (c.at, c.tenant, c.kind))
    )


def _hour(
    work: CorrelateState,
    hour: int,
    flags: Sequence[Flag],
    gaps: Sequence[Gap],
    settings: CorrelateSettings,
) -> list[Incident]:
    touched = take_flags(work, flags, hour, settings)
    take_gaps(work, gaps, hour, touched)
    out: list[Incident] = []
    for case in list(work.cases.values()):
        entry = touched.get(case.incident_id)
        if entry is not None:
            out += _react(work, entry, hour, settings)
        out += _hourly(work, case, hour, settings)
    _forget(work, hour, settings)
    return sorted(out, key=lambda i: (i.published_at, i.incident_id, i.revision))


def _react(
    work: CorrelateState, entry: Touched, hour: int, settings: CorrelateSettings
) -> list[Incident]:
    """The revisions that new flags or a gap cause: opened, reopened, spread, corrected."""
    case = entry.case
    if case.gap is not None:
        if not entry.gap:
            return []
        reason = RevisionReason.OPENED if case.published is None else RevisionReason.CORRECTED
        if case.state is IncidentState.RESOLVED:
            case.state, case.resolved_hour = IncidentState.OPEN, None
        median, _ = work.settle.get((case.tenant, case.gap.source), (0.0, 0.0))
        at = case.gap.end + timedelta(seconds=median)
        return [_publish(work, case, case.flags, hour, reason, at, settings)]
    if not entry.flags:
        return []
    raised = min(f.raised_at for f in entry.flags)
    at_once = {f.flag_id: f for f in entry.flags if f.raised_at == raised}
    known = {k: f for k, f in case.flags.items() if k in entry.before or k in at_once}
    out = []
    if case.published is None:
        out.append(_publish(work, case, known, hour, RevisionReason.OPENED, raised, settings))
    elif case.state is not IncidentState.OPEN:
        case.state, case.resolved_hour = IncidentState.OPEN, None
        case.flips += 1
        out.append(_publish(work, case, known, hour, RevisionReason.REOPENED, raised, settings))
    latest = max(f.raised_at for f in entry.flags)
    if len(known) < len(case.flags) or not out:
        draft = _draft(work, case, hour, RevisionReason.SPREAD, latest, settings)
        if _spread(case.published, draft):
            case.published = draft
            out.append(draft)
    return out


def _spread(old: Incident | None, new: Incident) -> bool:
    """Whether a client or a service is hit that was not; a finer name is no spread."""
    if old is None:
        return True
    if not set(new.services) <= set(old.services):
        return True
    return any(not any(same_client(n, o) for o in old.clients) for n in new.clients)


def _hourly(
    work: CorrelateState, case: Case, hour: int, settings: CorrelateSettings
) -> list[Incident]:
    """The revisions that time causes: recovering, resolved, worse, corrected."""
    if case.state is IncidentState.RESOLVED or case.published is None:
        return []
    at = start_of(hour + 1) + _settle(work, case, settings)
    reason = transition(case, work.history, hour, settings)
    if reason is not None:
        return [_publish(work, case, case.flags, hour, reason, at, settings)]
    if case.state is not IncidentState.OPEN or case.gap is not None:
        return []
    draft = _draft(work, case, hour, RevisionReason.SEVERITY_UP, at, settings)
    old = case.published
    if _RANK[draft.severity] <= _RANK[old.severity]:
        if (draft.verdict, draft.clients) == (old.verdict, old.clients):
            return []
        draft = _draft(work, case, hour, RevisionReason.CORRECTED, at, settings)
    case.published = draft
    return [draft]


def _draft(
    work: CorrelateState,
    case: Case,
    hour: int,
    reason: RevisionReason,
    at: datetime,
    settings: CorrelateSettings,
) -> Incident:
    return compose(work, case, case.flags, hour, reason=reason, published_at=at, settings=settings)


def _publish(
    work: CorrelateState,
    case: Case,
    flags: Mapping[str, Flag],
    hour: int,
    reason: RevisionReason,
    at: datetime,
    settings: CorrelateSettings,
) -> Incident:
    case.published = compose(
        work, case, flags, hour, reason=reason, published_at=at, settings=settings
    )
    return case.published


def _settle(work: CorrelateState, case: Case, settings: CorrelateSettings) -> timedelta:
    """Time until 95 % of an hour's records of the member sources have arrived."""
    sources = {f.source for f in case.flags.values()} | ({case.gap.source} if case.gap else set())
    waits = []
    for source in sorted(sources):
        audit = source is Source.EXCHANGE_AUDIT
        default = settings.settle_audit if audit else settings.settle_signin
        waits.append(work.settle.get((case.tenant, source), (0.0, default))[1])
    return timedelta(seconds=max(waits, default=settings.settle_signin))


def _forget(work: CorrelateState, hour: int, settings: CorrelateSettings) -> None:
    gone = {
        case.incident_id
        for case in work.cases.values()
        if case.resolved_hour is not None
        and (hour - case.resolved_hour) * HOUR >= settings.reopen_window
    }
    if gone:
        work.cases = {k: c for k, c in work.cases.items() if k not in gone}
        work.seen = {k: v for k, v in work.seen.items() if v[1] not in gone}
    if hour % 24 == 0:
        work.compact()
