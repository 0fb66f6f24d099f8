"""The tenants of one partition, and how far each of their stored states reaches."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.model.clock import from_us, to_us
from pipeline.runtime.kafka.stored import Kept
from pipeline.runtime.live.engine import SNAPSHOT_SECONDS, Engine
from pipeline.runtime.live.messages import Message
from pipeline.runtime.live.tenant import AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.tenant import Tenant

_SHARED_SECONDS: Final = 86_400.0
# A message younger than this is taken in its time; records read longer ago are a replay of logs.
_LIVE_MS: Final = 10_000
_PRESENT_MS: Final = 3_600_000


@dataclass(slots=True)
class _Ahead:
    """What a tenant has taken in since its state was stored."""

    first: int
    rows: int = 0
    at: float = field(default_factory=time.monotonic)


class Ripe(NamedTuple):
    """A tenant whose state is to be stored.

    Attributes:
        at: since when it has taken in what no stored state holds, seconds that never go back.
        partition: its number.
        tenant: its name.
    """

    at: float
    partition: int
    tenant: str


class Partition:
    """One partition of the events, as a worker holds it.

    Args:
        number: of the partition.
        settings: of the stages.
        kept: what the state topic holds of its tenants; each is brought back when its first
            message comes, or by :meth:`bring_back`.
        snapshot_rows: records after which a tenant's state is stored anew.
        beat: see :class:`Engine`.

    Attributes:
        position: offset of the next message.
        committed: offset up to which everything is told, and the group knows.
        live: whether the newest message tells of the present, and was written just now.
        ahead_at: when the newest message came whose collector's clock was more than a day ahead of
            this machine's, seconds that never go back.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        kept: dict[str, Kept],
        snapshot_rows: int,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.position = self.committed = 0
        self.live = False
        self.ahead_at = -math.inf
        self._skipped = False
        self._shared: set[str] = set()
        self._shared_at = time.monotonic()
        self.engine = Engine(settings, self._load, beat)
        self._snapshot_rows = snapshot_rows
        self._kept = kept
        self._ahead: dict[str, _Ahead] = {}
        self._offsets = {name: k.offset for name, k in kept.items()}

    def _load(self, name: str) -> Tenant:
        kept = self._kept.pop(name, Kept())
        return self.engine.restored(name, kept.ground, kept.parts, kept.issued)

    def bring_back(self, until: float) -> None:
        """Bring back tenants that no message has come for, so that they are judged as well.

        Args:
            until: when to leave the others for the next call, as :func:`time.monotonic`.
        """
        while self._kept and time.monotonic() < until:
            self.engine.tenant(next(iter(self._kept)))

    @property
    def replaying(self) -> bool:
        """Whether what comes now was told before; nothing is to be told again."""
        return self.position < self.committed

    @property
    def told_to(self) -> int:
        """Offset up to which everything is told: that of the next message, or of a replay's end."""
        return max(self.position, self.committed)

    @property
    def moved(self) -> bool:
        """Whether the group does not know yet how far it is."""
        return self.position > self.committed or self._skipped

    def settled(self) -> None:
        """Take notice that the group knows how far it is."""
        self.committed, self._skipped = self.told_to, False

    def skip(self, offset: int) -> None:
        """Go on at a later offset: what was before is gone."""
        self.position, self._skipped = max(self.position, offset), True

    @property
    def replay_from(self) -> int:
        """First offset that some stored state does not hold."""
        return min([self.position, *(a.first for a in self._ahead.values())])

    def take(self, record: Any) -> int:
        """Take one message in, unless the stored state holds it already; records in it.

        Raises:
            UnreadableMessageError: no reading can help it.
        """
        self.position = record.offset + 1
        message = Message.of_record(record.key, record.headers, record.value)
        if record.offset < self._offsets.get(message.tenant, 0):
            return 0
        message = self._timely(message)
        self.live = _is_live(record.timestamp, message.read_at)
        ahead = self._ahead.setdefault(message.tenant, _Ahead(record.offset))
        rows = self.engine.take(message)
        ahead.rows += rows
        return rows

    def _timely(self, message: Message) -> Message:
        """A message of a collector whose clock is wrong, as of now: else it would close days.

        Whoever collects and whoever works have clocks of their own, and one day's difference
        is what records are allowed, too.
        """
        now = from_us(int(time.time() * 1e6))
        if message.read_at is None or message.read_at <= now + AHEAD:
            return message
        self.ahead_at = time.monotonic()
        return replace(message, read_at=now)

    def shared(self) -> set[str]:
        """Names of what tenants share that is in this partition of the view topic, to add to.

        Once a day it is told again, so that the topic does not forget what is still in use.
        """
        if time.monotonic() - self._shared_at >= _SHARED_SECONDS:
            self._shared.clear()
            self._shared_at = time.monotonic()
        return self._shared

    def ripe(self, *, everything: bool) -> list[Ripe]:
        """Tenants whose state is to be stored.

        Args:
            everything: all that have taken in more than their stored state holds.
        """
        now = time.monotonic()
        return [
            Ripe(a.at, self.number, name)
            for name, a in self._ahead.items()
            if everything or a.rows >= self._snapshot_rows or now - a.at >= SNAPSHOT_SECONDS
        ]

    def stored(self, name: str) -> None:
        """Take notice that a tenant's state as of now is on its way to the topic."""
        self._ahead.pop(name, None)
        self._offsets[name] = self.position

    def set_aside(self, name: str, kept: dict[str, Kept]) -> int:
        """Take a tenant back to its stored state, as of the next message.

        Args:
            name: of the tenant.
            kept: what the state topic holds now.

        Returns:
            Offset of the first message that this leaves out; that of the next one if it is none.
        """
        ahead = self._ahead.get(name)
        first = self.position if ahead is None else ahead.first
        self.engine.drop(name)
        if ahead is None or not ahead.rows:
            self.engine.rest(name)  # it fails as it is stored
        self._kept[name] = kept.get(name, Kept())
        self._offsets[name] = self.position
        self.store_at_once([name])  # to say that it leaves these messages behind
        return first

    def store_at_once(self, names: Iterable[str]) -> None:
        """Bring tenants back whose stored state tells a wrong offset, and have it stored anew."""
        for name in names:
            self.engine.tenant(name)
            self._ahead[name] = _Ahead(self.position, at=-math.inf)


def _is_live(written_ms: int, read_at: datetime | None) -> bool:
    """Whether somebody waits for what a message says: it was read, written and taken just now."""
    now_ms = time.time() * 1000
    return (
        read_at is not None
        and now_ms - written_ms < _LIVE_MS
        and now_ms - to_us(read_at) / 1000 < _PRESENT_MS
    )
