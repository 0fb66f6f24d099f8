"""An incident as a line of a list: the few facts that tell one from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.model.clock import parse_rfc3339
from pipeline.model.documents import from_json
from pipeline.model.incident import HealthyClient, IncidentState, Severity
from pipeline.model.vocabulary import Verdict
from pipeline.notify.brief import works
from pipeline.notify.clean import clean
from pipeline.notify.words import percent, plural, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pipeline.ledger.reading import Reader
    from pipeline.model.notice import Ack


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident in a list."""

    id: str
    severity: str
    state: str
    over: bool
    verdict: str
    headline: str
    onset_at: datetime
    facts: list[str]
    acked: str = ""


def incident_line(document: Mapping[str, Any], ack: Ack | None = None) -> IncidentLine | None:
    """The few facts that tell one incident from another; None if it cannot be read.

    Args:
        document: ``outrider.incident/1``; only what is shown of it is read, as a list holds many.
        ack: who looks after it.
    """
    try:
        return _incident_line(document, ack)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def incident_lines(
    documents: Iterable[Mapping[str, Any]], acks: Mapping[str, Ack]
) -> list[IncidentLine]:
    """The lines of a list; what another version wrote otherwise is left out."""
    lines = (incident_line(d, acks.get(str(d.get("incident_id")))) for d in documents)
    return [line for line in lines if line is not None]


def _incident_line(document: Mapping[str, Any], ack: Ack | None) -> IncidentLine:
    users, name = int(document["affected_users"]), str(document["incident_id"])
    state, verdict = IncidentState(document["state"]), Verdict(document["verdict"])
    facts = [plural(users, "user") if users else "users unknown"]
    if document.get("healthy_clients"):
        facts.append(f"works: {works(from_json(HealthyClient, document['healthy_clients'][0]))}")
    if document.get("advisory"):
        facts.append(clean(document["advisory"]["advisory_id"], 40))
    elif verdict is Verdict.SERVICE_OUTAGE:
        facts.append("no advisory yet")
    if document.get("resolved_at") and state is IncidentState.RESOLVED:
        facts.append(f"over {short(parse_rfc3339(document['resolved_at']))} UTC")
    return IncidentLine(
        id=name,
        severity=str(Severity(document["severity"])),
        state=str(state),
        over=state.over,
        verdict=f"{verdict.label}, {percent(float(document['confidence']))} sure",
        headline=clean(document["headline"]) or clean(name, 60),
        onset_at=parse_rfc3339(document["onset_at"]),
        facts=facts,
        acked="" if ack is None or state.over else f"with {clean(ack.by, 40) or 'somebody'}",
    )


def held_acks(reader: Reader, now: datetime) -> dict[str, Ack]:
    """Acknowledgements that have not ended."""
    return {k: a for k, a in reader.acks().items() if a.until is None or a.until > now}
