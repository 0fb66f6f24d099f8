"""Which threads an incident belongs to: by its routes, and for as long as they take it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import parse_rfc3339, to_us
from pipeline.notify.matchers import labels_of
from pipeline.notify.memory import staying_labels
from pipeline.notify.notices import common, group_id
from pipeline.notify.routing import by_sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.notify.holding import Situation
    from pipeline.notify.memory import Entry, Memory
    from pipeline.notify.settings import Route

# Of what is older than this when it is taken more is likely to follow at once: its end, say.
_OLD: Final = timedelta(hours=1)
_OLD_WAITS: Final = timedelta(minutes=5)
_US: Final = timedelta(microseconds=1)
# A group of more begins another thread: a message has to fit somewhere.
MOST_OF_A_GROUP: Final = 25


def place(memory: Memory, situation: Situation, name: str, document: Mapping[str, Any]) -> None:
    """Let an incident that goes on into its threads, and out of those that it belongs to no more."""
    root, covered = situation.settings.root, set()
    for key in memory.threads_of(name):
        thread = memory.threads[key]
        member = thread["members"][name]
        route = by_sink(root, staying_labels(member, document)).get(thread["sink"])
        if route is not None and list(route.group_by) == thread["by"]:
            covered.add(thread["sink"])
            if member["away"]:
                memory.thread(key)["members"][name]["away"] = False
        elif member["told"] is None:
            memory.leave(key, name)
        elif not member["away"]:
            memory.thread(key)["members"][name]["away"] = True
    labels = labels_of(document)
    for sink, route in by_sink(root, labels).items():
        if sink in situation.settings.sinks and sink not in covered:
            _join(memory, situation, document, sink, route)


def _join(
    memory: Memory, situation: Situation, document: Mapping[str, Any], sink: str, route: Route
) -> None:
    name, labels, now = document["incident_id"], labels_of(document), to_us(situation.now)
    group = common([labels], route.group_by)
    key = _thread_for(memory, sink, route, group, name)
    if key is None:
        key = _begin(memory, sink, route, group, f"{name}@{now}" if route.group_by else name, now)
    old = situation.now - parse_rfc3339(document["published_at"]) > _OLD
    member: Entry = {
        "due": now + (_OLD_WAITS // _US if old else 0),
        "told": None,
        "queued": [],
        "held": False,
        "away": False,
        "labels": {"state": document["state"], "reason": document["reason"]},
        "last": None,
    }
    memory.join(key, name, member)


def _begin(
    memory: Memory, sink: str, route: Route, group: Mapping[str, str], first: str, now: int
) -> str:
    """A new thread; its key."""
    notice_id = group_id(route.name, group, first) if route.group_by else first
    thread: Entry = {
        "sink": sink,
        "notice_id": notice_id,
        "by": list(route.group_by),
        "group": dict(group),
        "born": now,
        "revision": 0,
        "sent": None,
        "done": None,
        "members": {},
    }
    key = f"{sink} {notice_id}"
    memory.begin(key, thread)
    return key


def _thread_for(
    memory: Memory, sink: str, route: Route, group: Mapping[str, str], name: str
) -> str | None:
    """The thread that an incident may join."""
    if not route.group_by:
        key = f"{sink} {name}"
        return key if key in memory.threads else None
    fitting = [
        (thread["born"], key)
        for key, thread in memory.threads.items()
        if thread["sink"] == sink
        and thread["by"] == list(route.group_by)
        and thread["group"] == group
        and thread["done"] is None
        and len(thread["members"]) < MOST_OF_A_GROUP
        and name not in thread["members"]
    ]
    return min(fitting)[1] if fitting else None
