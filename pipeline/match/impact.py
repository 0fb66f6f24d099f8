"""For every advisory: are we affected, how sure is that, and is it over for us?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from pipeline.match.score import score
from pipeline.match.times import clocks, duration, minute
from pipeline.model.advisory import Answer, ClientImpact, Impact, Over, Symptom
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Client, Service, same_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident

Exposure: TypeAlias = "Mapping[tuple[Service, Client], tuple[int, float]]"
"""By (service, client): (active users a day, smallest detectable effect 0..1)."""

# A client of whose users even a half failing would go unseen cannot clear us.
_WEAKEST: Final = 0.5
_SEEN: Final = frozenset({Symptom.ACCESS, Symptom.UNKNOWN})


def impact(advisory: Advisory, incidents: Sequence[Incident], exposure: Exposure) -> Impact:
    """Answer for one advisory, from what is known now.

    Args:
        advisory: the newest version.
        incidents: revisions in any order; the newest of each id counts, with the matches
            attached to it, or scored here where none are.
        exposure: what is watched here and how well. A pair that is missing is not watched;
            an effect of 1.0 or more means blind.

    Returns:
        ``yes`` if an incident matches; ``no_sign`` if every client in question is watched
        well enough, with the effect that would have been seen; else ``cannot_tell``.
    """
    ours = _matching(advisory, _newest(incidents))
    pairs = _pairs(advisory, ours, exposure)
    if advisory.symptom not in _SEEN and not ours:
        return _out_of_sight(advisory, pairs, exposure)
    clients = tuple(_client(advisory, s, c, ours, exposure) for s, c in pairs)
    answer = _answer(clients, bool(ours))
    effects = [c.detectable_effect for c in clients if c.detectable_effect is not None]
    power = max(effects) if answer is Answer.NO_SIGN else None
    users = max((i.affected_users for i in ours), default=0)
    return Impact(
        advisory_id=advisory.advisory_id,
        answer=answer,
        over=_over(clients, ours),
        statement=_statement(advisory, answer, ours, clients, power),
        clients=clients,
        affected_users=users,
        detectable_effect=power,
        declared_restored_at=advisory.restored_at,
        incident_ids=tuple(i.incident_id for i in ours),
    )


def _newest(incidents: Sequence[Incident]) -> list[Incident]:
    newest: dict[str, Incident] = {}
    for incident in incidents:
        held = newest.get(incident.incident_id)
        if held is None or incident.revision >= held.revision:
            newest[incident.incident_id] = incident
    return sorted(newest.values(), key=lambda i: (i.onset_at, i.incident_id))


def _matching(advisory: Advisory, incidents: Sequence[Incident]) -> list[Incident]:
    if advisory.is_false_positive:
        return []
    return [i for i in incidents if _attached(i, advisory.advisory_id) or score(i, advisory)]


def _attached(incident: Incident, advisory_id: str) -> bool:
    matches = [m for m in (incident.advisory, *incident.other_advisories) if m is not None]
    return any(advisory_id in {m.advisory_id, *m.relisted_as} for m in matches)


def _pairs(
    advisory: Advisory, ours: Sequence[Incident], exposure: Exposure
) -> list[tuple[Service, Client]]:
    """The (service, client) pairs in question, in order."""
    services = set(advisory.services) or {s for s, _ in exposure}
    if advisory.clients and not advisory.all_clients:
        watched = {
            (s, c)
            for s, c in exposure
            if s in services and any(same_client(c, a) for a in advisory.clients)
        }
        # Named but not watched here: it stays in the answer, as what we cannot tell.
        unseen = {a for a in advisory.clients if not any(same_client(c, a) for _, c in watched)}
        home = min(services, default=Service.OTHER)
        watched |= {(home, a) for a in unseen}
    else:
        excluded = advisory.excluded_clients
        watched = {
            (s, c)
            for s, c in exposure
            if s in services
            and c is not Client.SYSTEM
            and not any(same_client(c, x) for x in excluded)
        }
    # Clients that fail with the named ones belong to the answer.
    more = {
        (s, c)
        for i in ours
        for s in i.services
        for c in i.clients
        if s in services and not any(s == s2 and same_client(c, c2) for s2, c2 in watched)
    }
    return sorted(watched | more)


def _client(
    advisory: Advisory,
    service: Service,
    client: Client,
    ours: Sequence[Incident],
    exposure: Exposure,
) -> ClientImpact:
    hits = [
        i for i in ours if service in i.services and any(same_client(client, c) for c in i.clients)
    ]
    users, effect = exposure.get((service, client), (0, None))
    name = client.label
    if hits:
        return _affected(advisory, service, client, hits, users, effect)
    if effect is None:
        answer, text = Answer.CANNOT_TELL, f"{name} is not seen in the logs we hold"
    elif effect > _WEAKEST:
        answer = Answer.CANNOT_TELL
        text = f"{name}: {users} users a day are too few, or too little of them is seen, to tell"
    else:
        answer = Answer.NO_SIGN
        text = (
            f"{name}: no sign among {users} users a day; an effect on {effect:.0%} of them "
            "would have been seen"
        )
    over = Over.NOT_AFFECTED if answer is Answer.NO_SIGN else Over.CANNOT_TELL
    return ClientImpact(client, service, answer, over, text, users, effect)


def _affected(
    advisory: Advisory,
    service: Service,
    client: Client,
    hits: Sequence[Incident],
    users: int,
    effect: float | None,
) -> ClientImpact:
    over, over_at = _end(hits)
    affected = max(i.affected_users for i in hits)
    text = f"{client.label}: affected since {minute(min(i.onset_at for i in hits))}"
    if over is Over.YES and over_at is not None:
        text += f", over {minute(over_at)}"
    elif over is Over.RECOVERING:
        text += ", recovering"
    else:
        text += ", not over"
    if advisory.restored_at is not None:
        text += f"; declared restored {minute(advisory.restored_at)}"
        if over_at is not None:
            seconds = (over_at - advisory.restored_at).total_seconds()
            side = "before" if seconds >= 0 else "after"
            text += f", {duration(abs(seconds))} {side} it was over for us"
    return ClientImpact(
        client=client,
        service=service,
        answer=Answer.YES,
        over=over,
        statement=text,
        active_users=users,
        detectable_effect=effect,
        affected_users=affected,
        over_at=over_at,
        incident_ids=tuple(i.incident_id for i in hits),
    )


def _end(hits: Sequence[Incident]) -> tuple[Over, datetime | None]:
    if any(i.state is IncidentState.OPEN for i in hits):
        return Over.NO, None
    if any(i.state is IncidentState.RECOVERING for i in hits):
        return Over.RECOVERING, None
    return Over.YES, max((i.resolved_at for i in hits if i.resolved_at), default=None)


def _answer(clients: Sequence[ClientImpact], affected: bool) -> Answer:  # noqa: FBT001 # internal
    if affected:
        return Answer.YES
    if clients and all(c.answer is Answer.NO_SIGN for c in clients):
        return Answer.NO_SIGN
    return Answer.CANNOT_TELL


def _over(clients: Sequence[ClientImpact], ours: Sequence[Incident]) -> Over:
    if ours:
        return _end(ours)[0]
    if clients and all(c.over is Over.NOT_AFFECTED for c in clients):
        return Over.NOT_AFFECTED
    return Over.CANNOT_TELL


def _statement(
    advisory: Advisory,
    answer: Answer,
    ours: Sequence[Incident],
    clients: Sequence[ClientImpact],
    power: float | None,
) -> str:
    text = _sentence(advisory, answer, ours, clients, power)
    if advisory.is_false_positive:
        text = f"Microsoft withdrew this advisory. {text}"
    return text


def _sentence(
    advisory: Advisory,
    answer: Answer,
    ours: Sequence[Incident],
    clients: Sequence[ClientImpact],
    power: float | None,
) -> str:
    if answer is Answer.YES:
        users = max(i.affected_users for i in ours)
        hit = sorted({c.client.label for c in clients if c.answer is Answer.YES})
        who = f" on {', '.join(hit)}" if hit else ""
        return (
            f"Yes: at least {users} of our users{who}, since "
            f"{minute(min(i.onset_at for i in ours))}."
        )
    times = clocks(advisory)
    since = f" since {minute(times.start)}" if times is not None else ""
    if answer is Answer.NO_SIGN:
        return f"No sign{since}; we would have seen an effect on {power:.0%} of the users."
    blind = sorted({c.client.label for c in clients if c.answer is Answer.CANNOT_TELL})
    if not blind:
        return "We cannot tell: nothing the advisory names is seen in the logs we hold."
    clear = sorted({c.client.label for c in clients if c.answer is Answer.NO_SIGN})
    text = f"We cannot tell for {', '.join(blind)}"
    return f"{text}; no sign on {', '.join(clear)}." if clear else f"{text}."


def _out_of_sight(
    advisory: Advisory, pairs: Sequence[tuple[Service, Client]], exposure: Exposure
) -> Impact:
    kind = advisory.symptom.replace("_", " ")
    text = f"trouble of the kind '{kind}' leaves no trace in sign-in and mailbox-access logs"
    clients = tuple(
        ClientImpact(
            client,
            service,
            Answer.CANNOT_TELL,
            Over.CANNOT_TELL,
            f"{client.label}: {text}",
            *exposure.get((service, client), (0, None)),
        )
        for service, client in pairs
    )
    statement = f"We cannot tell: {text}."
    if advisory.is_false_positive:
        statement = f"Microsoft withdrew this advisory. {statement}"
    return Impact(
        advisory_id=advisory.advisory_id,
        answer=Answer.CANNOT_TELL,
        over=Over.CANNOT_TELL,
        statement=statement,
        clients=clients,
        declared_restored_at=advisory.restored_at,
    )
