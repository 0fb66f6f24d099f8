"""Incidents as they are issued, corrected and taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.correlate.words import listed
from pipeline.model.incident import Incident, IncidentState, RevisionReason, Severity
from pipeline.model.issued import Issued
from pipeline.model.vocabulary import Verdict, same_client

if TYPE_CHECKING:
    from datetime import datetime


class IssuedIncidents(Issued[Incident]):
    """The last revision issued of every incident that may still change."""

    def key(self, document: Incident) -> str:
        """Its incident_id."""
        return document.incident_id

    def plain(self, document: Incident) -> Incident:
        """The incident without revision, reason, raised_at and published_at."""
        at = document.onset_at
        return replace(
            document, revision=0, reason=RevisionReason.OPENED, raised_at=at, published_at=at
        )

    def raised_at(self, document: Incident) -> datetime:
        """Its raised_at."""
        return document.raised_at

    def revised(
        self,
        document: Incident,
        last: Incident | None,
        since: datetime | None,
        at: datetime | None,
    ) -> Incident:
        """The revision after ``last``, published no earlier than it."""
        raised_at = max(document.raised_at, since or document.raised_at)
        moments = [document.published_at, raised_at]
        moments += [] if at is None else [at]
        moments += [] if last is None else [last.published_at]
        return replace(
            document,
            revision=1 if last is None else last.revision + 1,
            reason=document.reason if at is None else RevisionReason.CORRECTED,
            raised_at=raised_at,
            published_at=max(moments),
        )

    def retraction(self, last: Incident, at: datetime) -> Incident:
        """The incident with nothing left that speaks for it."""
        who = listed([c.label for c in last.clients])
        return replace(
            last,
            revision=last.revision + 1,
            reason=RevisionReason.CORRECTED,
            state=IncidentState.RETRACTED,
            published_at=max(last.published_at, at),
            severity=Severity.LOW,
            verdict=Verdict.UNDETERMINED,
            confidence=0.0,
            headline=f"{who}: taken back; the records that came late leave nothing unusual here",
            evidence=(),
            scope=(),
            affected_users=0,
            user_minutes_lost=0.0,
            healthy_clients=(),
            error_codes=(),
            resolved_at=None,
        )

    def due_at(self, document: Incident) -> datetime:
        """Its published_at."""
        return document.published_at

    def matter(self, document: Incident) -> object:
        """What somebody on call would do something else for."""
        return (
            document.state,
            document.severity,
            document.verdict,
            document.services,
            document.clients,
        )

    def is_retracted(self, document: Incident) -> bool:
        """Whether its state says so."""
        return document.state is IncidentState.RETRACTED

    def same_matter(self, retracted: Incident, document: Incident) -> bool:
        """Whether both name a service and a client of one tenant, at times that overlap."""
        last, over = retracted.last_evidence_at, document.resolved_at
        return (
            retracted.tenants == document.tenants
            and (last is None or document.onset_at <= last)
            and (over is None or retracted.onset_at <= over)
            and bool(set(retracted.services) & set(document.services))
            and any(same_client(a, b) for a in retracted.clients for b in document.clients)
        )

    def over_at(self, document: Incident) -> datetime | None:
        """When the last word was published; None while the incident lives."""
        return document.published_at if document.state.over else None
