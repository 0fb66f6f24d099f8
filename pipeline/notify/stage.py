"""The notify stage: new revisions in, notices out; by the order of events and a clock handed in.

It goes through three steps. *Taking*: what is known of each incident. *Placing*: which
destinations an incident belongs to by its routes; one that comes to another destination is opened
there and ends at the old one. *Telling*: for each destination what is news to it, what of that is
wanted, and what holds it back.

While there are more revisions to come (after a start on an old ledger) nothing is placed or told,
so that history is not told again: what is over by then was never told anywhere, and needs no end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import to_us
from pipeline.notify.holding import Situation
from pipeline.notify.memory import ENDED, Memory, entry_of
from pipeline.notify.news import QUEUED
from pipeline.notify.placing import place
from pipeline.notify.telling import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.model.notice import Ack, Silence
    from pipeline.notify.memory import Entry, State
    from pipeline.notify.settings import NotifySettings

# What is over may come back; after that it is something new.
_REMEMBERED: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Input:
    """What has come since the last call, and what holds now.

    Attributes:
        incidents: new revisions (``outrider.incident/1``), in order.
        silences: all that may hold.
        acks: the newest of each incident.
        caught_up: whether there are no more revisions for now.
    """

    incidents: Sequence[Mapping[str, Any]] = ()
    silences: Sequence[Silence] = ()
    acks: Mapping[str, Ack] = field(default_factory=dict)
    caught_up: bool = True


def advance(
    state: State, arrived: Input, now: datetime, settings: NotifySettings
) -> tuple[State, list[dict[str, Any]]]:
    """One step of the stage.

    Args:
        state: of the last call; ``{}`` = nothing is known.
        arrived: what is new.
        now: the moment, in UTC; it never goes back.
        settings: from the configuration.

    Returns:
        The new state; entries that did not change are the same objects. And the notices
        (``outrider.notice/1``) to send, in order.
    """
    memory = Memory(state)
    for document in arrived.incidents:
        _take(memory, document, to_us(now))
    if not arrived.caught_up:
        _drop_over(memory)
        return memory.state, []
    situation = Situation(settings, now, memory.incidents, arrived.silences, arrived.acks)
    for name, entry in sorted(memory.incidents.items()):
        if entry["over"] is None:
            place(memory, situation, name, entry["document"])
    for key in [k for k, t in memory.threads.items() if t["sink"] not in settings.sinks]:
        memory.drop(key)
    notices = []
    for key in sorted(memory.threads, key=lambda k: (memory.threads[k]["born"], k)):
        notice = tell(memory, situation, key)
        if notice is not None:
            notices.append(notice)
    _forget(memory, now)
    return memory.state, notices


def _take(memory: Memory, document: Mapping[str, Any], now: int) -> None:
    name = document["incident_id"]
    before = memory.incidents.get(name)
    if before is not None and document["revision"] <= before["document"]["revision"]:
        return
    memory.put_incident(name, entry_of(document, before, now))
    for key in memory.threads_of(name):
        thread = memory.thread(key)
        thread["done"] = None
        queued = thread["members"][name]["queued"]
        if document["reason"] in QUEUED and document["reason"] not in queued:
            queued.append(document["reason"])


def _forget(memory: Memory, now: datetime) -> None:
    """Mark threads that are over, and drop what has been over for long."""
    at, past = to_us(now), to_us(now - _REMEMBERED)
    for key, thread in list(memory.threads.items()):
        if thread["done"] is not None:
            if thread["done"] < past:
                memory.drop(key)
        elif all(_settled(m) for m in thread["members"].values()):
            memory.thread(key)["done"] = at
    _drop_over(memory)


def _drop_over(memory: Memory) -> None:
    """Forget incidents that are over and that nobody was told of."""
    for name, entry in list(memory.incidents.items()):
        if entry["over"] is not None and not memory.threads_of(name):
            del memory.incidents[name]


def _settled(member: Entry) -> bool:
    told = member["told"]
    return told is not None and told["state"] in ENDED and not member["queued"]
