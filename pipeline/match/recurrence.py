"""Whether an outage has been here before: earlier incidents of the same fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.match.score import client_overlap
from pipeline.model.vocabulary import Client, Service, Verdict  # noqa: TC001 # read back at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.incident import Incident

RECURRENCE_DAYS: Final = 30
_SAME_CLIENTS: Final = 0.6


@dataclass(frozen=True, slots=True)
class Past:
    """What is kept of an incident after its resolution, to know it again.

    ``revision`` is the last one published, so that numbering goes on if it is re-opened.
    """

    incident_id: str
    revision: int
    tenants: tuple[str, ...]
    services: tuple[Service, ...]
    clients: tuple[Client, ...]
    verdict: Verdict
    resolved_at: datetime


def past_of(incident: Incident, resolved_at: datetime) -> Past:
    """The fingerprint of a resolved incident."""
    return Past(
        incident.incident_id,
        incident.revision,
        incident.tenants,
        incident.services,
        incident.clients,
        incident.verdict,
        resolved_at,
    )


def recurrence_of(incident: Incident, history: Iterable[Past]) -> tuple[str, ...]:
    """Ids of the incidents that ``incident`` repeats, the latest first.

    Same tenant, service and verdict, at least 0.6 of client overlap both ways, resolved
    before its onset and at most 30 days before it.
    """
    found = [
        past
        for past in history
        if past.incident_id != incident.incident_id
        and past.verdict is incident.verdict
        and set(past.tenants) & set(incident.tenants)
        and set(past.services) & set(incident.services)
        and timedelta() <= incident.onset_at - past.resolved_at <= timedelta(days=RECURRENCE_DAYS)
        and _alike(past.clients, incident.clients)
    ]
    found.sort(key=lambda p: (p.resolved_at, p.incident_id), reverse=True)
    return tuple(p.incident_id for p in found)


def _alike(left: tuple[Client, ...], right: tuple[Client, ...]) -> bool:
    return (
        min(
            client_overlap(left, dict.fromkeys(right, 1.0)),
            client_overlap(right, dict.fromkeys(left, 1.0)),
        )
        >= _SAME_CLIENTS
    )
