"""The tenants of a run as its ledger keeps them: their states, and the messages since.

A message is kept until a stored state holds it, so a tenant can be brought back at any time. All
that writes is called within a transaction of the ledger, and what is in memory is as durable as
that: if it fails, a new :class:`Journal` goes on from what the ledger holds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import from_us, to_us
from pipeline.runtime.live.engine import SNAPSHOT_SECONDS, Engine, apply
from pipeline.runtime.live.messages import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.ledger.store import Ledger
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.tenant import Tenant

# Messages kept beside the state: a restart takes them in again, at a million records a second.
SNAPSHOT_ROWS: Final = 200_000
# Of a record in a message of thousands (``benchmarks/kafka_load.py``).
_RECORD_BYTES: Final = 32


@dataclass(slots=True)
class _Since:
    """What has come since a tenant's state was stored."""

    rows: int = 0
    at: float = field(default_factory=time.monotonic)


class Journal:
    """The tenants, all of them brought back.

    Args:
        settings: of the stages.
        ledger: where they are kept.
        beat: see :class:`Engine`.

    Attributes:
        engine: holds them.

    Raises:
        StateError: a stored state cannot be read.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._ledger = ledger
        self._since: dict[str, _Since] = {}
        self.engine = Engine(settings, self._load, beat)
        for name in ledger.tenants():
            self.engine.tenant(name)

    def _load(self, name: str) -> Tenant:
        ledger = self._ledger
        seq, body = ledger.state(name) or (0, None)
        parts = ledger.parts(name) if body else {}
        tenant = self.engine.restored(name, body, parts, ledger.issued(name))
        since = self._since.setdefault(name, _Since())
        for message in self._messages(name, seq):
            since.rows += apply(tenant, message)
        return tenant

    def _messages(self, name: str, seq: int) -> Iterator[Message]:
        """Those after ``seq``, up to which the stored state holds them."""
        for told in self._ledger.journalled(name, seq):
            read_at = None if told.read_at is None else from_us(told.read_at)
            yield Message(name, Kind(told.kind), read_at, told.body)

    def set_aside(self, name: str) -> list[Message]:
        """Take a tenant back to its stored state; the kept messages that this leaves out."""
        self.engine.drop(name)
        self._since.pop(name, None)
        seq, _ = self._ledger.state(name) or (0, None)
        return list(self._messages(name, seq))

    def keep(self, messages: Iterable[Message]) -> dict[str, int]:
        """Keep what was taken; by tenant, the number of its last message."""
        last: dict[str, int] = {}
        for m in messages:
            if m.kind is Kind.FINISH:
                continue  # it is told again by the source that is at its end
            read_at = None if m.read_at is None else to_us(m.read_at)
            last[m.tenant] = self._ledger.journal(m.tenant, m.kind.value, read_at, m.body)
            self._since.setdefault(m.tenant, _Since()).rows += len(m.body) // _RECORD_BYTES
        return last

    def store_ripe(self, last: dict[str, int]) -> None:
        """Store the states of those tenants, of what :meth:`keep` gave, for which it is time."""
        now = time.monotonic()
        for name, seq in last.items():
            since = self._since[name]
            if since.rows >= SNAPSHOT_ROWS or now - since.at >= SNAPSHOT_SECONDS:
                self._store(name, seq)

    def store_all(self) -> None:
        """Store every tenant's state, so that the next start takes nothing in again."""
        seq = self._ledger.newest()
        for name in self.engine.tenants:
            self._store(name, seq)

    def _store(self, name: str, seq: int) -> None:
        taken = self.engine.snapshot(name)
        self._ledger.put_state(name, seq, taken.body, taken.parts, taken.needed)
        self._ledger.put_issued(name, taken.issued)
        self._since[name] = _Since()
