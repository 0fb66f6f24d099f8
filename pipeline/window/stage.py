"""The window stage: (state, events) -> (state, one block of closed windows)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.clock import MINUTE_US, from_us, to_us
from pipeline.model.event import EventFlag
from pipeline.model.vocabulary import Client, Service, Source
from pipeline.model.window import Cell, WindowBlock, outcome_column
from pipeline.window.arrival import DECLARED, LATE_AFTER, Arrival
from pipeline.window.codes import CodesSeen, count_codes
from pipeline.window.columns import OUTCOMES, Columns, columns
from pipeline.window.dedupe import SeenIds, deduplicate
from pipeline.window.gaps import FeedRate, find_gaps
from pipeline.window.throttled import Mailboxes
from pipeline.window.user_hours import user_hours
from pipeline.window.users import IS_ATTEMPT, SUCCESS, Attempts, OpenHours, count_users

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa
    from numpy.typing import NDArray

    from pipeline.model.window import Gap

# One record may stand for many accesses (OperationCount); a single mailbox must not be
# able to move the volume of its client, so a record counts for this many at most.
WEIGHT_CAP: Final = 16
WATCHED: Final = frozenset(
    {Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE, Source.EXCHANGE_AUDIT}
)

Feed = tuple[str, Source]


@dataclass(slots=True)
class WindowState:
    """Everything the stage remembers; bounded by users, cells and eight days of ids.

    ``closed_to`` is the moment up to which windows are closed, None before the first block;
    ``declared`` holds (median, p95) delays in seconds of sources that tell no arrival time.
    """

    closed_to: datetime | None = None
    cells: list[Cell] = field(default_factory=list)
    seen: SeenIds = field(default_factory=SeenIds)
    open_hours: OpenHours = field(default_factory=OpenHours)
    codes: CodesSeen = field(default_factory=CodesSeen)
    mailboxes: Mailboxes = field(default_factory=Mailboxes)
    declared: dict[Source, tuple[float, float]] = field(default_factory=lambda: dict(DECLARED))
    arrivals: dict[Feed, Arrival] = field(default_factory=dict)
    rates: dict[Feed, FeedRate] = field(default_factory=dict)
    duplicates: int = 0
    outside: int = 0
    events: int = 0


def advance(
    state: WindowState,
    events: pa.Table,
    *,
    start: datetime,
    until: datetime,
    data_end: datetime | None = None,
) -> tuple[WindowState, WindowBlock]:
    """Close the windows of [start, until), both on full hours.

    Args:
        state: changed in place and returned.
        events: table of EVENT_SCHEMA with the events of the stretch in any order. Events
            of any other time are counted in ``state.outside`` and change no window: a
            closed window is not published again.
        start: first minute; must be where the last block ended, if there was one.
        until: minute after the last one.
        data_end: newest moment any record speaks of; minutes younger than a feed's delay
            are incomplete. None = everything has arrived.

    Raises:
        ValueError: ``start`` is not where the last block ended, or no full hour.
    """
    start_us, until_us = to_us(start), to_us(until)
    if state.closed_to is not None and start != state.closed_to:
        raise ValueError(f"block must start at {state.closed_to}, not {start}")
    if start_us % (60 * MINUTE_US) or until_us % (60 * MINUTE_US) or until_us <= start_us:
        raise ValueError(f"block must cover full hours, not {start} to {until}")
    fresh, duplicates = deduplicate(state.seen, columns(events))
    state.duplicates += duplicates
    state.events += len(fresh)
    minutes = (until_us - start_us) // MINUTE_US
    minute = (fresh.time - start_us) // MINUTE_US
    inside = (minute >= 0) & (minute < minutes)
    state.outside += int((~inside).sum())
    minute = np.where(inside, minute, 0)
    cell = np.where(inside, _cells(state, fresh), -1)
    start_minute = start_us // MINUTE_US
    audit = _is(fresh, Source.EXCHANGE_AUDIT)
    throttled = state.mailboxes.take(fresh, audit)
    counts = _count(state, fresh, cell, minute, minutes, start_minute, throttled)
    completeness, gaps = _completeness(
        state, fresh, inside, minute, minutes, start_minute, data_end
    )
    block = WindowBlock(
        start=start,
        minutes=minutes,
        cells=tuple(state.cells),
        counts=counts,
        codes=count_codes(fresh, _user_cells(state, cell), state.codes, start_minute, minutes),
        completeness=completeness,
        user_hours=user_hours(fresh, _user_cells(state, cell), state.cells),
        gaps=tuple(gaps),
        settle={feed: arrival.settle() for feed, arrival in state.arrivals.items()},
        measured=frozenset(f for f, a in state.arrivals.items() if a.measured),
    )
    state.closed_to = until
    state.seen.forget_before(until_us)
    state.mailboxes.forget_before(until_us)
    return state, block


def _is(events: Columns, source: Source) -> NDArray[np.bool_]:
    if source not in events.source.values:
        return np.zeros(len(events), dtype=bool)
    mask: NDArray[np.bool_] = events.source.codes == events.source.values.index(source)
    return mask


def _cells(state: WindowState, events: Columns) -> NDArray[np.int64]:
    """Index of each event's cell; -1 for sources that are context, not traffic."""
    known = {cell: i for i, cell in enumerate(state.cells)}
    shape = tuple(
        max(len(names.values), 1)
        for names in (events.tenant, events.source, events.service, events.client)
    )
    codes = (events.tenant.codes, events.source.codes, events.service.codes, events.client.codes)
    distinct, inverse = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    index = np.full(len(distinct), -1, np.int64)
    for i, key in enumerate(distinct.tolist()):
        tenant, source, service, client = (int(k) for k in np.unravel_index(key, shape))
        cell = Cell(
            events.tenant.values[tenant],
            Source(events.source.values[source]),
            Service(events.service.values[service]),
            Client(events.client.values[client]),
        )
        if cell.source in WATCHED:
            if cell not in known:
                known[cell] = len(state.cells)
                state.cells.append(cell)
            index[i] = known[cell]
    result: NDArray[np.int64] = index[inverse]
    return result


def _user_cells(state: WindowState, cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells of users: server-side traffic is counted and shown, but is nobody's."""
    system = np.array([c.client is Client.SYSTEM for c in state.cells] + [False])
    return np.where(system[cell], -1, cell)


def _count(
    state: WindowState,
    events: Columns,
    cell: NDArray[np.int64],
    minute: NDArray[np.int64],
    minutes: int,
    start_minute: int,
    throttled: NDArray[np.bool_],
) -> dict[str, NDArray[np.int32]]:
    shape = (len(state.cells), minutes)

    def tally(
        mask: NDArray[np.bool_], weights: NDArray[np.int64] | None = None
    ) -> NDArray[np.int32]:
        rows = np.flatnonzero(mask & (cell >= 0))
        place = cell[rows] * minutes + minute[rows]
        by = None if weights is None else weights[rows]
        flat = np.bincount(place, weights=by, minlength=shape[0] * shape[1])
        return flat.reshape(shape).astype(np.int32)

    success = events.outcome == SUCCESS
    attempt = IS_ATTEMPT[events.outcome]
    counts = {outcome_column(o): tally(events.outcome == i) for i, o in enumerate(OUTCOMES)}
    counts["attempts"] = tally(attempt)
    counts["weight"] = tally(success & ~throttled, np.minimum(events.weight, WEIGHT_CAP))
    counts["late"] = tally(_late(events))
    guest = (events.flags & int(EventFlag.GUEST)) > 0
    of_users = _user_cells(state, cell)
    rows = np.flatnonzero((of_users >= 0) & events.has_user & attempt & ~guest & ~throttled)
    attempts = Attempts(of_users[rows], events.user[rows], minute[rows], events.outcome[rows])
    users, state.open_hours = count_users(
        attempts, state.open_hours, start_minute, minutes, len(state.cells)
    )
    return {**counts, **users}


def _late(events: Columns) -> NDArray[np.bool_]:
    limit = np.array([LATE_AFTER[Source(s)] * 1e6 for s in events.source.values] or [0.0])
    late: NDArray[np.bool_] = (events.received >= 0) & (
        events.received - events.time > limit[events.source.codes]
    )
    return late


def _completeness(
    state: WindowState,
    events: Columns,
    inside: NDArray[np.bool_],
    minute: NDArray[np.int64],
    minutes: int,
    start_minute: int,
    data_end: datetime | None,
) -> tuple[dict[Feed, NDArray[np.float32]], list[Gap]]:
    completeness: dict[Feed, NDArray[np.float32]] = {}
    gaps: list[Gap] = []
    feeds = {(c.tenant, c.source) for c in state.cells} | set(state.rates)
    for tenant, source in sorted(feeds):
        feed = (tenant, source)
        mine = _is(events, source) & inside
        if tenant in events.tenant.values:
            mine &= events.tenant.codes == events.tenant.values.index(tenant)
        else:
            mine &= False
        arrival = state.arrivals.setdefault(feed, Arrival(source, state.declared[source]))
        told = mine & (events.received >= 0)
        arrival.learn((events.received[told] - events.time[told]) / 1e6, minutes / 1440)
        rate = state.rates.setdefault(feed, FeedRate())
        records = np.bincount(minute[mine], minlength=minutes)
        share, found = find_gaps(rate, feed, start_minute, records)
        gaps += found
        if source is Source.EXCHANGE_AUDIT:
            hours = (start_minute + np.arange(0, minutes, 60)) * MINUTE_US
            out = state.mailboxes.share_out(tenant, hours)
            share *= (1.0 - np.repeat(out, 60)).astype(np.float32)
        if data_end is not None:
            age = (to_us(data_end) / MINUTE_US - start_minute - np.arange(minutes) - 1) * 60.0
            share *= np.clip(age / arrival.settle()[1], 0.0, 1.0).astype(np.float32)
        completeness[feed] = share
    return completeness, gaps


def moment_after(block: WindowBlock) -> datetime:
    """The minute after a block's last one."""
    return from_us(to_us(block.start) + block.minutes * MINUTE_US)
