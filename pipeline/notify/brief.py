"""An incident in ten seconds: the few facts somebody needs at three in the morning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Verdict
from pipeline.notify.clean import clean
from pipeline.notify.words import count, duration, listed, moment, percent, plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import AdvisoryMatch, Evidence, HealthyClient, Incident

FAULT: Final = {
    Verdict.SERVICE_OUTAGE: "Microsoft's",
    Verdict.TENANT_CHANGE: "ours: a change of our own",
    Verdict.ATTACK: "an attack on accounts",
    Verdict.LOCAL_NETWORK: "one site's network",
    Verdict.TELEMETRY_GAP: "our telemetry: records are missing",
    Verdict.UNDETERMINED: "not certain",
}
NO_ADVISORY: Final = "no advisory yet (first to know by our logs)"
NONE_MATCHES: Final = "none matches"
_NOT_OVER: Final = {
    IncidentState.RECOVERING: "recovering",
    IncidentState.RETRACTED: "taken back: late records leave nothing unusual",
}
_SCOPE_SHOWN: Final = 3
_NONE: Final = "not known"


@dataclass(frozen=True, slots=True)
class Brief:
    """The facts, in the order they are asked for; each a short sentence."""

    who: str
    clients: str
    where: str
    since: str
    works: str
    fault: str
    advisory: str

    def rows(self) -> list[tuple[str, str]]:
        """Question and answer, in order."""
        return [
            ("Who", self.who),
            ("Clients", self.clients),
            ("Where", self.where),
            ("Since", self.since),
            ("Still works", self.works),
            ("Whose fault", self.fault),
            ("Advisory", self.advisory),
        ]


def brief(
    incident: Incident,
    *,
    time_zone: str = "UTC",
    advisories: Mapping[str, Advisory] | None = None,
    at: datetime | None = None,
) -> Brief:
    """The facts of one revision.

    Args:
        incident: the revision to tell.
        time_zone: printed beside UTC.
        advisories: by id, for their titles.
        at: now, where it is told how long the incident has been going on.
    """
    return Brief(
        who=_who(incident),
        clients=listed([c.label for c in incident.clients]) or _NONE,
        where=where(incident),
        since=_since(incident, time_zone, at),
        works=listed([works(h) for h in incident.healthy_clients[:_SCOPE_SHOWN]]) or _NONE,
        fault=_fault(incident),
        advisory=_advisory(incident, advisories or {}),
    )


def _fault(incident: Incident) -> str:
    """How sure we are of a cause; there is no being sure of not knowing it."""
    fault = FAULT[incident.verdict]
    if incident.verdict is Verdict.UNDETERMINED:
        return fault
    return f"{fault} ({percent(incident.confidence)} sure)"


def _who(incident: Incident) -> str:
    lost = incident.user_minutes_lost / 60
    users = plural(incident.affected_users, "user") if incident.affected_users else "users unknown"
    parts = [f"{users} of {listed([s.label for s in incident.services])}"]
    if lost >= 1:
        parts.append(f"{plural(round(lost), 'user-hour')} lost")
    if len(incident.tenants) > 1:
        parts.append(plural(len(incident.tenants), "tenant"))
    return ", ".join(parts)


def where(incident: Incident) -> str:
    """The slices that explain the incident, or that it is everywhere."""
    if incident.verdict is Verdict.TELEMETRY_GAP and not incident.scope:
        return _NONE
    if not incident.scope:
        return "everywhere: no country, network or version stands out"
    return "; ".join(
        f"{clean(s.dimension).replace('_', ' ')} {clean(s.value)}: {percent(s.share_inside)} of the affected, "
        f"usually {percent(s.share_normal)}"
        for s in incident.scope[:_SCOPE_SHOWN]
    )


def works(healthy: HealthyClient) -> str:
    """One client that still works, e.g. ``Outlook on the web (98 %, 12 of them there)``."""
    already = healthy.affected_users_succeeding
    moved = f", {count(already)} of the affected already there" if already else ""
    return f"{healthy.client.label} ({percent(healthy.success_rate)} succeed{moved})"


def _since(incident: Incident, time_zone: str, at: datetime | None) -> str:
    text = moment(incident.onset_at, time_zone)
    until = incident.resolved_at
    if incident.state is IncidentState.RESOLVED and until is not None:
        lasted = duration((until - incident.onset_at).total_seconds())
        return f"{text}; over {moment(until, time_zone)}, after {lasted}"
    if incident.state is IncidentState.OPEN and at is not None and at > incident.onset_at:
        return f"{text}; still going on after {duration((at - incident.onset_at).total_seconds())}"
    return f"{text}; {_NOT_OVER.get(incident.state, 'still going on')}"


def _advisory(incident: Incident, advisories: Mapping[str, Advisory]) -> str:
    match = incident.advisory
    if match is None:
        if incident.verdict is Verdict.SERVICE_OUTAGE:
            return NO_ADVISORY
        return NONE_MATCHES
    known = advisories.get(match.advisory_id)
    title = f" {clean(known.title, 120)}" if known is not None else ""
    return f"{clean(match.advisory_id, 40)}{title}; {lead(match)}"


def lead(match: AdvisoryMatch) -> str:
    """Who was first, against the first publication."""
    return ahead(match.lead_seconds, "its first post", "no time of publication is known")


def ahead(seconds: float | None, than: str, unknown: str) -> str:
    """A lead in words; a negative one is told as plainly as a positive.

    >>> ahead(11580, "its first post", ""), ahead(-2460, "its first post", "")
    ('we knew 3 h 13 min before its first post', 'we knew 41 min after its first post')
    """
    if seconds is None:
        return unknown
    side = "before" if seconds >= 0 else "after"
    return f"we knew {duration(seconds)} {side} {than}"


def split_evidence(incident: Incident) -> tuple[list[Evidence], list[Evidence]]:
    """Evidence for and against the verdict, the weightiest first, each fact once.

    What speaks for another verdict speaks against this one. One fact may speak about
    several verdicts; it stands where it weighs most.
    """
    supporting: list[Evidence] = []
    opposing: list[Evidence] = []
    told: set[str] = set()
    for item in sorted(incident.evidence, key=lambda e: -abs(e.weight)):
        if item.weight == 0 or item.text in told:
            continue
        told.add(item.text)
        for_it = (item.weight > 0) == (item.verdict is incident.verdict)
        # Evidence against a rival is no proof of this verdict, but it is on its side.
        (supporting if for_it else opposing).append(item)
    return supporting, opposing
