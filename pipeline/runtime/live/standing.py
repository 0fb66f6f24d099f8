"""Where a tenant stands, in numbers: for ``outrider state``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read at run time by documents.to_json
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.model.flag import FlagState
from pipeline.runtime.live.held import revived

if TYPE_CHECKING:
    from detectors.bank import TenantBank
    from detectors.drop import DropLanes
    from detectors.failure import FailureLanes
    from detectors.shift import ShiftLanes
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.held import Held
    from pipeline.runtime.live.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes of one group of detectors: how many there are, and how many know what is usual."""

    lanes: int
    warm: int


@dataclass(frozen=True, slots=True)
class Feed:
    """One source of a tenant: cells (a client in a service) met, and records in the tail."""

    cells: int
    tail_rows: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's state in numbers.

    Attributes:
        tenant: whose.
        partition: of the topics; None in a ledger.
        stands_at: what the stored ground holds up to: a number of the journal, or an offset.
        behind: messages since; see :class:`pipeline.runtime.live.held.Held`.
        ground_bytes, issued_bytes: of the small bodies.
        parts, part_bytes: large parts and their bytes.
        clock: newest moment that any record speaks of.
        closed_to: moment before which all is judged for good.
        judged_to: clock of the last judgement.
        tail_rows: records that may still be judged again.
        open_flags, open_incidents: told and not over.
        warming_up: whether nothing is known yet of how many people are usual.
        events, duplicates: records judged for good, and copies left out.
        too_old, too_new: records that no day could take any more, or yet.
        advisories: waiting to be matched.
        lanes: of the detectors, by group.
        feeds: by source.
    """

    tenant: str
    partition: int | None
    stands_at: int
    behind: int
    ground_bytes: int
    parts: int
    part_bytes: int
    issued_bytes: int
    clock: datetime | None
    closed_to: datetime | None
    judged_to: datetime | None
    tail_rows: int
    open_flags: int
    open_incidents: int
    warming_up: bool
    events: int
    duplicates: int
    too_old: int
    too_new: int
    advisories: int
    lanes: dict[str, Lanes]
    feeds: dict[str, Feed]


def standing(settings: Settings, held: Held) -> Standing:
    """Where a tenant stands, its messages taken in.

    Raises:
        StateError: the state is damaged or of another version.
    """
    tenant = revived(settings, held)
    part, issued = tenant.ground, tenant.issued
    bank = part.ground.banks.get(held.tenant)
    lanes = {} if bank is None else lanes_of(bank)
    return Standing(
        tenant=held.tenant,
        partition=held.partition,
        stands_at=held.stands_at,
        behind=held.behind,
        ground_bytes=len(held.ground or b""),
        parts=len(held.parts),
        part_bytes=sum(map(len, held.parts.values())),
        issued_bytes=len(held.issued or b""),
        clock=part.clock,
        closed_to=part.closed_to,
        judged_to=issued.judged_to,
        tail_rows=tenant.rows,
        open_flags=sum(f.state is FlagState.OPEN for f in issued.flags.last.values()),
        open_incidents=sum(not i.state.over for i in issued.incidents.last.values()),
        warming_up=not any(g.warm for name, g in lanes.items() if name == "users"),
        events=part.ground.windows.events,
        duplicates=part.ground.windows.duplicates,
        too_old=part.too_old,
        too_new=part.too_new,
        advisories=len(part.advisories),
        lanes=lanes,
        feeds=_feeds(tenant, held.tenant),
    )


def lanes_of(bank: TenantBank) -> dict[str, Lanes]:
    """The lanes of a bank, by group."""
    groups: dict[str, FailureLanes | DropLanes | ShiftLanes] = {
        "failures": bank.failures,
        "retries": bank.retries,
        "codes": bank.codes,
        "users": bank.users,
        "volume": bank.volume,
        "shifts": bank.moves.lanes,
    }
    warm = {name: group.warm() for name, group in groups.items()}
    return {name: Lanes(int(w.size), int(w.sum())) for name, w in warm.items()}


def _feeds(tenant: Tenant, name: str) -> dict[str, Feed]:
    cells: dict[str, int] = {}
    for cell in tenant.ground.ground.windows.memory.cells:
        if cell.tenant == name:
            cells[str(cell.source)] = cells.get(str(cell.source), 0) + 1
    rows: dict[str, int] = {}
    for piece in tenant.ground.tail:
        counted = piece.read().column("source").cast(pa.string()).value_counts()
        for entry in counted.to_pylist():
            rows[entry["values"]] = rows.get(entry["values"], 0) + entry["counts"]
    return {s: Feed(cells.get(s, 0), rows.get(s, 0)) for s in sorted({*cells, *rows})}
