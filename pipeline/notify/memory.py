"""What the notify stage remembers: plain JSON, replaced and never changed.

``incidents``, by id::

    {"document": newest revision, "over": us or None, "worse": us or None}

``threads``, by sink and notice_id: what one destination knows of an incident, or of a group::

    {"sink": .., "notice_id": .., "by": [labels], "group": {label: value}, "born": us,
     "revision": last told, "sent": us or None, "done": us or None, "members": {incident_id:
       {"due": us, "told": None or {..}, "queued": [reasons], "held": bool, "away": bool,
        "labels": {"state": .., "reason": ..}, "last": reason or None}}}

``us`` are microseconds since 1970 by the clock that was handed in.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipeline.model.clock import parse_rfc3339
from pipeline.model.incident import IncidentState
from pipeline.model.notice import NoticeReason
from pipeline.notify.matchers import RANK, labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Entry: TypeAlias = "dict[str, Any]"
State: TypeAlias = "Mapping[str, Mapping[str, Entry]]"

INCIDENTS: Final = "incident"
THREADS: Final = "thread"
OVER: Final = frozenset(s.value for s in IncidentState if s.over)
# A thread is over for a destination in these states of what it was told last.
ENDED: Final = OVER | {NoticeReason.REROUTED.value}
_GROWS: Final = ("clients", "services", "tenants")


class Memory:
    """A state under change: entries are copied when they are touched, the given one stays."""

    def __init__(self, state: State) -> None:
        self.incidents = dict(state.get(INCIDENTS, {}))
        self.threads = dict(state.get(THREADS, {}))
        self._fresh: set[int] = set()
        self._of: dict[str, list[str]] = {}
        for key, thread in self.threads.items():
            for name in thread["members"]:
                self._of.setdefault(name, []).append(key)

    @property
    def state(self) -> State:
        """The state as it is now."""
        return {INCIDENTS: self.incidents, THREADS: self.threads}

    def threads_of(self, incident: str) -> list[str]:
        """Keys of the threads that an incident is a member of."""
        return list(self._of.get(incident, ()))

    def thread(self, key: str) -> Entry:
        """A thread that may be changed."""
        held = self.threads[key]
        if id(held) not in self._fresh:
            held = self.threads[key] = deepcopy(held)
            self._fresh.add(id(held))
        return held

    def put_incident(self, name: str, entry: Entry) -> None:
        """Replace what is known of an incident."""
        self.incidents[name] = entry

    def begin(self, key: str, thread: Entry) -> None:
        """A new thread, without members."""
        self.threads[key] = thread
        self._fresh.add(id(thread))

    def join(self, key: str, incident: str, member: Entry) -> None:
        """A new member of a thread."""
        thread = self.thread(key)
        thread["members"][incident], thread["done"] = member, None
        self._of.setdefault(incident, []).append(key)

    def leave(self, key: str, incident: str) -> None:
        """Somebody who was never told there; a thread without members goes."""
        thread = self.thread(key)
        del thread["members"][incident]
        self._of[incident].remove(key)
        if not thread["members"]:
            del self.threads[key]

    def drop(self, key: str) -> None:
        """Forget a thread."""
        for name in self.threads.pop(key)["members"]:
            self._of[name].remove(key)


def is_usable(document: Mapping[str, Any]) -> bool:
    """Whether a document has what the stage looks at; a topic may hold somebody else's."""
    try:
        known = document["severity"] in RANK and document["state"] in set(IncidentState)
        parse_rfc3339(document["published_at"])
        texts = [v for values in labels_of(document).values() for v in values]
        texts += [document["incident_id"], document["onset_at"]]
        named = all(isinstance(text, str) for text in texts) and bool(document["tenants"])
        return bool(known and named and document["revision"] > 0)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def entry_of(document: Mapping[str, Any], before: Entry | None, now: int) -> Entry:
    """What is known of an incident after a new revision, taken at ``now``."""
    over = document["state"] in OVER
    worse = None if before is None else before["worse"]
    if before is not None and not over and _is_worse(before["document"], document):
        worse = now
    since = now if before is None or before["over"] is None else before["over"]
    return {"document": document, "over": since if over else None, "worse": worse}


def _is_worse(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether whoever acknowledged the one has to hear of the other."""
    return (
        after["reason"] in {"severity_up", "spread", "reopened"}
        or before["state"] in OVER
        or RANK[after["severity"]] > RANK[before["severity"]]
        or grown(before, after)
    )


def grown(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether clients, services or tenants have come in."""
    return any(set(after[name]) - set(before[name]) for name in _GROWS)


def snapshot(document: Mapping[str, Any], at: int, before: Entry | None) -> Entry:
    """What a destination knows once it was told a revision; ``before``: what it knew until then.

    ``highest`` is the highest severity that it was told since it was told an end.
    """
    kept = ("revision", "state", "severity", *_GROWS)
    goes_on = before is not None and before["state"] not in ENDED
    highest = [document["severity"], *([before["highest"]] if before and goes_on else [])]
    found = {name: document[name] for name in kept}
    return {**found, "highest": max(highest, key=RANK.__getitem__), "at": at}


def staying_labels(member: Entry, document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The labels by which a member's route is found while it is one.

    State and reason change all the time and only say who comes in. Nor does anybody leave
    because it got better.
    """
    labels = labels_of(document) | {k: (v,) for k, v in member["labels"].items()}
    told = member["told"]
    lives = told is not None and told["state"] not in ENDED
    if lives and RANK[told["highest"]] > RANK[document["severity"]]:
        labels["severity"] = (told["highest"],)
    return labels
