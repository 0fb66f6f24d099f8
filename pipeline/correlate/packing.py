"""Arrow user-hours to compact rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.correlate.history import ATTRIBUTES, FAILED_COLUMNS, I32, ROW, Hour, Names, Rows
from pipeline.model.vocabulary import Client, Service, Source
from pipeline.model.window import Cell

HOUR_US: Final = 3_600_000_000
_COUNT_LIMIT: Final = 65_535  # counts are kept as uint16: more says nothing new


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The user-hours of a block, read from Arrow once for all its hours.

    Attributes:
        columns: the numbers of ROW by name; ``failed`` of shape (n, families).
        attributes: by name, codes (-1 = null) and the names that they index.
        cells: in order of name.
        runs: by hour since 1970, (index into ``cells``, first row, row after) in order of
            cell; the rows of a run are in order of user.
    """

    columns: dict[str, npt.NDArray[Any]]
    attributes: dict[str, tuple[I32, list[str | None]]]
    cells: list[Cell]
    runs: dict[int, list[tuple[int, int, int]]]


def unpack(table: pa.Table) -> Unpacked:
    """Read a table of USER_HOUR_SCHEMA; the order of its rows changes nothing."""
    hour = table["hour"].cast(pa.int64()).to_numpy() // HOUR_US
    cell, cells = _cells(table)
    user = table["user"].to_numpy()
    first = int(hour.min()) if len(hour) else 0
    place = (hour - first) * len(cells) + cell
    begins = _begins(place, user)
    if begins is None or (hour[1:] < hour[:-1]).any():
        return unpack(table.take(pa.array(np.lexsort((user, place)))))
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for start, end in pairwise([*begins, table.num_rows]):
        runs.setdefault(int(hour[start]), []).append((int(cell[start]), start, end))
    columns = {"user": user, "code": pc.fill_null(table["code"], -1).to_numpy()}
    for name in ("attempts", "ok", *FAILED_COLUMNS):
        columns[name] = np.minimum(table[name].to_numpy(), _COUNT_LIMIT)
    attributes = {name: _codes(table, name) for name in ATTRIBUTES}
    return Unpacked(columns, attributes, cells, {h: sorted(r) for h, r in runs.items()})


def _begins(place: npt.NDArray[np.int64], user: npt.NDArray[np.uint64]) -> list[int] | None:
    """Where runs of one place begin; None if a place has several, or users out of order."""
    changed = place[1:] != place[:-1]
    begins = np.flatnonzero(np.append(True, changed)[: len(place)])
    places = np.sort(place[begins])
    if (places[1:] == places[:-1]).any() or ((user[1:] < user[:-1]) & ~changed).any():
        return None
    return begins.tolist()


def _codes(table: pa.Table, name: str) -> tuple[I32, list[str | None]]:
    """Codes (-1 = null) and names of a dictionary column, as they stand."""
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    indices = pc.fill_null(column.indices, -1) if column.null_count else column.indices
    return np.asarray(indices.to_numpy(), np.int32), column.dictionary.to_pylist()


def _used(codes: npt.NDArray[np.integer[Any]], names: int) -> list[int]:
    """The codes that are met, in order; -1 is none."""
    return np.flatnonzero(np.bincount(codes + 1, minlength=names + 1)[1:]).tolist()


def _cells(table: pa.Table) -> tuple[npt.NDArray[np.int64], list[Cell]]:
    """For each row the number of its cell, and the cells in order of name."""
    key = np.zeros(table.num_rows, np.int64)
    parts: list[list[str]] = []
    space = 1
    for name in ("tenant", "source", "service", "client"):
        codes, values = _codes(table, name)
        ranked = sorted({str(v) for v in values})
        if len(ranked) > 1:  # most tables are of one tenant
            rank = {value: at for at, value in enumerate(ranked)}
            key = key * len(ranked) + np.array([rank[str(v)] for v in values])[codes]
        parts.append(ranked)
        space *= len(ranked)
    cells: list[Cell] = []
    number = np.zeros(space, np.int64)
    for value in _used(key, space):
        picked: list[str] = []
        rest = value
        for names in reversed(parts):
            rest, code = divmod(rest, len(names))
            picked.append(names[code])
        client, service, source, tenant = picked
        number[value] = len(cells)
        cells.append(Cell(tenant, Source(source), Service(service), Client(client)))
    return number[key], cells


def pack(
    hour: int, block: Unpacked, completeness: dict[tuple[str, Source], float], names: Names
) -> Hour:
    """The rows of one hour.

    Args:
        hour: hour since 1970.
        block: user-hours, those of ``hour`` among them.
        completeness: by (tenant, source), mean over the hour, 0..1.
        names: grows by the names not met before.
    """
    runs = block.runs.get(hour, [])
    if not runs:
        return Hour(hour, {}, np.zeros(0, ROW), completeness)
    start, end = min(r[1] for r in runs), max(r[2] for r in runs)
    rows = _rows(block, slice(start, end), names)
    ordered = [rows[a - start : b - start] for _, a, b in runs]
    edges = np.cumsum([0, *map(len, ordered)]).tolist()
    ranges = {
        block.cells[cell]: edge for (cell, _, _), edge in zip(runs, pairwise(edges), strict=True)
    }
    return Hour(hour, ranges, _joined(ordered), completeness)


def _joined(parts: list[Rows]) -> Rows:
    """All rows, copied as bytes: field by field it takes three times as long."""
    joined = np.concatenate([part.view(np.uint8) for part in parts])
    return joined.view(ROW)


def _rows(block: Unpacked, span: slice, names: Names) -> Rows:
    columns = block.columns
    rows = np.zeros(len(columns["user"][span]), ROW)
    for name in ("user", "code", "attempts", "ok"):
        rows[name] = columns[name][span]
    for at, name in enumerate(FAILED_COLUMNS):
        rows["failed"][:, at] = columns[name][span]
    for name, (codes, values) in block.attributes.items():
        mine = codes[span]
        mapping = np.full(len(values) + 1, -1, np.int32)
        # In order of name: the numbers must not depend on the order of a dictionary.
        met = [(value, at) for at in _used(mine, len(values)) if (value := values[at]) is not None]
        for value, at in sorted(met):
            mapping[at] = names.add(value)
        rows[name] = mapping[mine]
    return rows
