"""What is news to a destination: what it was told last against what is known now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.notice import ALWAYS, NoticeReason
from pipeline.notify.matchers import RANK
from pipeline.notify.memory import ENDED, OVER, grown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.notify.memory import Entry
    from pipeline.notify.settings import Route

_N: Final = NoticeReason
# The most pressing first.
ORDER: Final = {
    reason: rank
    for rank, reason in enumerate(
        (
            _N.OPENED,
            _N.UNSILENCED,
            _N.REOPENED,
            _N.SEVERITY_UP,
            _N.SPREAD,
            _N.RESOLVED,
            _N.REROUTED,
            _N.RECOVERING,
            _N.MATCHED,
            _N.ADVISORY_CHANGED,
            _N.CORRECTED,
            _N.REMINDER,
        )
    )
}
# Reasons that no comparison of two revisions shows; they are kept until they are told.
QUEUED: Final = frozenset({_N.MATCHED, _N.ADVISORY_CHANGED, _N.CORRECTED})
ENDS: Final = frozenset({_N.RESOLVED, _N.REROUTED})
# What an acknowledgement does not keep back.
_DESPITE_ACK: Final = ENDS | {_N.OPENED, _N.UNSILENCED, _N.REOPENED}


@dataclass(frozen=True, slots=True)
class News:
    """What one destination does not know of one incident.

    Attributes:
        told: reasons that it is told for, the most pressing first.
        unwanted: that its route does not ask for.
        acknowledged: that are kept back since somebody looks after it.
    """

    told: tuple[NoticeReason, ...] = ()
    unwanted: tuple[NoticeReason, ...] = ()
    acknowledged: tuple[NoticeReason, ...] = ()


def news(
    member: Entry, document: Mapping[str, Any], sink: str, route: Route, *, acknowledged: bool
) -> News:
    """What there is to tell.

    Args:
        member: what the destination knows.
        document: the newest revision.
        sink: the destination.
        route: that takes the incident there.
        acknowledged: whether somebody looks after it.
    """
    told: list[NoticeReason] = []
    unwanted: list[NoticeReason] = []
    kept: list[NoticeReason] = []
    ended = member["told"] is not None and member["told"]["state"] in ENDED
    for reason in sorted(_changes(member, document), key=ORDER.__getitem__):
        anew = reason is _N.REOPENED and ended
        if not (anew or reason in ALWAYS or route.wants(sink, reason)):
            unwanted.append(reason)
        elif acknowledged and reason not in _DESPITE_ACK:
            kept.append(reason)
        else:
            told.append(reason)
    return News(tuple(told), tuple(unwanted), tuple(kept))


def _changes(member: Entry, document: Mapping[str, Any]) -> set[NoticeReason]:
    told, over = member["told"], document["state"] in OVER
    if told is None:
        first = _N.UNSILENCED if member["held"] else _N.OPENED
        return set() if over or member["away"] else {first}
    ended = told["state"] in ENDED
    if member["away"]:
        return set() if ended else {_N.RESOLVED if over else _N.REROUTED}
    found = {NoticeReason(reason) for reason in member["queued"]}
    if over:
        return found if ended else found | {_N.RESOLVED}
    if ended:
        return found | {_N.REOPENED}
    if RANK[document["severity"]] > RANK[told["severity"]]:
        found.add(_N.SEVERITY_UP)
    if grown(told, document):
        found.add(_N.SPREAD)
    if document["state"] != told["state"]:
        found.add(_N.RECOVERING if document["state"] == "recovering" else _N.REOPENED)
    return found
