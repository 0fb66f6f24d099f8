"""What holds a message back: silences, inhibition, maintenance and quiet hours, each in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.notify.clean import clean
from pipeline.notify.matchers import RANK, all_match, labels_of, parse_all
from pipeline.notify.times import until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.model.notice import Ack, Silence
    from pipeline.notify.matchers import Labels
    from pipeline.notify.memory import Entry
    from pipeline.notify.settings import Inhibition, NotifySettings, Route


# Anybody who may write the desk's topic may write at length.
_WORDS: Final = 200


class HoldKind(StrEnum):
    """What holds something back."""

    SILENCED = "silenced"
    INHIBITED = "inhibited"
    MAINTENANCE = "maintenance"
    QUIET = "quiet hours"


@dataclass(frozen=True, slots=True)
class Hold:
    """One thing that holds back; ``text`` is a sentence; ``until`` None = nobody knows."""

    kind: HoldKind
    text: str
    until: datetime | None = None


@dataclass(frozen=True)
class Situation:
    """What there is to decide by at one moment.

    Attributes:
        settings: of the stage.
        now: the moment, in UTC.
        incidents: what is known of each, by id.
        silences: all there are.
        acks: the newest of each incident.
    """

    settings: NotifySettings
    now: datetime
    incidents: Mapping[str, Entry]
    silences: Sequence[Silence] = ()
    acks: Mapping[str, Ack] = field(default_factory=dict)

    def holds(self, name: str, labels: Labels, route: Route) -> list[Hold]:
        """All that holds an incident back at a route.

        Args:
            name: its id, or anything that is none.
            labels: its labels.
            route: that takes it.
        """
        return [
            *self._silenced(labels),
            *self._inhibited(name, labels),
            *self._maintained(labels),
            *self._quiet(labels, route),
        ]

    def acknowledged(self, name: str) -> Ack | None:
        """The acknowledgement of an incident, if it still counts."""
        ack, entry = self.acks.get(name), self.incidents.get(name)
        if ack is None or entry is None or entry["over"] is not None:
            return None
        ended = ack.until is not None and ack.until <= self.now
        worse = entry["worse"]
        broken = worse is not None and to_us(ack.at) < worse
        return None if ended or broken else ack

    def _silenced(self, labels: Labels) -> list[Hold]:
        return [
            Hold(
                HoldKind.SILENCED,
                f"silenced until {_moment(s.ends_at)} by {clean(s.by, _WORDS)} "
                f"({clean(s.silence_id, _WORDS)}): {clean(s.comment, _WORDS)}",
                s.ends_at,
            )
            for s in self.silences
            if s.active(self.now) and _matches(s, labels)
        ]

    @cached_property
    def _sources(self) -> list[tuple[Inhibition, str, Labels]]:
        open_now = [
            (name, labels_of(entry["document"]))
            for name, entry in sorted(self.incidents.items())
            if entry["over"] is None
        ]
        return [
            (rule, name, labels)
            for rule in self.settings.inhibitions
            for name, labels in open_now
            if all_match(rule.source, labels)
        ]

    def _inhibited(self, name: str, labels: Labels) -> list[Hold]:
        return [
            Hold(HoldKind.INHIBITED, f"inhibited by {source} (rule {rule.name}) while that goes on")
            for rule, source, theirs in self._sources
            if source != name and _inhibits(rule, theirs, labels)
        ]

    def _maintained(self, labels: Labels) -> list[Hold]:
        found = []
        for window in self.settings.maintenance:
            end = until(window.times, self.now) if all_match(window.matchers, labels) else None
            if end is not None:
                text = f"in the maintenance window {window.name} until {_moment(end)}"
                found.append(Hold(HoldKind.MAINTENANCE, text, end))
        return found

    def _quiet(self, labels: Labels, route: Route) -> list[Hold]:
        end = until(route.quiet.times, self.now)
        severity = max((RANK[s] for s in labels.get("severity", ())), default=0)
        if end is None or severity >= RANK[route.quiet.below]:
            return []
        text = (
            f"quiet hours of route {route.title} until {_moment(end)}: what is below "
            f"{route.quiet.below} waits"
        )
        return [Hold(HoldKind.QUIET, text, end)]


def _matches(silence: Silence, labels: Labels) -> bool:
    """Whether a silence is about an incident; one that cannot be read silences nothing."""
    try:
        return all_match(parse_all(silence.matchers), labels)
    except ValueError:
        return False


def _inhibits(rule: Inhibition, source: Labels, target: Labels) -> bool:
    """Whether a source of a rule holds a target back.

    What is on both sides of a rule is not held back by another such: they would hold back
    each other.
    """
    if not all_match(rule.target, target):
        return False
    if all_match(rule.source, target) and all_match(rule.target, source):
        return False
    if any(not set(source.get(n, ())) & set(target.get(n, ())) for n in rule.equal):
        return False
    return not rule.lower or _rank(target) < _rank(source)


def _rank(labels: Labels) -> int:
    return max((RANK[s] for s in labels.get("severity", ())), default=0)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
