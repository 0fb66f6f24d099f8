"""Notices as documents (``outrider.notice/1``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from pipeline.model.clock import rfc3339
from pipeline.model.ids import content_id
from pipeline.model.incident import IncidentState
from pipeline.model.notice import Notice, NoticeReason
from pipeline.notify.matchers import RANK
from pipeline.notify.memory import OVER
from pipeline.notify.news import ORDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.notify.memory import Entry

_STATES: Final = [state.value for state in IncidentState]


class Item(NamedTuple):
    """An incident of a notice and why it is in it."""

    reason: NoticeReason
    document: Mapping[str, Any]

    @property
    def over(self) -> bool:
        """Whether it is over for the destination."""
        return self.reason is NoticeReason.REROUTED or self.document["state"] in OVER

    @property
    def state(self) -> str:
        """Its state for the destination."""
        away = self.reason is NoticeReason.REROUTED
        return IncidentState.RESOLVED.value if away else str(self.document["state"])


def group_id(sink_route: str, group: Mapping[str, str], first: str) -> str:
    """The notice_id of a group that begins with the incident ``first``."""
    return content_id("grp", sink_route, sorted(group.items()), first)


def notice_of(
    thread: Entry,
    items: Sequence[Item],
    reason: NoticeReason,
    group: Mapping[str, str],
    now: datetime,
    public_url: str | None,
) -> dict[str, Any]:
    """The document of one notice.

    Args:
        thread: that it belongs to, with its new revision.
        items: at least one, in any order.
        reason: why it is sent.
        group: labels that they have in common.
        now: when it was decided.
        public_url: address of the pages, if there are any.
    """
    ordered = sorted(items, key=_pressing)
    going_on = [i for i in ordered if not i.over]
    severity = max((i.document["severity"] for i in going_on or ordered), key=RANK.__getitem__)
    first = str(ordered[0].document["incident_id"])
    link = {} if public_url is None else {"link": f"{public_url}/incidents/{quote(first, safe='')}"}
    return {
        "schema": Notice.SCHEMA,
        "notice_id": thread["notice_id"],
        "revision": thread["revision"],
        "sink": thread["sink"],
        "at": rfc3339(now),
        "reason": reason.value,
        "state": min((i.state for i in ordered), key=_STATES.index),
        "severity": severity,
        "group": dict(group),
        "incidents": [{"reason": i.reason.value, "incident": i.document} for i in ordered],
        **link,
    }


def _pressing(item: Item) -> tuple[bool, int, int, str, str]:
    document = item.document
    return (
        item.over,
        -RANK[document["severity"]],
        ORDER[item.reason],
        document["onset_at"],
        document["incident_id"],
    )


def common(documents: Sequence[Mapping[str, tuple[str, ...]]], by: Sequence[str]) -> dict[str, str]:
    """The values of some labels that all have in common, each joined by a comma."""
    found = {}
    for name in by:
        shared = set.intersection(*(set(labels[name]) for labels in documents))
        if shared:
            found[name] = ", ".join(sorted(shared))
    return found
