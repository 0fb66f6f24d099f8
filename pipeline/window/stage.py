"""The window stage: (state, events) -> (state, one block of closed windows)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.model.clock import MINUTE_US, from_us, to_us
from pipeline.window.closing import close
from pipeline.window.columns import columns, id_words, take
from pipeline.window.dedupe import fresh_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from pipeline.model.vocabulary import Source
    from pipeline.model.window import WindowBlock
    from pipeline.window.state import WindowState

_NOBODY: Final[Mapping[Source, datetime]] = {}


def advance(
    state: WindowState,
    events: pa.Table,
    *,
    start: datetime,
    until: datetime,
    data_end: datetime | None = None,
    reached: Mapping[Source, datetime] = _NOBODY,
) -> tuple[WindowState, WindowBlock]:
    """Close the windows of [start, until), both on full hours.

    Args:
        state: changed in place and returned.
        events: table of EVENT_SCHEMA with the events of the stretch in any order. Events
            of any other time are counted in ``state.outside`` and change no window.
        start: first minute; must be where the last block ended, if there was one.
        until: minute after the last one.
        data_end: newest moment any record speaks of; minutes younger than a feed's delay
            are incomplete. None = everything has arrived.
        reached: of sources whose feed is behind or fails, how far it came: later minutes are
            incomplete, or blind.

    Raises:
        ValueError: ``start`` is not where the last block ended, or no full hour.
    """
    start_us, until_us = to_us(start), to_us(until)
    if state.closed_to is not None and start != state.closed_to:
        raise ValueError(f"block must start at {state.closed_to}, not {start}")
    if start_us % (60 * MINUTE_US) or until_us % (60 * MINUTE_US) or until_us <= start_us:
        raise ValueError(f"block must cover full hours, not {start} to {until}")
    told = columns(events)
    rows = fresh_rows(state.seen, told, id_words(events))
    state.events += len(rows)
    state.duplicates += len(told) - len(rows)
    time = told.time[rows]
    inside = rows[(time >= start_us) & (time < until_us)]
    state.outside += len(rows) - len(inside)
    block = close(
        state.memory,
        take(told, inside),
        start=start,
        until=until,
        data_end=data_end,
        declared=state.declared,
        reached=reached,
    )
    state.closed_to = until
    state.seen.forget_before(until_us)
    return state, block


def moment_after(block: WindowBlock) -> datetime:
    """The minute after a block's last one."""
    return from_us(to_us(block.start) + block.minutes * MINUTE_US)
