"""From flags and user-hours to the picture of an incident."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.correlate.alternatives import healthy_clients
from pipeline.correlate.clients import named_clients, named_services, onset, strong_flags
from pipeline.correlate.count import cell_of, count
from pipeline.correlate.finer import finer_clients
from pipeline.correlate.grouping import Cause
from pipeline.correlate.lifecycle import hour_of, start_of
from pipeline.correlate.people import distinct_users
from pipeline.correlate.picture import Picture
from pipeline.correlate.scope import Mix, concentration, normal_mix
from pipeline.correlate.tally import Affected, Hit, Tally
from pipeline.correlate.view import ENOUGH_USERS
from pipeline.model.flag import FlagState
from pipeline.model.incident import ErrorCode, IncidentState, Severity
from pipeline.model.vocabulary import (
    MISSING_KINDS,
    OUTCOME_FAMILIES,
    Outcome,
    Service,
    Source,
    same_client,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.correlate.history import History
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case, CorrelateState
    from pipeline.model.change import TenantChange
    from pipeline.model.flag import Flag
    from pipeline.model.window import Gap

TOP_CODES: Final = 5
CODE_LIFT: Final = 1.5  # a code is the incident's own if it is this much above its usual
CHANGE_SLACK: Final = timedelta(minutes=10)  # an onset is known no better
UNKNOWN_CODE: Final = (Outcome.UNKNOWN_FAILURE.value, "not in the code table")
FAILURES: Final = frozenset(OUTCOME_FAMILIES)
RETURN: Final = timedelta(hours=6)  # people are back this long before the last flag closes
LONG: Final = timedelta(hours=24)  # an incident this long changes what seems usual
MIX_HOURS: Final = 48  # hours before the onset that must still be held to tell what is usual


def look_at_gap(gap: Gap, settings: CorrelateSettings) -> Picture:
    """The picture of a telemetry gap: no client, the service whose log it is."""
    audit = gap.source is Source.EXCHANGE_AUDIT
    return Picture(
        cause=Cause.GAP,
        strong=(),
        clients=(),
        services=(Service.EXCHANGE_ONLINE if audit else Service.IDENTITY,),
        onset_at=gap.start,
        tally=Tally(),
        users=0,
        succeeding=0,
        network=None,
        country=None,
        healthy=(),
        codes=(),
        changes=(),
        changes_known=False,
        other_tenants=0,
        aftermath=False,
        gap=gap,
        settings=settings,
    )


def look(
    state: CorrelateState,
    case: Case,
    flags: Mapping[str, Flag],
    hour: int,
    settings: CorrelateSettings,
) -> tuple[Picture, Affected, Mix]:
    """The picture of ``case`` at the end of ``hour``, its affected users, their usual mix.

    Keeps what was counted in the case, so that an hour is counted once.

    Args:
        state: user-hours, changes and the other incidents.
        case: the incident.
        flags: the members to speak of, at least one.
        hour: last hour known, since 1970.
        settings: knobs.
    """
    history, now = state.history, start_of(hour + 1)
    strong = strong_flags(flags.values(), now, settings)
    onset_at = onset(strong, settings.join_window)
    onset_hour = hour_of(onset_at)
    tally = count(history, case, strong, onset_hour, hour, settings)
    services = named_services(strong, now, settings)
    mix = _mix(history, case, strong, onset_hour, hour)
    rows = tally.rows
    if not _attendance_known(tally) and not _in_one_place(history, rows, mix):
        # Nobody else tells who is at work at all, so being missing everywhere is no sign.
        rows = rows[(rows["hit"] & Hit.ABSENT) == 0]
    named = {f.client for f in flags.values()}
    healthy = healthy_clients(history, case.tenant, services, named, rows, onset_hour, hour)
    picture = Picture(
        cause=case.cause,
        strong=strong,
        clients=finer_clients(history, case.tenant, named_clients(strong), rows, onset_hour),
        services=services,
        onset_at=onset_at,
        tally=tally,
        users=distinct_users(history, case.tenant, rows, at=hour),
        succeeding=max((h.affected_users_succeeding for h in healthy), default=0),
        network=concentration(history, rows, mix, "network"),
        country=concentration(history, rows, mix, "country"),
        healthy=healthy,
        codes=_codes(tally, settings),
        changes=_changes(state, case.tenant, onset_at, settings),
        changes_known=any(c.tenant == case.tenant and c.at < now for c in state.changes),
        other_tenants=_other_tenants(state, case, strong, settings),
        aftermath=_aftermath(state, case, strong),
        gap=None,
        settings=settings,
    )
    return picture, rows, mix


def _attendance_known(tally: Tally) -> bool:
    """Whether other clients, or sign-ins as usual, tell that people are at work."""
    signing_in = tally.signin_observed >= 0.9 * tally.signin_expected
    return tally.other_expected >= ENOUGH_USERS or (
        signing_in and tally.signin_expected >= ENOUGH_USERS
    )


def _in_one_place(history: History, rows: Affected, mix: Mix) -> bool:
    net = concentration(history, rows, mix, "network")
    return net is not None and net.inside >= 0.8 and net.usual <= 0.5


def _mix(history: History, case: Case, strong: tuple[Flag, ...], onset_hour: int, hour: int) -> Mix:
    """The usual mix of the flagged cells; the last good one once the time before is forgotten."""
    cells = frozenset(map(cell_of, strong))
    known = onset_hour - min(history.hours, default=hour)
    if case.mix is not None and (case.mix[0] == cells or known < MIX_HOURS):
        return case.mix[1]
    mix = normal_mix(history, cells, onset_hour)
    case.mix = (cells, mix)
    return mix


def _codes(tally: Tally, settings: CorrelateSettings) -> tuple[ErrorCode, ...]:
    codes, counts = np.unique(tally.code_users["code"], return_counts=True)
    found = []
    for code, users in zip(codes.tolist(), counts.tolist(), strict=True):
        if users < 2 or users < CODE_LIFT * tally.code_usual.get(code, 0.0):
            continue
        outcome, meaning = settings.code_meanings.get(code, UNKNOWN_CODE)
        if outcome not in FAILURES:
            continue  # a step of a good sign-in, such as a question for a second factor
        found.append(ErrorCode(code, users, outcome, meaning))
    return tuple(sorted(found, key=lambda c: (-c.users, c.code))[:TOP_CODES])


def _changes(
    state: CorrelateState, tenant: str, onset_at: datetime, settings: CorrelateSettings
) -> tuple[TenantChange, ...]:
    start, end = onset_at - settings.change_window, onset_at + CHANGE_SLACK
    return tuple(c for c in state.changes if c.tenant == tenant and start <= c.at <= end)


def _other_tenants(
    state: CorrelateState, case: Case, strong: tuple[Flag, ...], settings: CorrelateSettings
) -> int:
    services = {f.service for f in strong}
    start = min(f.onset_at for f in strong)
    found = set()
    for other in state.cases.values():
        if other.tenant == case.tenant or other.cause is not Cause.FAULT:
            continue
        if other.state is IncidentState.RESOLVED or not other.flags:
            continue
        near = min(abs(f.onset_at - start) for f in other.flags.values())
        if near <= settings.join_window and services & {f.service for f in other.flags.values()}:
            found.add(other.tenant)
    return len(found)


def _aftermath(state: CorrelateState, case: Case, strong: tuple[Flag, ...]) -> bool:
    """Whether people only go back to the clients they had left in a long incident.

    While it lasted they were in this client, so the days to compare with mislead.
    """
    if any(f.kind not in MISSING_KINDS for f in strong):
        return False
    start = strong[0].onset_at
    clients, services = {f.client for f in strong}, {f.service for f in strong}
    for other in state.cases.values():
        flags = other.flags.values()
        if other is case or other.tenant != case.tenant or other.published is None or not flags:
            continue
        if other.published.severity is Severity.LOW or other.gap is not None:
            continue
        if any(f.state is FlagState.OPEN and f.onset_at < start for f in flags):
            continue
        if any(same_client(a, f.client) for a in clients for f in flags):
            continue
        first = min(f.onset_at for f in flags)
        last = max(f.closed_at or f.alarm_at for f in flags)
        if (
            last - first >= LONG
            and start >= last - RETURN
            and services & {f.service for f in flags}
        ):
            return True
    return False
