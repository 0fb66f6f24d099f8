"""What a destination is told now: news that are wanted, that nothing holds back, and reminders."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import to_us
from pipeline.model.notice import NoticeReason
from pipeline.notify.holding import HoldKind
from pipeline.notify.matchers import labels_of
from pipeline.notify.memory import ENDED, snapshot, staying_labels
from pipeline.notify.news import ENDS, ORDER, news
from pipeline.notify.notices import Item, common, notice_of
from pipeline.notify.routing import by_sink
from pipeline.notify.settings import Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.notify.holding import Hold, Situation
    from pipeline.notify.memory import Entry, Memory
    from pipeline.notify.news import News

_US: Final = timedelta(microseconds=1)
_NO_ROUTE: Final = Route("none")


def route_of(situation: Situation, thread: Entry, name: str) -> Route:
    """The route by which a member is told; one that nothing holds back if there is none any more."""
    labels = staying_labels(thread["members"][name], situation.incidents[name]["document"])
    return by_sink(situation.settings.root, labels).get(thread["sink"], _NO_ROUTE)


def outlook(situation: Situation, thread: Entry, name: str) -> tuple[Route, News, list[Hold]]:
    """Of one member: its route, what is news to the destination, and what holds that back."""
    member, document = thread["members"][name], situation.incidents[name]["document"]
    route = route_of(situation, thread, name)
    acknowledged = situation.acknowledged(name) is not None
    found = news(member, document, thread["sink"], route, acknowledged=acknowledged)
    return route, found, situation.holds(name, labels_of(document), route)


def passes(found: News, holds: Sequence[Hold]) -> bool:
    """Whether something is to be told and nothing holds it back.

    The end of what was told waits for quiet hours alone: whoever was called has to hear it.
    """
    ends = any(reason in ENDS for reason in found.told)
    return bool(found.told) and not [h for h in holds if not ends or h.kind is HoldKind.QUIET]


def gate_of(thread: Entry, route: Route) -> int:
    """Microseconds before which a thread has no update."""
    first = thread["sent"] is None
    since = thread["born"] if first else thread["sent"]
    wait = route.group_wait if first else route.group_interval
    return int(since + wait // _US)


def repeat_of(thread: Entry, route: Route) -> int:
    """Microseconds at which a thread that was told something has its next reminder."""
    return int(thread["sent"] + (route.repeat_interval or timedelta(0)) // _US)


def tell(memory: Memory, situation: Situation, key: str) -> dict[str, Any] | None:
    """The notice of one thread that is due, if one is; remembers what was looked at."""
    thread = memory.threads[key]
    if thread["done"] is not None:
        return None
    now = to_us(situation.now)
    ready: dict[str, NoticeReason] = {}
    remind: list[str] = []
    gate = repeat = None
    for name in list(thread["members"]):
        route, found, holds = outlook(situation, thread, name)
        _note(memory, situation, key, name, found, holds)
        if key not in memory.threads:
            return None
        thread = memory.threads[key]
        member = thread["members"].get(name)
        if member is None:
            continue  # it was never told here, and is over
        if passes(found, holds) and member["due"] <= now:
            ready[name] = found.told[0]
            gate = min(gate_of(thread, route), gate or gate_of(thread, route))
        elif not found.told and not holds and _reminds(situation, thread, name, route):
            remind.append(name)
            due = repeat_of(thread, route)
            repeat = min(due, repeat or due)
    if gate is not None and gate <= now:
        return _send(memory, situation, key, ready)
    if not ready and repeat is not None and repeat <= now:
        return _send(memory, situation, key, dict.fromkeys(remind, NoticeReason.REMINDER))
    return None


def _note(
    memory: Memory, situation: Situation, key: str, name: str, found: News, holds: Sequence[Hold]
) -> None:
    """Remember what one look has shown."""
    thread = memory.threads[key]
    member, entry = thread["members"][name], situation.incidents[name]
    if member["told"] is None and entry["over"] is not None:
        memory.leave(key, name)
        return
    if member["told"] is None and holds and not member["held"]:
        memory.thread(key)["members"][name]["held"] = True
    dropped = {r.value for r in (*found.unwanted, *found.acknowledged)} & set(member["queued"])
    if dropped:
        queued = memory.thread(key)["members"][name]["queued"]
        queued[:] = [r for r in queued if r not in dropped]


def _reminds(situation: Situation, thread: Entry, name: str, route: Route) -> bool:
    """Whether a destination is reminded of a member, once it is time."""
    member, document = thread["members"][name], situation.incidents[name]["document"]
    return (
        route.repeat_interval is not None
        and member["told"] is not None
        and member["told"]["state"] not in ENDED
        and not member["away"]
        and document["state"] == "open"
        and route.wants(thread["sink"], NoticeReason.REMINDER)
        and situation.acknowledged(name) is None
    )


def _send(
    memory: Memory, situation: Situation, key: str, reasons: Mapping[str, NoticeReason]
) -> dict[str, Any]:
    """The notice about some members of a thread, and about what else goes on there."""
    thread, now = memory.thread(key), to_us(situation.now)
    items = []
    for name, member in thread["members"].items():
        document = situation.incidents[name]["document"]
        if name in reasons:
            items.append(Item(reasons[name], document))
        elif member["told"] is not None and member["told"]["state"] not in ENDED:
            items.append(Item(NoticeReason(member["last"]), document))
    single = None if thread["by"] else items[0].document["revision"]
    thread["revision"] = max(thread["revision"] + 1, single or 0)
    thread["sent"] = now
    for name, reason in reasons.items():
        member, document = thread["members"][name], situation.incidents[name]["document"]
        if reason is not NoticeReason.REMINDER:
            member["told"], member["queued"] = snapshot(document, now, member["told"]), []
            if reason is NoticeReason.REROUTED:
                member["told"]["state"] = NoticeReason.REROUTED.value
            member["last"], member["held"] = reason.value, False
    group = common([labels_of(i.document) for i in items], thread["by"])
    why = min(reasons.values(), key=ORDER.__getitem__)
    return notice_of(thread, items, why, group, situation.now, situation.settings.public_url)
