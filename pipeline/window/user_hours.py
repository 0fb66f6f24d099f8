"""One row per user, hour and cell: where scope, alternatives and affected users come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.model.window import USER_HOUR_SCHEMA, Cell
from pipeline.window.columns import NO_CODE, Columns, Names
from pipeline.window.users import FAMILIES, FAMILY_OF, IS_ATTEMPT, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HOUR_US = 3_600_000_000


def _dictionary(codes: NDArray[np.int64], values: Sequence[str]) -> pa.DictionaryArray:
    indices = pa.array(np.maximum(codes, 0).astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(values), pa.string()))


def _commonest_code(
    group: NDArray[np.int64], code: NDArray[np.int64], groups: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The commonest failure code of each group (the smaller one of a tie), and where none is."""
    out = np.zeros(groups, np.int32)
    known = code != NO_CODE
    if known.any():
        pairs, times = np.unique(
            np.column_stack([group[known], code[known]]), axis=0, return_counts=True
        )
        order = np.lexsort((-pairs[:, 1], times, pairs[:, 0]))
        out[pairs[order, 0]] = pairs[order, 1]  # the last write of a group wins: most times
    none = np.ones(groups, dtype=bool)
    none[group[known]] = False
    return out, none


def user_hours(events: Columns, cell: NDArray[np.int64], cells: Sequence[Cell]) -> pa.Table:
    """Fold events into a table of USER_HOUR_SCHEMA.

    Args:
        events: deduplicated, in canonical order.
        cell: index into ``cells`` of each event; negative rows are left out.
        cells: all cells.

    A user who changes country or network within the hour is placed where last seen.
    """
    rows = np.flatnonzero((cell >= 0) & events.has_user & IS_ATTEMPT[events.outcome])
    if not len(rows):
        return USER_HOUR_SCHEMA.empty_table()
    hour = events.time[rows] // HOUR_US
    order = np.lexsort((np.arange(len(rows)), events.user[rows], cell[rows], hour))
    rows = rows[order]
    hour, at, user = hour[order], cell[rows], events.user[rows]
    change = np.ones(len(rows), dtype=bool)
    change[1:] = (hour[1:] != hour[:-1]) | (at[1:] != at[:-1]) | (user[1:] != user[:-1])
    first = np.flatnonzero(change)
    last = np.append(first[1:], len(rows)) - 1
    group = np.cumsum(change) - 1
    outcome = events.outcome[rows]
    family = FAMILY_OF[outcome]

    def total(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
        return np.add.reduceat(mask.astype(np.int32), first)

    def place(names: Names) -> pa.DictionaryArray:
        return _dictionary(names.codes[rows[last]], names.values)

    def name(values: list[str]) -> pa.DictionaryArray:
        ranked = sorted(set(values))
        codes = np.array([ranked.index(v) for v in values], np.int64)
        return _dictionary(codes[at[first]], ranked)

    code, none = _commonest_code(
        group, np.where(family >= 0, events.error_code[rows], NO_CODE), len(first)
    )
    return pa.table(
        [
            pa.array(hour[first] * HOUR_US, pa.timestamp("us", tz="UTC")),
            name([c.tenant for c in cells]),
            name([str(c.source) for c in cells]),
            name([str(c.service) for c in cells]),
            name([str(c.client) for c in cells]),
            pa.array(user[first], pa.uint64()),
            place(events.country),
            place(events.network),
            place(events.client_version),
            pa.array(total(np.ones(len(rows), dtype=bool))),
            pa.array(total(outcome == SUCCESS)),
            *(pa.array(total(family == i)) for i in range(len(FAMILIES))),
            pa.array(code, mask=none),
        ],
        schema=USER_HOUR_SCHEMA,
    )
