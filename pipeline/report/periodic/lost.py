"""User-minutes lost, split by time, client and service, so that the parts add up.

An incident tells one sum of user-minutes over all of its clients and hours. The hours of the
timeline tell how it is spread: in each hour a client weighs as many users as were missing or
failing beyond what is expected. Where the timeline tells nothing, the sum is spread evenly
over the incident's time and stands beside all of its clients together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pipeline.model.clock import from_us, to_us
from pipeline.model.vocabulary import FINER_CLIENTS, Client, Service, Signal, Source
from pipeline.report.timeline import HOUR_US, Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.model.incident import Incident
    from pipeline.report.periodic.span import Period
    from pipeline.report.timeline import Series

_SIGNALS: Final = (Signal.ACTIVE_USERS, Signal.FAILURE_RATE)
_HOUR: Final = timedelta(hours=1)


class Where(NamedTuple):
    """Clients of services that lost time; several where they cannot be told apart."""

    services: tuple[Service, ...]
    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Minutes lost evenly over a stretch; ``tenant`` is None where it may be any."""

    start: datetime
    end: datetime
    tenant: str | None
    where: Where
    minutes: float


def until(incident: Incident) -> datetime:
    """Up to where the minutes of an incident are counted."""
    last = incident.resolved_at or incident.last_evidence_at or incident.published_at
    return max(last, incident.onset_at)


def wanted(incidents: Iterable[Incident]) -> dict[Lane, tuple[datetime, datetime]]:
    """The lanes that tell how the minutes of incidents are spread, each with its hours."""
    found: dict[Lane, tuple[datetime, datetime]] = {}
    for incident in incidents:
        if incident.user_minutes_lost <= 0.0:
            continue
        begin, end = _floor(incident.onset_at), until(incident)
        for lane in _lanes(incident):
            first, last = found.get(lane, (begin, end))
            found[lane] = (min(first, begin), max(last, end))
    return found


def pieces(incident: Incident, series: Mapping[Lane, Series]) -> list[Piece]:
    """The minutes of an incident, spread; their sum is what the incident tells."""
    total = incident.user_minutes_lost
    if total <= 0.0:
        return []
    weights = _weights(incident, series)
    whole = sum(weights.values())
    if not whole:
        together = Where(incident.services, incident.clients)
        tenant = incident.tenants[0] if len(incident.tenants) == 1 else None
        return [Piece(incident.onset_at, until(incident), tenant, together, total)]
    return [
        Piece(from_us(hour), from_us(hour) + _HOUR, tenant, where, total * weight / whole)
        for (hour, tenant, where), weight in sorted(weights.items())
    ]


def inside(found: Iterable[Piece], period: Period, tenant: str | None) -> dict[Where, float]:
    """Minutes in a period, by client and service; of one tenant if it is named."""
    sums: dict[Where, float] = {}
    for piece in found:
        minutes = piece.minutes * period.share_of(piece.start, piece.end)
        if minutes and (tenant is None or piece.tenant in {None, tenant}):
            sums[piece.where] = sums.get(piece.where, 0.0) + minutes
    return sums


def _weights(
    incident: Incident, series: Mapping[Lane, Series]
) -> dict[tuple[int, str, Where], float]:
    """By hour, tenant and client, the users who were missing or failing beyond the usual."""
    begin, end = to_us(_floor(incident.onset_at)), to_us(until(incident))
    weights: dict[tuple[int, str, Where], float] = {}
    for lane, client in _lanes(incident).items():
        held = series.get(lane)
        if held is None:
            continue
        sign = 1.0 if lane.signal == Signal.ACTIVE_USERS else -1.0
        beyond = np.nan_to_num(sign * (held.expected - held.observed))
        where = Where((Service(lane.service),), (client,))
        chosen = (held.hour >= begin) & (held.hour < max(end, begin + HOUR_US)) & (beyond > 0.0)
        for hour, users in zip(held.hour[chosen], beyond[chosen], strict=True):
            key = (int(hour), lane.tenant, where)
            # Two logs, or the missing and the failing, may be the same people.
            weights[key] = max(weights.get(key, 0.0), float(users))
    return weights


def _lanes(incident: Incident) -> dict[Lane, Client]:
    """The lanes of an incident's clients, and whose each is."""
    clients = {client: client for client in incident.clients}
    for coarse, finer in FINER_CLIENTS.items():
        named = [client for client in incident.clients if client in finer]
        # A coarse lane is told of its one finer client; of two it would be told twice.
        if len(named) == 1:
            clients.setdefault(coarse, named[0])
    return {
        Lane(tenant, source, service, lane_client, signal): client
        for tenant in incident.tenants
        for source in Source
        for service in incident.services
        for lane_client, client in clients.items()
        for signal in _SIGNALS
    }


def _floor(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
