"""How well one advisory fits one incident: five factors, each with its reason.

score = service x clients x time x symptom x region x verdict, each 0..1. A product, since
one thing that cannot fit (another service, another month) is enough to rule a match out.
The factors are set by judgement, not learned: no public data holds an outage and its own
advisory together.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.match.regions import countries_of
from pipeline.match.times import Clocks, clocks, distance, duration, minute
from pipeline.model.advisory import Symptom
from pipeline.model.incident import AdvisoryMatch, IncidentState
from pipeline.model.vocabulary import CLIENT_FAMILIES, Client, Service, Verdict, same_client

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident

    Factor: TypeAlias = tuple[float, str]

THRESHOLD: Final = 0.4
"""Lowest score that is a match: "Exchange Online, some connection methods" of the same day
(0.55 for the clients, 0.9 for an unknown region) is one, the same of another week is not."""

_TOLERANCE: Final = timedelta(hours=24)
_SLACK: Final = timedelta(hours=12)
_DECAY: Final = timedelta(days=10)

_SYMPTOMS: Final[dict[Symptom, float]] = {
    Symptom.ACCESS: 1.0,
    Symptom.UNKNOWN: 0.7,
    Symptom.MAIL_FLOW: 0.25,
    Symptom.FEATURE: 0.25,
    Symptom.FILTERING: 0.0,
    Symptom.ADMIN: 0.0,
}
_NO_CLIENT_NAMED: Final = 0.55
_FAMILY_CREDIT: Final = {"mobile": 0.4, "mac": 0.4, "windows": 0.4, "legacy_protocol": 0.1}


def score(incident: Incident, advisory: Advisory) -> AdvisoryMatch | None:
    """Return the match, or None where the advisory cannot be about the incident.

    ``advisory`` is to be as known at the moment of judging (``knowledge.known_at``). A
    withdrawn advisory (``falsePositive``) matches nothing, nor does a retracted incident.
    """
    if advisory.is_false_positive or incident.state is IncidentState.RETRACTED:
        return None
    times = clocks(advisory)
    if times is None:
        return None
    factors = (
        _service(incident, advisory),
        _clients(incident, advisory),
        _time(incident, times),
        _symptom(incident, advisory),
        _region(incident, advisory),
        _verdict(incident),
    )
    total = math.prod(value for value, _ in factors)
    if total < THRESHOLD:
        return None
    reasons = [f"{reason} ({value:.2f})" for value, reason in factors if reason]
    lead = None
    if advisory.first_published_at is not None:
        lead = (advisory.first_published_at - incident.raised_at).total_seconds()
        side = "after" if lead >= 0 else "before"
        reasons.append(f"first published {duration(abs(lead))} {side} we raised the incident")
    reasons.extend(_status(incident, advisory))
    return AdvisoryMatch(
        advisory_id=advisory.advisory_id,
        score=round(total, 4),
        reasons=tuple(reasons),
        lead_seconds=lead,
        lead_seconds_start=(times.start - incident.onset_at).total_seconds(),
        start_used=times.start_used,
    )


def _names(items: Iterable[Client | Service]) -> str:
    return ", ".join(i.label for i in sorted(items))


def _service(incident: Incident, advisory: Advisory) -> Factor:
    if not advisory.services:
        return 0.7, "the advisory is about the whole suite and names no service"
    shared = set(incident.services) & set(advisory.services)
    if shared:
        return 1.0, f"the same service: {_names(shared)}"
    if Service.IDENTITY in advisory.services:
        return (
            0.8,
            f"sign-in itself is named, and {_names(incident.services)} is reached through it",
        )
    return 0.0, ""


def _credit(client: Client, others: Iterable[Client]) -> float:
    """1 where ``client`` is one of the others, less for a sibling of its family."""
    best = 0.0
    for other in others:
        if same_client(client, other):
            return 1.0
        for family, members in CLIENT_FAMILIES.items():
            if client in members and other in members:
                best = max(best, _FAMILY_CREDIT[family])
    return best


def client_overlap(incident: Iterable[Client], weights: dict[Client, float]) -> float:
    """F-measure (beta 0.5) of the incident's clients against those an advisory names.

    Precision (how much of the incident is named) counts more than recall: a client of
    which this tenant has three users is named and never seen to fail.

    >>> client_overlap([Client.OUTLOOK_MAC], {Client.OUTLOOK_MAC_NEW: 1.0})
    1.0
    >>> client_overlap([Client.OWA], {Client.IMAP4: 1.0})
    0.0
    """
    ours = sorted(set(incident))
    if not ours or not weights:
        return 0.0
    precision = sum(_weighted_credit(c, weights) for c in ours) / len(ours)
    recall = sum(w * _credit(c, ours) for c, w in weights.items()) / sum(weights.values())
    if precision <= 0 or recall <= 0:
        return 0.0
    return min(1.0, 1.25 * precision * recall / (0.25 * precision + recall))


def _weighted_credit(client: Client, weights: dict[Client, float]) -> float:
    return max(w * _credit(client, (other,)) for other, w in weights.items())


def _clients(incident: Incident, advisory: Advisory) -> Factor:
    ours = set(incident.clients)
    if not ours:
        return _NO_CLIENT_NAMED, "the incident names no client"
    excluded = {c for c in ours if any(same_client(c, x) for x in advisory.excluded_clients)}
    if advisory.all_clients:
        value = 0.95 if len(ours) >= 3 else 0.75
        return value, f"the advisory says any connection method; we see {len(ours)} clients fail"
    if not advisory.client_weights:
        kept = 1.0 - len(excluded) / len(ours)
        text = "the advisory names no client"
        if excluded:
            text += f" but excludes {_names(excluded)}"
        return _NO_CLIENT_NAMED * kept, text
    value = client_overlap(ours, advisory.client_weights)
    if value <= 0:
        return 0.0, ""
    named = {c for c in ours if _credit(c, advisory.client_weights) >= 1.0}
    text = f"{len(named)} of our {len(ours)} clients are among the {len(advisory.clients)} it names"
    if named:
        text += f" ({_names(named)})"
    if excluded:
        value *= 1.0 - len(excluded) / len(ours)
        text += f"; it says that {_names(excluded)} is not impacted"
    return value, text


def _time(incident: Incident, times: Clocks) -> Factor:
    gap = distance(incident, times)
    delta = abs(times.start - incident.onset_at)
    late = max(timedelta(), delta - _SLACK) / _DECAY
    value = 0.5 + 0.5 * math.exp(-late)
    side = "after" if times.start >= incident.onset_at else "before"
    text = (
        f"its start {minute(times.start)} ({times.label}) is "
        f"{duration(delta.total_seconds())} {side} our onset"
    )
    if gap > timedelta():
        value *= max(0.0, 1.0 - gap / _TOLERANCE)
        text += f", and {duration(gap.total_seconds())} lie between the two"
    return value, text


def _symptom(incident: Incident, advisory: Advisory) -> Factor:
    mail = advisory.symptom is Symptom.MAIL_FLOW and Client.SMTP_AUTH in incident.clients
    value = 0.8 if mail else _SYMPTOMS[advisory.symptom]
    return value, f"symptom: {advisory.symptom.replace('_', ' ')}"


def _region(incident: Incident, advisory: Advisory) -> Factor:
    if not advisory.regions:
        return 1.0, ""
    where = ", ".join(r.replace("_", " ") for r in advisory.regions)
    inside = countries_of(advisory.regions)
    slices = [s for s in incident.scope if s.dimension == "country"]
    if not slices:
        return 0.9, f"it is limited to {where}; the incident stands out in no country"
    users = sum(s.affected_users for s in slices)
    fitting = sum(s.affected_users for s in slices if s.value.upper() in inside)
    share = fitting / users if users else 0.0
    return (
        0.2 + 0.8 * share,
        f"limited to {where}, where {fitting} of {users} users of our scope are",
    )


def _verdict(incident: Incident) -> Factor:
    if incident.verdict in {Verdict.SERVICE_OUTAGE, Verdict.UNDETERMINED}:
        return 1.0, ""
    return 0.6, f"our own verdict is {incident.verdict.label}"


def _status(incident: Incident, advisory: Advisory) -> list[str]:
    if advisory.restored_at is None:
        return []
    text = f"declared restored {minute(advisory.restored_at)}"
    end = incident.resolved_at
    if end is None:
        return [f"{text}; not over for us as of {minute(incident.published_at)}"]
    seconds = (end - advisory.restored_at).total_seconds()
    side = "after" if seconds >= 0 else "before"
    return [f"{text}; over for us {duration(abs(seconds))} {side} that"]
