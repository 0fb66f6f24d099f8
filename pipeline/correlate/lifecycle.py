"""When an incident recovers, is over, and may be forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.model.clock import EPOCH
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState, RevisionReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from pipeline.correlate.history import History
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case
    from pipeline.model.flag import Flag
    from pipeline.model.vocabulary import Client

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


def ebbed_since(
    flags: Collection[Flag], now: datetime, settings: CorrelateSettings
) -> datetime | None:
    """When the flags that tell of nearly all who are hit had ended, or None before.

    A client of few users takes days to show that it is well again. While the flags still
    open are such, and none of them is news, the others say that it is getting better.
    """
    last = [f for f in flags if ended_at(f, now, settings) is None]
    ebbed = quiet_since([f for f in flags if f not in last], now, settings)
    if ebbed is None or any(f.alarm_at > ebbed for f in last):
        return None
    hit: dict[Client, float] = {}
    for flag in flags:
        users = abs(flag.observed.get("users", 0.0) - flag.expected.get("users", 0.0))
        hit[flag.client] = hit.get(flag.client, 0.0) + users
    left = {f.client for f in last}
    small = sum(hit[c] for c in left) <= settings.straggling_share * sum(hit.values())
    return ebbed if small and all(hit[c] > 0.0 for c in left) else None


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
    flags = case.flags.values()
    if case.state is IncidentState.RECOVERING:
        quiet = quiet_since(flags, now, settings)
        if (
            quiet is not None
            and now - quiet >= settings.resolve_hold
            and _at_work(case, history, quiet, hour, settings)
        ):
            case.state, case.resolved_hour = IncidentState.RESOLVED, hour
            return RevisionReason.RESOLVED
        return None
    ebbed = ebbed_since(flags, now, settings)
    if ebbed is not None and now - ebbed >= _patience(case, settings):
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
