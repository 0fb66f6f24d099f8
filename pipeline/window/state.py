"""What the window stage remembers: what it counts on with, and the windows that may re-open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from pipeline.model.vocabulary import Source
from pipeline.window.arrival import DECLARED, Arrival
from pipeline.window.codes import CodesSeen
from pipeline.window.dedupe import SeenIds
from pipeline.window.throttled import Mailboxes
from pipeline.window.users import OpenHours

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from pipeline.model.window import Cell, WindowBlock
    from pipeline.window.gaps import FeedRate

Feed: TypeAlias = tuple[str, Source]

# The Activity API promises no bound; a record a day late is usual when it catches up, and 90
# minutes is its ordinary delay (rounded up).
LATE_HORIZON: Final = timedelta(hours=26)


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


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed block with all that closing it again takes.

    Attributes:
        before: the memory it was counted on with; never changed.
        until: the moment after it.
        data_end: as it was given when the block was closed first.
        events: the events counted in it, table of EVENT_SCHEMA, some 100 bytes each.
        block: what was given out last.
    """

    before: Memory
    until: datetime
    data_end: datetime | None
    events: pa.Table
    block: WindowBlock


@dataclass(slots=True)
class WindowState:
    """Everything the stage remembers; picklable.

    Attributes:
        closed_to: moment up to which windows are closed, None before the first block.
        memory: what the next block is counted on with.
        seen: identities of the events of the last eight days.
        declared: (median, p95) delays in seconds of sources that tell no arrival time.
        horizon: how far behind ``closed_to`` a late event re-opens its window; zero: none
            does, and nothing is kept for it. At most the eight days of ``seen``.
        kept: the blocks of the horizon, oldest first.
        events, duplicates: counted events, and redelivered ones.
        reopened: late events that re-opened their window.
        outside: events for no window that is open or may re-open.
    """

    closed_to: datetime | None = None
    memory: Memory = field(default_factory=Memory)
    seen: SeenIds = field(default_factory=SeenIds)
    declared: dict[Source, tuple[float, float]] = field(default_factory=lambda: dict(DECLARED))
    horizon: timedelta = timedelta(0)
    kept: tuple[Closed, ...] = ()
    events: int = 0
    duplicates: int = 0
    reopened: int = 0
    outside: int = 0
