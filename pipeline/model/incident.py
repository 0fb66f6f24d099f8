"""Incidents: flags that moved together, with a verdict (``outrider.incident/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import ClassVar

from pipeline.model.vocabulary import (  # noqa: TC001 # read back at run time
    Client,
    Service,
    Verdict,
)


class IncidentState(StrEnum):
    """Life of an incident; retracted: late records took away all that spoke for it."""

    OPEN = "open"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    RETRACTED = "retracted"

    @property
    def over(self) -> bool:
        """Whether nothing of it goes on."""
        return self in {IncidentState.RESOLVED, IncidentState.RETRACTED}


class RevisionReason(StrEnum):
    """Why a revision was published: no reason, no message."""

    OPENED = "opened"
    SPREAD = "spread"
    SEVERITY_UP = "severity_up"
    MATCHED = "matched"
    ADVISORY_CHANGED = "advisory_changed"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CORRECTED = "corrected"


class Severity(StrEnum):
    """How bad, from users and minutes."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation for or against one verdict, with its numbers in ``numbers``.

    ``weight`` is the log-odds it adds to ``verdict`` (negative speaks against).
    """

    verdict: Verdict
    weight: float
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScopeSlice:
    """One of the smallest slices that explain the incident.

    ``share_inside``: share of the affected users in the slice (0..1).
    ``share_normal``: the slice's usual share of the same clients' users.
    """

    dimension: str
    value: str
    share_inside: float
    share_normal: float
    affected_users: int


@dataclass(frozen=True, slots=True)
class HealthyClient:
    """A client that still works: its success rate, and how many affected users use it already."""

    client: Client
    service: Service
    success_rate: float
    active_users: int
    affected_users_succeeding: int


@dataclass(frozen=True, slots=True)
class AdvisoryMatch:
    """How an advisory fits an incident.

    ``lead_seconds``: first publication minus our raised_at (positive: we were first).
    ``lead_seconds_start``: the advisory's own start minus our onset, by ``start_used``
    (``api``, ``text`` or ``first_post``).
    """

    advisory_id: str
    score: float
    reasons: tuple[str, ...]
    lead_seconds: float | None
    lead_seconds_start: float | None
    start_used: str
    relisted_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A failure code of the incident and the distinct users who met it."""

    code: int
    users: int
    outcome: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One revision of one incident; (incident_id, revision) is its key everywhere.

    ``clients`` are the finest that the evidence supports. ``user_minutes_lost`` is the sum
    over the clients of the expected minus the observed user-hours, in minutes.
    ``published_at`` is the moment, by arrival time, at which this revision could be known.
    """

    SCHEMA: ClassVar[str] = "outrider.incident/1"

    incident_id: str
    revision: int
    reason: RevisionReason
    state: IncidentState
    tenants: tuple[str, ...]
    services: tuple[Service, ...]
    clients: tuple[Client, ...]
    onset_at: datetime
    raised_at: datetime
    published_at: datetime
    severity: Severity
    verdict: Verdict
    confidence: float
    headline: str
    evidence: tuple[Evidence, ...]
    scope: tuple[ScopeSlice, ...]
    affected_users: int
    user_minutes_lost: float
    healthy_clients: tuple[HealthyClient, ...]
    error_codes: tuple[ErrorCode, ...]
    flag_ids: tuple[str, ...]
    resolved_at: datetime | None = None
    last_evidence_at: datetime | None = None
    advisory: AdvisoryMatch | None = None
    other_advisories: tuple[AdvisoryMatch, ...] = ()
    recurrence_of: tuple[str, ...] = ()
    arrival: str = "measured"  # or "declared": the source's declared delay was used
