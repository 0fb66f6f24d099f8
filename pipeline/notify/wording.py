"""The words of a notice: what somebody woken at three in the morning reads in ten seconds."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipeline.model.documents import from_json
from pipeline.model.incident import IncidentState
from pipeline.model.message import Message
from pipeline.model.notice import Notice, NoticeReason
from pipeline.model.vocabulary import CLIENT_LABELS, SERVICE_LABELS, VERDICT_LABELS, Verdict
from pipeline.notify.brief import FAULT, NO_ADVISORY, NONE_MATCHES, brief, split_evidence
from pipeline.notify.clean import SHORT, clean
from pipeline.notify.words import listed, moment, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Evidence, Incident, Severity
    from pipeline.model.notice import NoticeItem

SHOWN: Final = 10
"""Incidents of a group that get a line of their own."""
_LINE: Final = 240
_EVIDENCE: Final = 5
_UNKNOWN: Final = "not known"
_CLIENTS: Final = 6
_LINK: Final = re.compile(r"[!#-;=?-Z_a-z~%\[\]]{1,2000}")
_WHY: Final = {
    NoticeReason.OPENED: "This has just been found.",
    NoticeReason.SPREAD: "It has spread since the last message.",
    NoticeReason.SEVERITY_UP: "It is worse than in the last message: {severity} now.",
    NoticeReason.MATCHED: "An advisory of Microsoft fits it now.",
    NoticeReason.ADVISORY_CHANGED: "What Microsoft says about it has changed.",
    NoticeReason.RECOVERING: "It is getting better, but it is not over yet.",
    NoticeReason.RESOLVED: "It is over: {end}.",
    NoticeReason.REOPENED: "It is back, after it was called over.",
    NoticeReason.CORRECTED: "Late records have corrected what was said before.",
    NoticeReason.REMINDER: "A reminder: it still goes on, and nobody has acknowledged it.",
    NoticeReason.UNSILENCED: "It was held back until now (a silence, quiet hours, maintenance or a "
    "larger incident), and it still goes on.",
    NoticeReason.REROUTED: "It still goes on, but it is told elsewhere from now on. This is the "
    "last message here.",
}
_ENDS: Final = {
    Verdict.TELEMETRY_GAP: "records arrive again",
    Verdict.ATTACK: "nothing of it is seen any more",
    Verdict.UNDETERMINED: "nothing unusual is seen any more",
}
_END: Final = "users work as usual again"
_RETRACTED: Final = "Taken back: late records show that nothing unusual happened."
_WHY_GROUP: Final = {
    NoticeReason.OPENED: "At least one of these has just been found.",
    NoticeReason.SPREAD: "At least one of these has spread since the last message.",
    NoticeReason.SEVERITY_UP: "At least one of these is worse than in the last message: {severity} "
    "now.",
    NoticeReason.MATCHED: "An advisory of Microsoft fits at least one of these now.",
    NoticeReason.ADVISORY_CHANGED: "What Microsoft says about at least one of these has changed.",
    NoticeReason.RECOVERING: "At least one of these is getting better, and is not over yet.",
    NoticeReason.RESOLVED: "At least one of these is over.",
    NoticeReason.REOPENED: "At least one of these is back, after it was called over.",
    NoticeReason.CORRECTED: "Late records have corrected what was said before.",
    NoticeReason.REMINDER: "A reminder: these still go on, and nobody has acknowledged them.",
    NoticeReason.UNSILENCED: "These were held back until now (a silence, quiet hours, maintenance "
    "or a larger incident), and still go on.",
    NoticeReason.REROUTED: "These still go on, but they are told elsewhere from now on. This is "
    "the last message here.",
}
_ALL_OVER: Final = "All of these are over."
_STATES: Final = {
    IncidentState.RECOVERING: ", recovering",
    IncidentState.RESOLVED: ", over",
    IncidentState.RETRACTED: ", taken back",
}
_LABELS: Final[dict[str, Mapping[Any, str]]] = {
    "client": CLIENT_LABELS,
    "service": SERVICE_LABELS,
    "verdict": VERDICT_LABELS,
}


def message_of(
    document: Mapping[str, Any],
    *,
    time_zone: str = "UTC",
    advisories: Mapping[str, Advisory] | None = None,
) -> Message:
    """A notice in words.

    Args:
        document: ``outrider.notice/1``.
        time_zone: IANA name of the clock printed beside UTC.
        advisories: by id, for their titles.

    Raises:
        KeyError: a field of the document, or the time zone, is missing.
        TypeError: the same.
        ValueError: the document holds a value that this version does not know.
    """
    notice = from_json(Notice, document)
    reference = f"{clean(notice.notice_id, 60)}, revision {notice.revision}"
    link = _link(notice.link)
    severity, state = str(notice.severity), str(notice.state)
    if len(notice.incidents) == 1:
        incident = notice.incidents[0].incident
        supporting, opposing = split_evidence(incident)
        facts = brief(incident, time_zone=time_zone, advisories=advisories, at=notice.at)
        return Message(
            title=_headed(notice, clean(incident.headline)),
            reason=_why(notice),
            severity=severity,
            state=state,
            facts=_shown(facts.rows()),
            evidence_for=_told(supporting),
            evidence_against=_told(opposing),
            link=link,
            reference=reference,
        )
    return Message(
        title=_headed(notice, _common(notice)),
        reason=_why(notice),
        severity=severity,
        state=state,
        facts=_shown(_group_facts(notice, time_zone)),
        incidents=tuple(_lines(notice)),
        link=link,
        reference=reference,
    )


def _shown(facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((question, clean(answer, 2 * SHORT) or _UNKNOWN) for question, answer in facts)


def _told(items: Iterable[Evidence]) -> tuple[str, ...]:
    texts = (clean(item.text) for item in items)
    return tuple(islice(filter(None, texts), _EVIDENCE))


def _headed(notice: Notice, text: str) -> str:
    """Severity and state first: on a locked phone a title has some forty characters."""
    word = notice.severity.upper()
    head = {
        IncidentState.OPEN: word,
        IncidentState.RECOVERING: f"{word}, RECOVERING",
        IncidentState.RESOLVED: f"OVER (was {notice.severity})",
        IncidentState.RETRACTED: f"TAKEN BACK (was {notice.severity})",
    }[notice.state]
    if all(item.reason is NoticeReason.REROUTED for item in notice.incidents):
        head = f"TOLD ELSEWHERE ({notice.severity})"
    return clean(f"{head}: {text}", SHORT)


def _why(notice: Notice) -> str:
    group = len(notice.incidents) > 1
    if notice.state.over and notice.reason is not NoticeReason.REROUTED:
        if notice.state is IncidentState.RETRACTED:
            return _RETRACTED
        if group:
            return _ALL_OVER
    words = (_WHY_GROUP if group else _WHY)[notice.reason]
    end = _ENDS.get(notice.incidents[0].incident.verdict, _END)
    return words.format(severity=notice.severity, end=end)


def _common(notice: Notice) -> str:
    """One headline for all: how many, what they have in common, how many go on."""
    incidents = [item.incident for item in notice.incidents]
    going_on = sum(not i.state.over for i in incidents)
    shared = [_label(name, value) for name, value in notice.group.items()]
    if not shared:
        shared = list(dict.fromkeys(s.label for i in incidents for s in i.services))[:_CLIENTS]
    count = plural(len(incidents), "incident")
    state = "" if going_on in {0, len(incidents)} else f", {going_on} going on"
    return f"{count}{state}: {listed(shared)}"


def _label(name: str, value: str) -> str:
    labels = {str(key): text for key, text in _LABELS.get(name, {}).items()}
    told = labels.get(value)
    return told or f"{clean(name, 40).replace('_', ' ')} {clean(value, 80)}"


def _group_facts(notice: Notice, time_zone: str) -> list[tuple[str, str]]:
    incidents = [item.incident for item in notice.incidents]
    largest = max(i.affected_users for i in incidents)
    clients = list(dict.fromkeys(c.label for i in incidents for c in i.clients))
    if len(clients) > _CLIENTS:
        clients = [*clients[:_CLIENTS], f"{len(clients) - _CLIENTS} more"]
    faults = Counter(FAULT[i.verdict] for i in incidents)
    first = min(i.onset_at for i in incidents)
    who = "users unknown"
    if largest:
        # Not a sum: one person may be hit by several of them.
        who = f"{plural(largest, 'user')} in the largest; some may be in several"
    return [
        ("Who", who),
        ("Clients", listed(clients) or _UNKNOWN),
        ("Since", f"{moment(first, time_zone)} (the first of them)"),
        ("Whose fault", listed([_share(f, n, len(incidents)) for f, n in faults.most_common()])),
        ("Advisory", _advisories(incidents)),
    ]


def _share(fault: str, number: int, total: int) -> str:
    return fault if number == total else f"{fault} ({number} of {total})"


def _advisories(incidents: list[Incident]) -> str:
    found = {i.advisory.advisory_id: i for i in incidents if i.advisory is not None}
    if found:
        return listed([clean(name, 40) for name in found][:_CLIENTS])
    outage = any(i.verdict is Verdict.SERVICE_OUTAGE for i in incidents)
    return NO_ADVISORY if outage else NONE_MATCHES


def _lines(notice: Notice) -> list[str]:
    lines = [_line(item) for item in notice.incidents[:SHOWN]]
    more = len(notice.incidents) - SHOWN
    return [*lines, f"and {more} more"] if more > 0 else lines


def _line(item: NoticeItem) -> str:
    incident = item.incident
    severity: Severity = incident.severity
    head = f"{severity.upper()}{_STATES.get(incident.state, '')}"
    return f"{head}: {clean(incident.headline, _LINE)} ({clean(incident.incident_id, 60)})"


def _link(text: str | None) -> str:
    """An address that a reader may follow; whatever else stands there is no link."""
    if text is None or not _LINK.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.hostname else ""
