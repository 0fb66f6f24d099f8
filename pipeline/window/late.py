"""Late data: an event for a closed minute re-opens it, and what depends on it.

The blocks of the horizon are kept with their events and the memory they were counted on
with. The earliest block that a late event belongs to, and all after it, are closed again
with the late events in their place: they are then, bit for bit, what they would have been
had these events been in time. Newly failing users, user-hours, codes, gaps and delays all
follow without a rule of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.model.clock import from_us, to_us
from pipeline.window.closing import close
from pipeline.window.columns import columns, take
from pipeline.window.dedupe import SeenIds, fresh_rows
from pipeline.window.state import Closed

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from pipeline.model.window import WindowBlock
    from pipeline.window.state import WindowState


@dataclass(frozen=True, slots=True)
class Reopened:
    """What late events made of closed windows.

    Attributes:
        blocks: from the first that a late event belongs to up to ``closed_to``.
        changed: those of them with a row that is new or has another revision.
        events: the late events, table of EVENT_SCHEMA.
        arrived_at: a moment before which not all of them had come.
    """

    blocks: tuple[WindowBlock, ...]
    changed: tuple[WindowBlock, ...]
    events: pa.Table
    arrived_at: datetime


def keep(state: WindowState, closed: Closed) -> None:
    """Keep a block for re-opening, and forget those that the horizon has passed."""
    oldest = closed.until - state.horizon
    state.kept = tuple(c for c in (*state.kept, closed) if c.until > oldest)


def reopen(state: WindowState, events: pa.Table) -> tuple[WindowState, pa.Table, Reopened | None]:
    """Take the late events out of ``events`` and close their windows again.

    Args:
        state: changed in place and returned.
        events: table of EVENT_SCHEMA, of any time.

    Returns:
        The state, the events that are not late or too late to re-open anything, and what
        the others changed: None if there are none, or only redelivered ones.
    """
    if not state.kept or state.closed_to is None:
        return state, events, None
    told = columns(events)
    first, end = to_us(state.kept[0].block.start), to_us(state.closed_to)
    mine = (told.time >= first) & (told.time < end)
    if not mine.any():
        return state, events, None
    rest = events.filter(pa.array(~mine))
    events, told = events.filter(pa.array(mine)), take(told, np.flatnonzero(mine))
    rows = fresh_rows(state.seen, told)
    state.duplicates += len(told) - len(rows)
    if not len(rows):
        return state, rest, None
    state.events += len(rows)
    state.reopened += len(rows)
    late = events.take(rows)
    before = state.kept
    first = _close_again(state, late, told.time[rows])
    pairs = [(old.block, new.block) for old, new in zip(before, state.kept, strict=True)][first:]
    return (
        state,
        rest,
        Reopened(
            blocks=tuple(new for _, new in pairs),
            changed=tuple(new for old, new in pairs if _total(old) != _total(new)),
            events=late,
            arrived_at=max(state.closed_to, from_us(int(told.received[rows].max()))),
        ),
    )


def _close_again(state: WindowState, late: pa.Table, time: NDArray[np.int64]) -> int:
    """Close the blocks that ``late`` changes anew; the place of the first among the kept."""
    ends = [to_us(c.until) for c in state.kept]
    place = np.searchsorted(ends, time, side="right")  # of each event, the block it belongs to
    first = int(place.min())
    untouched, again = state.kept[:first], state.kept[first:]
    memory = again[0].before.copy()
    closed: list[Closed] = []
    for at, old in enumerate(again, first):
        more = late.filter(pa.array(place == at))
        table = pa.concat_tables([old.events, more]) if more.num_rows else old.events
        told = columns(table)
        before = memory.copy()
        block = close(
            memory,
            take(told, fresh_rows(SeenIds(), told)),
            start=old.block.start,
            until=old.until,
            data_end=old.data_end,
            declared=state.declared,
        )
        block = replace(block, revisions=_revisions(old.block, block))
        closed.append(Closed(before, old.until, old.data_end, table, block))
    state.memory = memory
    state.kept = (*untouched, *closed)
    return first


def _revisions(old: WindowBlock, new: WindowBlock) -> NDArray[np.int32]:
    """One more than before wherever a count or the completeness changed; shape (cells, minutes).

    Rows of a cell that the old block did not know are revision 1.
    """
    known = {cell: i for i, cell in enumerate(old.cells)}
    both = [i for i, cell in enumerate(new.cells) if cell in known]
    was = [known[new.cells[i]] for i in both]
    changed = np.zeros((len(both), new.minutes), bool)
    for name, counts in new.counts.items():
        changed |= counts[both] != old.counts[name][was]
    for row, i in enumerate(both):
        feed = new.cells[i].tenant, new.cells[i].source
        changed[row] |= new.completeness[feed] != old.completeness[feed]
    revisions = np.ones((len(new.cells), new.minutes), np.int32)
    revisions[both] = changed + (1 if old.revisions is None else old.revisions[was])
    return revisions


def _total(block: WindowBlock) -> int:
    """Sum of all revisions: rows are only added and revisions only grow."""
    if block.revisions is None:
        return len(block.cells) * block.minutes
    return int(block.revisions.sum())
