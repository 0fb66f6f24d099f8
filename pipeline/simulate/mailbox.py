"""Mailbox audit rows: what worked, folded as Exchange folds it, among server-side traffic.

Binds are folded over 2 minutes and carry a count, folder synchronisations are logged at
most hourly, a mailbox above 1,000 binds a day goes silent for 24 h (Microsoft's page on
MailItemsAccessed). No row ever tells of a failure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate.activity import MINUTE_US, Uses
from pipeline.simulate.catalog import FIRST_SYSTEM, SOFTWARE, SYSTEM_CALLERS
from pipeline.simulate.population import MEMBER
from pipeline.simulate.rows import AUDIT, OPERATIONS, Rows, make, take
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from pipeline.simulate.world import World

HOUR_US: Final = 60 * MINUTE_US
FOLD_US: Final = 2 * MINUTE_US
WRITES: Final = 0.12  # writes for each access
# Sixty per cent of the server-side records come evenly day and night, the rest with the
# mail of the day; the figure keeps them above half of all records on working days.
SYSTEM_A_DAY: Final = 31.0
_WRITE_CODES: Final = np.arange(1, len(OPERATIONS))
_WRITE_WEIGHTS: Final = (0.30, 0.22, 0.18, 0.15, 0.10, 0.05)
_SYSTEM_WEIGHTS: Final = (0.96, 0.0, 0.02, 0.0, 0.0, 0.02, 0.0)


def day_audit(
    world: World, uses: Uses, works: NDArray[np.bool_], day: date, rng: np.random.Generator
) -> list[Rows]:
    """Audit rows of one local day, in no order."""
    seen = works & (rng.random(uses.t.size) < world.audited[uses.hold])
    fine = uses.keep(seen)
    rows = [*_accesses(world, fine, rng), _writes(world, fine, rng)]
    rows += [_system(world, day), _throttled(world, day)]
    return [_reported(world, r) for r in rows]


def _accesses(world: World, uses: Uses, rng: np.random.Generator) -> list[Rows]:
    holdings = world.people.holdings
    sync = rng.random(uses.t.size) < world.sync[uses.hold]
    bound, synced = uses.keep(~sync), uses.keep(sync)
    items = 1 + rng.poisson(np.maximum(world.binds[bound.hold] - 1, 0))
    first = _new(bound, FOLD_US)
    count = np.add.reduceat(items, np.flatnonzero(first)) if first.size else items
    hourly = _new(synced, HOUR_US)
    return [
        _make(
            world,
            t=part.t,
            account=holdings.user[part.hold],
            software=holdings.software[part.hold],
            ip=part.ip,
            sync=is_sync,
            count=number,
        )
        for part, is_sync, number in (
            (bound.keep(first), 0, np.minimum(count, 3000)),
            (synced.keep(hourly), 1, 1),
        )
    ]


def _new(uses: Uses, width: int) -> NDArray[np.bool_]:
    """Marks the first use of each (holding, stretch of ``width``)."""
    first = np.ones(uses.t.size, bool)
    stretch = uses.t // width
    first[1:] = (uses.hold[1:] != uses.hold[:-1]) | (stretch[1:] != stretch[:-1])
    return first


def _writes(world: World, uses: Uses, rng: np.random.Generator) -> Rows:
    holdings = world.people.holdings
    part = uses.keep(rng.random(uses.t.size) < WRITES)
    return _make(
        world,
        t=part.t + rng.integers(1_000_000, 50_000_000, part.t.size),
        account=holdings.user[part.hold],
        software=holdings.software[part.hold],
        ip=part.ip,
        operation=rng.choice(_WRITE_CODES, size=part.t.size, p=_WRITE_WEIGHTS),
        count=1,
    )


def _system(world: World, day: date) -> Rows:
    rng = stream(world.spec.seed, "system", day.toordinal())
    accounts = world.people.accounts
    boxes = np.flatnonzero(accounts.kind <= MEMBER + 1)
    weight = np.sqrt(accounts.activity[boxes])
    mail = 1.0 if day.weekday() < 5 else 0.25
    size = int(rng.poisson(SYSTEM_A_DAY * boxes.size * (0.6 + 0.4 * mail)))
    even = rng.random(size) < 0.6 / (0.6 + 0.4 * mail)
    hours = np.where(even, rng.uniform(0, 24, size), np.clip(rng.normal(12, 3.5, size), 0, 23.99))
    midnight = to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return _make(
        world,
        t=midnight + (hours * HOUR_US).astype(np.int64),
        account=rng.choice(boxes, size, p=weight / weight.sum()),
        software=FIRST_SYSTEM
        + rng.choice(len(SYSTEM_CALLERS), size, p=[share for _, _, share in SYSTEM_CALLERS]),
        ip=rng.choice(world.people.datacentre_ips, size),
        operation=rng.choice(len(OPERATIONS), size=size, p=_SYSTEM_WEIGHTS),
        count=1 + rng.geometric(0.6, size) - 1,
    )


def _throttled(world: World, day: date) -> Rows:
    """The burst of binds by a Graph application that gets a mailbox throttled."""
    begin = to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))
    graph = next(i for i, s in enumerate(SOFTWARE) if s.client == Client.GRAPH)
    parts = []
    for account, start, _ in world.throttles:
        if begin <= start < begin + 24 * HOUR_US:
            steps = np.arange(50)
            parts.append(
                _make(
                    world,
                    t=start - (50 - steps) * 45_000_000,
                    account=np.full(50, account),
                    software=graph,
                    ip=int(world.people.accounts.office_ip[account]),
                    count=21,
                    throttled=steps == 49,
                )
            )
    return np.concatenate(parts) if parts else make(AUDIT, 0)


def _reported(world: World, rows: Rows) -> Rows:
    """Drop binds of throttled mailboxes and what falls into a gap of the feed."""
    gone = np.zeros(rows.size, bool)
    for account, start, end in world.throttles:
        quiet = (rows["account"] == account) & (rows["t"] >= start) & (rows["t"] < end)
        quiet &= rows["operation"] == 0
        gone |= quiet & (rows["sync"] == 0)
        rows["throttled"] |= quiet
    for gap in world.plan.audit_gaps:
        gone |= (rows["t"] >= gap.start) & (rows["t"] < gap.end)
    return take(rows, ~gone)


def _make(world: World, *, t: NDArray[np.int64], **columns: object) -> Rows:
    return make(AUDIT, t.size, t=t, serial=world.serials(t.size), **columns)
