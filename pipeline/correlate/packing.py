"""Arrow user-hours to compact rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.correlate.history import ATTRIBUTES, FAILED_COLUMNS, I32, ROW, Hour, Names
from pipeline.model.vocabulary import Client, Service, Source
from pipeline.model.window import Cell

HOUR_US: Final = 3_600_000_000
_COUNT_LIMIT: Final = 65_535  # counts are kept as uint16: more says nothing new


def by_hour(table: pa.Table) -> dict[int, pa.Table]:
    """Split a table of USER_HOUR_SCHEMA by hour since 1970."""
    if not table.num_rows:
        return {}
    hours = table["hour"].cast(pa.int64()).to_numpy() // HOUR_US
    order = np.argsort(hours, kind="stable")
    values, starts = np.unique(hours[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    ordered = table.take(pa.array(order))
    return {
        int(v): ordered.slice(s, e - s)
        for v, s, e in zip(values.tolist(), starts.tolist(), ends, strict=True)
    }


def _column(table: pa.Table, name: str) -> tuple[I32, list[str]]:
    """Codes (-1 = null) and sorted names of a dictionary column."""
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    values = column.dictionary.to_pylist()
    codes = np.asarray(pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False), np.int32)
    used = np.unique(codes[codes >= 0]).tolist()
    names = sorted({values[c] for c in used if values[c] is not None})
    at = {n: i for i, n in enumerate(names)}
    mapping = np.full(len(values) + 1, -1, np.int32)
    for code in used:
        mapping[code] = at.get(values[code], -1)
    return mapping[codes], names


def _cells(table: pa.Table) -> tuple[npt.NDArray[np.int64], list[Cell]]:
    """For each row the number of its cell, and the cells in order of name."""
    key = np.zeros(table.num_rows, np.int64)
    parts: list[list[str]] = []
    for name in ("tenant", "source", "service", "client"):
        codes, names = _column(table, name)
        key = key * len(names) + codes
        parts.append(names)
    keys, inverse = np.unique(key, return_inverse=True)
    cells = []
    for value in keys.tolist():
        picked: list[str] = []
        rest = value
        for names in reversed(parts):
            rest, code = divmod(rest, len(names))
            picked.append(names[code])
        client, service, source, tenant = picked
        cells.append(Cell(tenant, Source(source), Service(service), Client(client)))
    return inverse, cells


def pack(
    hour: int, table: pa.Table, completeness: dict[tuple[str, Source], float], names: Names
) -> Hour:
    """The rows of one hour; their order in the table changes nothing.

    Args:
        hour: hour since 1970.
        table: USER_HOUR_SCHEMA, rows of this hour only.
        completeness: by (tenant, source), mean over the hour, 0..1.
        names: grows by the names not met before.
    """
    rows = np.zeros(table.num_rows, ROW)
    if not len(rows):
        return Hour(hour, {}, rows, completeness)
    rows["user"] = table["user"].to_numpy()
    cell, cells = _cells(table)
    for attribute in ATTRIBUTES:
        codes, values = _column(table, attribute)
        mapping = np.asarray([*(names.add(v) for v in values), -1], np.int32)
        rows[attribute] = mapping[codes]
    rows["code"] = pc.fill_null(table["code"], -1).to_numpy()
    for column in ("attempts", "ok"):
        rows[column] = np.minimum(table[column].to_numpy(), _COUNT_LIMIT)
    for at, column in enumerate(FAILED_COLUMNS):
        rows["failed"][:, at] = np.minimum(table[column].to_numpy(), _COUNT_LIMIT)
    order = np.lexsort((rows["user"], cell))
    edges = np.searchsorted(cell[order], np.arange(len(cells) + 1)).tolist()
    ranges = {c: (edges[i], edges[i + 1]) for i, c in enumerate(cells)}
    return Hour(hour, ranges, rows[order], completeness)
