"""What the window stage remembers and counts on with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from pipeline.model.vocabulary import Source
from pipeline.window.arrival import DECLARED, Arrival
from pipeline.window.codes import CodesSeen
from pipeline.window.dedupe import SeenIds
from pipeline.window.throttled import Mailboxes
from pipeline.window.users import OpenHours

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.window import Cell
    from pipeline.window.gaps import FeedRate

Feed: TypeAlias = tuple[str, Source]


@dataclass(slots=True)
class Memory:
    """What the counts of the next block depend on; bounded by users, cells and feeds.

    ``arrivals`` and ``rates`` are by (tenant, source).
    """

    cells: list[Cell] = field(default_factory=list)
    open_hours: OpenHours = field(default_factory=OpenHours)
    codes: CodesSeen = field(default_factory=CodesSeen)
    mailboxes: Mailboxes = field(default_factory=Mailboxes)
    arrivals: dict[Feed, Arrival] = field(default_factory=dict)
    rates: dict[Feed, FeedRate] = field(default_factory=dict)

    def copy(self) -> Memory:
        """A copy that may be counted on with; ``open_hours`` is shared, never changed."""
        return Memory(
            cells=list(self.cells),
            open_hours=self.open_hours,
            codes=CodesSeen(set(self.codes.keys)),
            mailboxes=Mailboxes(
                dict(self.mailboxes.silent_until), dict(self.mailboxes.last_active)
            ),
            arrivals={k: replace(a, counts=a.counts.copy()) for k, a in self.arrivals.items()},
            rates={
                k: replace(r, total=r.total.copy(), seen=r.seen.copy())
                for k, r in self.rates.items()
            },
        )


@dataclass(slots=True)
class WindowState:
    """Everything the stage remembers; picklable.

    Attributes:
        closed_to: moment up to which windows are closed, None before the first block.
        memory: what the next block is counted on with.
        seen: identities of the events of the last eight days.
        declared: (median, p95) delays in seconds of sources that tell no arrival time.
        events, duplicates: counted events, and redelivered ones.
        outside: events of another time than the block they were given with.
    """

    closed_to: datetime | None = None
    memory: Memory = field(default_factory=Memory)
    seen: SeenIds = field(default_factory=SeenIds)
    declared: dict[Source, tuple[float, float]] = field(default_factory=lambda: dict(DECLARED))
    events: int = 0
    duplicates: int = 0
    outside: int = 0

    def copy(self) -> WindowState:
        """A copy that may be counted on with; arrays never written to are shared."""
        return replace(
            self,
            memory=self.memory.copy(),
            seen=SeenIds(dict(self.seen.days)),
            declared=dict(self.declared),
        )
