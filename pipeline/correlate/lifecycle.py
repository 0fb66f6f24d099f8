"""When an incident recovers, is over, and may be forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.model.clock import EPOCH
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState, RevisionReason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipeline.correlate.history import History
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case
    from pipeline.model.flag import Flag

HOUR = timedelta(hours=1)


def hour_of(at: datetime) -> int:
    """Hours since 1970 of the hour ``at`` lies in."""
    return (at - EPOCH) // HOUR


def start_of(hour: int) -> datetime:
    """The first moment of an hour since 1970."""
    return EPOCH + hour * HOUR


def ended_at(flag: Flag, now: datetime, settings: CorrelateSettings) -> datetime | None:
    """When a flag ended, or None while it is open; one never closed ends by itself."""
    if flag.state is FlagState.CLOSED:
        return flag.closed_at or flag.alarm_at
    end = flag.alarm_at + settings.flag_expiry
    return end if end <= now else None


def quiet_since(
    flags: Iterable[Flag], now: datetime, settings: CorrelateSettings
) -> datetime | None:
    """When the last flag ended, or None while one is open."""
    ends = [ended_at(f, now, settings) for f in flags]
    known = [e for e in ends if e is not None]
    return max(known) if known and len(known) == len(ends) else None


def transition(
    case: Case, history: History, hour: int, settings: CorrelateSettings
) -> RevisionReason | None:
    """The change of state due at the end of ``hour``, if any; changes the case's state.

    Between two bursts of an intermittent outage the flags close for a while; neither word
    is given before the quiet has held, and "resolved" not before people were at work.
    """
    if case.state is IncidentState.RESOLVED:
        return None
    if case.gap is not None:
        return _gap_over(case, history, hour)
    now = start_of(hour + 1)
    quiet = quiet_since(case.flags.values(), now, settings)
    if quiet is None:
        return None
    if case.state is IncidentState.RECOVERING:
        if now - quiet >= settings.resolve_hold and _at_work(case, history, quiet, hour, settings):
            case.state, case.resolved_hour = IncidentState.RESOLVED, hour
            return RevisionReason.RESOLVED
    elif now - quiet >= _patience(case, settings):
        case.state = IncidentState.RECOVERING
        return RevisionReason.RECOVERING
    return None


def _patience(case: Case, settings: CorrelateSettings) -> timedelta:
    """How long it must be quiet to say "recovering": twice as long after each false hope."""
    hold: timedelta = settings.recovering_hold * 2 ** min(case.flips, 8)
    return min(hold, settings.resolve_hold / 2)


def busiest(history: History, tenant: str) -> int:
    """Users of the busiest hour that is remembered."""
    return max(history.users.get(tenant, {}).values(), default=0)


def _at_work(
    case: Case, history: History, quiet: datetime, hour: int, settings: CorrelateSettings
) -> bool:
    most = busiest(history, case.tenant)
    if not most:
        return True  # no user-hours at all: only the hold can tell
    counts = history.users[case.tenant]
    since = range(hour_of(quiet) + 1, hour + 1)
    worked = sum(counts.get(h, 0) >= settings.waking_share * most for h in since)
    return worked >= settings.waking_hours


def _gap_over(case: Case, history: History, hour: int) -> RevisionReason | None:
    """A gap is over once its source tells of a later hour."""
    gap, held = case.gap, history.hours.get(hour)
    if gap is None or held is None or start_of(hour) < gap.end:
        return None
    if not any((c.tenant, c.source) == (gap.tenant, gap.source) for c in held.cells):
        return None
    case.state, case.resolved_hour = IncidentState.RESOLVED, hour
    return RevisionReason.RESOLVED
