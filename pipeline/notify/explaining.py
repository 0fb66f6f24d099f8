"""Why somebody is told, or is not: the decisions of the stage in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.model.clock import from_us
from pipeline.model.notice import NoticeReason
from pipeline.notify.clean import clean
from pipeline.notify.matchers import NAMES, Labels, labels_of
from pipeline.notify.memory import ENDED, THREADS
from pipeline.notify.routing import by_sink, routes_of
from pipeline.notify.telling import gate_of, outlook, passes, repeat_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.notify.holding import Situation
    from pipeline.notify.memory import Entry, State
    from pipeline.notify.settings import Route


@dataclass(frozen=True, slots=True)
class Explained:
    """What becomes of an incident at one destination.

    Attributes:
        sink: the destination.
        route: that takes it there, by its title; ``-`` if none does any more.
        told: whether the destination would be told something new of it now, or has been told
            all there is.
        sentences: why, the most important first; none personal.
    """

    sink: str
    route: str
    told: bool
    sentences: tuple[str, ...]


def explain_labels(situation: Situation, labels: Labels, name: str = "") -> list[Explained]:
    """What would become of an incident that is new, by destination.

    Args:
        situation: what there is to decide by.
        labels: of the incident.
        name: its id, if there is one.
    """
    found = []
    for sink, route in sorted(by_sink(situation.settings.root, labels).items()):
        holds = situation.holds(name, labels, route)
        sentences = [h.text for h in holds] or [_first(route)]
        found.append(Explained(sink, route.title, not holds, tuple(sentences)))
    return found


def explain_incident(situation: Situation, state: State, name: str) -> list[Explained]:
    """What becomes of an incident that the stage knows, by destination.

    Args:
        situation: what there is to decide by; its incidents are those of the state.
        state: of the stage.
        name: id of the incident.
    """
    threads = [t for t in state.get(THREADS, {}).values() if name in t["members"]]
    found = [_of_thread(situation, t, name) for t in threads]
    known = {e.sink for e in found}
    document = situation.incidents[name]["document"]
    if situation.incidents[name]["over"] is None:
        found += [
            e for e in explain_labels(situation, labels_of(document), name) if e.sink not in known
        ]
    return sorted(found, key=lambda e: e.sink)


def left_out(situation: Situation, labels: Labels) -> list[str]:
    """Why the routes that do not take an incident do not, one sentence each."""
    taken = {route.name for route in routes_of(situation.settings.root, labels)}
    return list(_passed_by(situation.settings.root, labels, taken))


def missing(labels: Labels) -> list[str]:
    """Labels that were not named, so that matchers over them found no value."""
    return [name for name in NAMES if not labels.get(name)]


def _passed_by(route: Route, labels: Labels, taken: set[str]) -> Iterator[str]:
    stopped = None
    for child in route.children:
        if stopped is not None:
            yield f"route {child.title} is not looked at: {stopped} has taken it"
            continue
        unmet = [str(m) for m in child.matchers if not m.matches(labels)]
        if unmet:
            yield f"route {child.title} does not take it: {' and '.join(unmet)} is not met"
            continue
        yield from _passed_by(child, labels, taken)
        if not child.goes_on:
            stopped = child.title
    if route.name in taken and not route.sinks:
        yield f"route {route.title} takes it and names no destination"


def _of_thread(situation: Situation, thread: Entry, name: str) -> Explained:
    member, sink = thread["members"][name], thread["sink"]
    route, found, holds = outlook(situation, thread, name)
    told = member["told"]
    sentences = []
    if told is not None:
        at = _moment(from_us(told["at"]))
        sentences.append(f"told {at}: revision {told['revision']}, {told['state']}")
    ack = situation.acknowledged(name)
    if ack is not None:
        until = "" if ack.until is None else f" until {_moment(ack.until)}"
        sentences.append(
            f"acknowledged by {clean(ack.by, 200)}{until}: no reminders and no small updates until it gets worse"
        )
    passing = passes(found, holds)
    news = ", ".join(found.told)
    if found.told and not passing:
        sentences += [f"not told of {news}: {h.text}" for h in holds]
    elif found.told:
        gate = max(gate_of(thread, route), member["due"])
        sentences.append(f"told of {news} at {_moment(from_us(gate))} or with the next step")
    if found.acknowledged:
        sentences.append(f"not told of {', '.join(found.acknowledged)}: it is acknowledged")
    if found.unwanted:
        wanted = ", ".join(sorted(route.wanted(sink)))
        sentences.append(
            f"not told of {', '.join(found.unwanted)}: route {route.title} asks for {wanted}"
        )
    if member["away"]:
        sentences.append("its routes lead elsewhere by now")
    sentences += _reminder(thread, route, member, told=told, ack=ack, holds=bool(holds))
    return Explained(sink, route.title, passing or not found.told, tuple(sentences))


def _reminder(
    thread: Entry, route: Route, member: Entry, *, told: Entry | None, ack: object, holds: bool
) -> list[str]:
    goes_on = told is not None and told["state"] not in ENDED and not member["away"]
    reminds = route.repeat_interval is not None and route.wants(
        thread["sink"], NoticeReason.REMINDER
    )
    if not (goes_on and reminds) or ack is not None:
        return []
    if holds:
        return ["not reminded meanwhile"]
    return [f"reminded {_moment(from_us(repeat_of(thread, route)))} if nothing is new until then"]


def _first(route: Route) -> str:
    wait = route.group_wait.total_seconds()
    alone = "with others of its group" if route.group_by else "by itself"
    when = "at once" if not wait else f"after {wait:g} s"
    return f"route {route.title} takes it: told {when}, {alone}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
