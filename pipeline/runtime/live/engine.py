"""The tenants of one process: messages in, issues out, states to keep and to go on from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.model.clock import MINUTE_US, to_us
from pipeline.runtime.live.freezing import freeze, parts_of, thaw
from pipeline.runtime.live.messages import (
    Kind,
    packed_alike,
    unpack_advisories,
    unpack_events,
    unpack_notice,
)
from pipeline.runtime.live.part_names import PartNames
from pipeline.runtime.live.parts import GroundPart, IssuedPart
from pipeline.runtime.live.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.messages import Message
    from pipeline.runtime.live.parts import Issue

# Judging the open hours costs as much as two or three settled days, and nobody is waiting for
# what happened weeks ago: a backlog is judged once a week of it, first a week after its begin;
# whoever has caught up, each minute.
CATCHING_UP: Final = timedelta(days=7)
# A tenant's state is stored so long after its oldest message that no stored state holds.
SNAPSHOT_SECONDS: Final = 900.0


class Snapshot(NamedTuple):
    """A tenant's state as bytes: the ground's body and fresh parts, and what was told."""

    body: bytes
    parts: dict[str, bytes]
    needed: frozenset[str]
    issued: bytes


class Engine:
    """Holds tenants and brings each back when its first message comes.

    Args:
        settings: of the stages.
        load: gives a tenant as it was stored, by :meth:`restored`, or a new one.
        beat: called for each day that a tenant judges for good: a message after months of
            silence closes them all, at half a second each.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[str], Tenant],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.tenants: dict[str, Tenant] = {}
        self._load, self._beat = load, beat
        self._parts: dict[str, frozenset[str]] = {}
        self._outdated: dict[str, frozenset[str]] = {}
        self._part_names = PartNames()
        self._finish: set[str] = set()
        # Those that could not be judged as they are stored: again with the next records only.
        self._resting: set[str] = set()
        # Clock at which a tenant that was never judged was first asked after.
        self._met: dict[str, datetime] = {}

    def tenant(self, name: str) -> Tenant:
        """A tenant, brought back if it is not here."""
        if name not in self.tenants:
            self.tenants[name] = self._load(name)
            self.tenants[name].beat = self._beat
        return self.tenants[name]

    def drop(self, name: str) -> None:
        """Let go of a tenant; it is brought back as it was stored."""
        self.tenants.pop(name, None)
        self._parts.pop(name, None)
        self._finish.discard(name)
        self._met.pop(name, None)

    def rest(self, name: str) -> None:
        """Judge a tenant no more until something new comes of it: it would fail as before."""
        self._resting.add(name)

    def take(self, message: Message) -> int:
        """Take one message in; the number of records in it.

        Raises:
            UnreadableMessageError: no reading can help it.
        """
        rows = apply(self.tenant(message.tenant), message)
        if message.body:
            self._resting.discard(message.tenant)
        if message.kind is Kind.FINISH:
            self._finish.add(message.tenant)
        return rows

    def due(self, *, caught_up: bool) -> list[str]:
        """The tenants to judge now."""
        return [
            name
            for name, tenant in self.tenants.items()
            if name not in self._resting
            and (name in self._finish or self._is_due(name, tenant, caught_up=caught_up))
        ]

    def _is_due(self, name: str, tenant: Tenant, *, caught_up: bool) -> bool:
        clock, judged = tenant.clock, tenant.issued.judged_to
        if clock is None:
            return False
        if not caught_up:
            return clock - (judged or self._met.setdefault(name, clock)) >= CATCHING_UP
        # A minute is judged when it is over, not a minute after the last judgement.
        return judged is None or to_us(clock) // MINUTE_US > to_us(judged) // MINUTE_US

    def judge(self, name: str) -> Issue:
        """Judge one tenant."""
        finish = name in self._finish
        issue = self.tenants[name].judge(finish=finish)
        self._finish.discard(name)
        return issue

    def snapshot(self, name: str) -> Snapshot:
        """A tenant's state as bytes; parts given before are not given again."""
        tenant = self.tenants[name]
        tenant.prune()
        before = self._parts.get(name, frozenset())
        known = dict.fromkeys(before)
        frozen = freeze(tenant.ground, known, met=self._part_names)
        body, parts = frozen.body, frozen.parts
        self._parts[name] = needed = parts_of(body)
        self._outdated[name] = before - needed
        return Snapshot(body, parts, needed, self.issued(name))

    def outdated(self, name: str) -> frozenset[str]:
        """Parts that the last snapshot no longer needs."""
        return self._outdated.get(name, frozenset())

    def restored(
        self, name: str, body: bytes | None, parts: Mapping[str, bytes], issued: bytes | None
    ) -> Tenant:
        """A tenant from all that is stored of it: its next snapshot gives only what is not.

        Raises:
            StateError: the bytes cannot be read.
        """
        self._parts[name] = frozenset(parts)
        found = restored(self.settings, body, parts, issued, met=self._part_names)
        found.beat = self._beat  # messages since are taken in before anybody else has it
        return found

    def issued(self, name: str) -> bytes:
        """What has been told of a tenant, as bytes."""
        return freeze_issued(self.tenants[name].issued)


def apply(tenant: Tenant, message: Message) -> int:
    """Take one message into a tenant; the number of records in it.

    Raises:
        UnreadableMessageError: no reading can help it.
    """
    rows = 0
    if message.kind is Kind.EVENTS:
        events = unpack_events(message.body)
        rows = events.num_rows
        tenant.take(events, message.read_at, packed_alike(message.body))
    elif message.kind is Kind.ADVISORIES:
        tenant.advise(unpack_advisories(message.body))
    elif message.kind is Kind.FEED:
        tenant.hear(message.tenant, unpack_notice(message.body))
    elif message.read_at is not None:
        tenant.tell_time(message.read_at)
    return rows


def freeze_issued(issued: IssuedPart) -> bytes:
    """What has been told, as bytes in one piece."""
    return freeze(issued, whole=True).body


def restored(
    settings: Settings,
    body: bytes | None,
    parts: Mapping[str, bytes],
    issued: bytes | None,
    *,
    met: PartNames | None = None,
) -> Tenant:
    """A tenant from stored bytes, or a new one; ``met`` learns the names of its parts.

    Raises:
        StateError: the bytes cannot be read.
    """
    return Tenant(
        settings,
        None if body is None else thaw(body, parts, GroundPart, met=met),
        None if issued is None else thaw(issued, {}, IssuedPart),
    )
