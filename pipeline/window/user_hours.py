"""One row per user, hour and cell: where scope, alternatives and affected users come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.model.clock import MINUTE_US
from pipeline.model.window import USER_HOUR_SCHEMA, Cell
from pipeline.window.columns import NO_CODE, Columns, Names
from pipeline.window.passes import fold_hours
from pipeline.window.people import Pairs, number_pairs
from pipeline.window.users import FAMILIES, FAMILY_OF, SUCCESS, user_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HOUR_US = 3_600_000_000


def _dictionary(codes: NDArray[np.int32], values: Sequence[str]) -> pa.DictionaryArray:
    null = codes < 0
    indices = pa.array(np.maximum(codes, 0), mask=null) if null.any() else pa.array(codes)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(values), pa.string()))


def _commonest_code(
    group: NDArray[np.int64], code: NDArray[np.int32], groups: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The commonest failure code of each group (the smaller one of a tie), and where none is."""
    out = np.zeros(groups, np.int32)
    none = np.ones(groups, dtype=bool)
    if len(group):
        # Codes are of 32 bits, so group and code make one word.
        keys = np.sort((group << 32) + (code.astype(np.int64) - NO_CODE))
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        times = np.diff(np.append(first, len(keys)))
        of = keys[first] >> 32
        begins = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
        most = np.repeat(np.maximum.reduceat(times, begins), np.diff(np.append(begins, len(of))))
        best = np.flatnonzero(times == most)[::-1]
        # The last write of a group wins: the smallest of its commonest.
        out[of[best]] = (keys[first[best]] & 0xFFFFFFFF) + NO_CODE
        none[of] = False
    return out, none


def user_hours(
    events: Columns,
    cell: NDArray[np.int64],
    cells: Sequence[Cell],
    pairs: Pairs | None = None,
) -> pa.Table:
    """Fold events into a table of USER_HOUR_SCHEMA, sorted by hour, cell and user.

    Args:
        events: deduplicated, in canonical order.
        cell: index into ``cells`` of each event; negative rows are left out.
        cells: all cells.
        pairs: of the rows that :func:`pipeline.window.users.user_rows` gives, if they are
            numbered already; others may be among them.

    A user who changes country or network within the hour is placed where last seen.
    """
    rows = user_rows(events, cell)
    if not len(rows):
        return USER_HOUR_SCHEMA.empty_table()
    if pairs is None:
        pairs = number_pairs(cell[rows], events.user[rows])
    time = events.time[rows]
    start = int(time[0]) // HOUR_US * HOUR_US
    minute = (time - start) // MINUTE_US
    outcome = events.outcome[rows]
    family = FAMILY_OF[outcome]
    last, counts, failing = fold_hours(
        pairs.code, minute, outcome == SUCCESS, family, len(pairs), len(FAMILIES)
    )
    who, hour, last = pairs.code[last], minute[last] // 60, rows[last]
    at = pairs.cell[who]

    def place(names: Names) -> pa.DictionaryArray:
        return _dictionary(names.codes[last], names.values)

    def name(values: list[str]) -> pa.DictionaryArray:
        ranked = sorted(set(values))
        codes = np.array([ranked.index(v) for v in values], np.int32)
        return _dictionary(codes[at], ranked)

    failed = events.error_code[rows[family >= 0]]
    told = failed != NO_CODE
    code, none = _commonest_code(failing[told], failed[told], len(last))
    return pa.table(
        [
            pa.array(hour * HOUR_US + start, pa.timestamp("us", tz="UTC")),
            name([c.tenant for c in cells]),
            name([str(c.source) for c in cells]),
            name([str(c.service) for c in cells]),
            name([str(c.client) for c in cells]),
            pa.array(pairs.user[who], pa.uint64()),
            place(events.country),
            place(events.network),
            place(events.client_version),
            *(pa.array(count) for count in counts),
            pa.array(code, mask=none),
        ],
        schema=USER_HOUR_SCHEMA,
    )
