"""Which flags belong to one incident: cause classes and how well a flag fits."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from pipeline.correlate.clients import NAMELESS, PROMPT
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import (
    CLIENT_FAMILIES,
    MISSING_KINDS,
    FlagKind,
    OutcomeFamily,
    same_client,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case
    from pipeline.model.flag import Flag
    from pipeline.model.window import Gap

STALE = timedelta(hours=72)  # a weekend: an incident without news for longer takes no more in
STALE_DROP = timedelta(hours=24)  # and drops alone are not the same trouble as later failures
GAP_EDGE = timedelta(hours=1)  # a drop this near a gap is its edge


class Cause(StrEnum):
    """Whose hands the flags of an incident point to, before any verdict."""

    FAULT = "fault"
    CHANGE = "change"
    ATTACK = "attack"
    GAP = "gap"


_CAUSE_OF_FAMILY = {
    OutcomeFamily.SERVICE: Cause.FAULT,
    OutcomeFamily.TENANT: Cause.CHANGE,
    OutcomeFamily.CREDENTIAL: Cause.ATTACK,
}


class Link(IntEnum):
    """How closely a flag fits an incident."""

    NONE = 0
    TIME = 1  # other clients, same moment
    FAMILY = 2  # same service, same product line
    CLIENT = 3  # same client
    CELL = 4  # same client reaching the same service


def neutral(flag: Flag) -> bool:
    """Whether a flag tells that something is wrong, but not whose fault it is."""
    return flag.kind in {*MISSING_KINDS, FlagKind.RETRY_SURGE}


def cause_of(flag: Flag) -> Cause:
    """The class of a flag; drops and retries count as faults until something explains them."""
    if neutral(flag) or flag.family is None:
        return Cause.FAULT
    return _CAUSE_OF_FAMILY[flag.family]


def belongs_to_gap(flag: Flag, gap: Gap) -> bool:
    """Whether people are only missing in the feed's silence, or at its edge."""
    return (
        flag.kind in MISSING_KINDS
        and (flag.tenant, flag.source) == (gap.tenant, gap.source)
        and gap.start - GAP_EDGE <= flag.onset_at <= gap.end + GAP_EDGE
    )


def best_case(cases: Iterable[Case], flag: Flag, settings: CorrelateSettings) -> Case | None:
    """The incident a flag belongs to, or None if it has to open a new one.

    Open ones first, then the closest fit, then the same cause, then the older one.
    """
    ranked = []
    for case in cases:
        if case.tenant != flag.tenant:
            continue
        link = fit(case, flag, settings)
        if link is not Link.NONE:
            resolved = case.state is IncidentState.RESOLVED
            other = case.cause is not cause_of(flag)
            ranked.append(((resolved, -link, other, case.opened_hour, case.incident_id), case))
    return min(ranked, key=lambda r: r[0])[1] if ranked else None


def fit(case: Case, flag: Flag, settings: CorrelateSettings) -> Link:
    """How well ``flag`` fits ``case``; NONE = not at all."""
    if case.gap is not None:
        return Link.CELL if belongs_to_gap(flag, case.gap) else Link.NONE
    if _stale(case, flag):
        return Link.NONE
    link = _closeness(case, flag, settings)
    if case.state is IncidentState.RESOLVED and link < Link.CLIENT:
        return Link.NONE
    if link is Link.NONE or not _compatible(case, flag, link, settings):
        return Link.NONE
    return link


def _stale(case: Case, flag: Flag) -> bool:
    """Whether the case has had no news for so long that a new flag is a new matter."""
    if case.state is IncidentState.RESOLVED:
        return False  # the re-opening window rules
    news = max(f.closed_at or f.alarm_at for f in case.flags.values())
    other_kind = not neutral(flag) and all(neutral(f) for f in case.flags.values())
    return flag.onset_at - news > (STALE_DROP if other_kind else STALE)


def _closeness(case: Case, flag: Flag, settings: CorrelateSettings) -> Link:
    best = Link.NONE
    for member in case.flags.values():
        best = max(best, _between(member, flag, settings))
        if best is Link.CELL:
            return best
    first = min(case.flags.values(), key=lambda f: (f.onset_at, f.flag_id))
    if best is Link.NONE and _apart(first, flag) <= settings.join_window:
        return Link.TIME
    return best


def _between(member: Flag, flag: Flag, settings: CorrelateSettings) -> Link:
    service = member.service is flag.service
    if same_client(member.client, flag.client) and (service or flag.client not in NAMELESS):
        return Link.CELL if service else Link.CLIENT
    line = any(
        member.client in clients and flag.client in clients for clients in CLIENT_FAMILIES.values()
    )
    if service and line:
        return Link.FAMILY
    if service and _apart(member, flag) <= settings.join_window:
        return Link.TIME
    return Link.NONE


def _near(case: Case, flag: Flag, window: timedelta) -> bool:
    return any(_apart(f, flag) <= window for f in case.flags.values())


def _apart(left: Flag, right: Flag) -> timedelta:
    """Time between two onsets, at least.

    A change that took hours to show may have begun any time until its alarm.
    """
    latest = [f.alarm_at if f.alarm_at - f.onset_at > PROMPT else f.onset_at for f in (left, right)]
    return max(left.onset_at - latest[1], right.onset_at - latest[0], timedelta(0))


def _compatible(case: Case, flag: Flag, link: Link, settings: CorrelateSettings) -> bool:
    """Whether the causes go together; two unrelated things at once have to stay two."""
    cause = cause_of(flag)
    if neutral(flag):
        if case.cause is Cause.FAULT:
            return True
        least = Link.CLIENT if case.cause is Cause.CHANGE else Link.CELL
        return link >= least and _near(case, flag, settings.join_window)
    if cause is case.cause:
        return True
    if Cause.ATTACK in {cause, case.cause}:
        return (
            case.cause is Cause.FAULT
            and link is Link.CELL
            and all(f.kind is FlagKind.RETRY_SURGE for f in case.flags.values())
            and _near(case, flag, settings.join_window)
        )
    if all(neutral(f) for f in case.flags.values()):
        return link >= Link.CLIENT and _near(case, flag, settings.join_window)
    return link is Link.CELL and _near(case, flag, settings.mixed_window)


def merged_cause(case: Case, flag: Flag) -> Cause:
    """The class of ``case`` once ``flag`` has joined: what explains, beats what only shows."""
    if case.gap is None and not neutral(flag) and all(neutral(f) for f in case.flags.values()):
        return cause_of(flag)
    return case.cause
