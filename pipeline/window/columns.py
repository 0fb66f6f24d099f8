"""An event table as plain numpy columns, with names turned into small codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.vocabulary import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTCOMES = tuple(Outcome)
NO_CODE = -(2**31)  # error_code of a record that carries none


@dataclass(frozen=True, slots=True)
class Names:
    """A dictionary column: ``codes[i]`` indexes ``values``; -1 = null."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Events as arrays of one length, in the order of the table.

    As narrow as they come: of a day's records each copy of a column is read from memory. What
    is the same in every record is one value, stretched without a copy (stride 0, read-only).
    """

    time: NDArray[np.int64]
    received: NDArray[np.int64]  # -1 where not told
    tenant: Names
    source: Names
    service: Names
    client: Names
    client_version: Names
    country: Names
    network: Names
    outcome: NDArray[np.int8]  # index into OUTCOMES
    error_code: NDArray[np.int32]
    user: NDArray[np.uint64]
    has_user: NDArray[np.bool_]
    weight: NDArray[np.int32]
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.time)


def _whole(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _stretched(value: Any, length: int, kind: Any) -> NDArray[Any]:
    """One value for every record."""
    return np.broadcast_to(np.array(value, kind), length)


def _picked(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The given rows of a column."""
    return values[: len(rows)] if values.strides == (0,) else values[rows]


def _names(table: pa.Table, name: str) -> Names:
    column = _whole(table, name)
    if column.null_count == len(column):
        return Names(_stretched(-1, len(column), np.int32), ())
    if len(column.dictionary) == 1 and not column.null_count:
        return Names(_stretched(0, len(column), np.int32), (column.dictionary[0].as_py(),))
    values = column.dictionary.to_pylist()
    # Two spellings of a dictionary never differ in meaning, so equal values share a code
    # and the codes follow the sorted values: nothing depends on the order of arrival.
    ranked = sorted(set(values))
    codes: NDArray[np.int32] = column.indices.fill_null(len(values)).to_numpy()
    if values != ranked or column.null_count:
        rank = {value: i for i, value in enumerate(ranked)}
        codes = np.array([*(rank[v] for v in values), -1], np.int32)[codes]
    return Names(codes, tuple(ranked))


def _numbers(table: pa.Table, name: str, null: int) -> NDArray[Any]:
    """A column in its own width; times in microseconds."""
    column = _whole(table, name)
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    if column.null_count == len(column):
        return _stretched(null, len(column), column.type.to_pandas_dtype())
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(null, column.type))
    values: NDArray[Any] = column.to_numpy()
    return values


def _valid(table: pa.Table, name: str) -> NDArray[np.bool_]:
    """Where a column is not null."""
    column = table.column(name)
    if not column.null_count:
        return _stretched(True, len(column), np.bool_)
    valid: NDArray[np.bool_] = column.is_valid().to_numpy()
    return valid


def id_words(table: pa.Table) -> NDArray[np.uint64]:
    """The ids of a table of EVENT_SCHEMA as two words each, shape (n, 2)."""
    column = _whole(table, "event_id")
    raw = column.buffers()[1]
    if raw is None:
        return np.zeros((0, 2), dtype=np.uint64)
    words = np.frombuffer(raw, dtype=">u8").reshape(-1, 2)
    return words[column.offset : column.offset + len(column)].astype(np.uint64)


def columns(table: pa.Table) -> Columns:
    """Unpack a table of EVENT_SCHEMA.

    The order of rows is kept; name codes depend only on the set of names present.
    """
    table = table.unify_dictionaries()
    outcome = _names(table, "outcome")
    outcome_rank = np.array([OUTCOMES.index(Outcome(v)) for v in outcome.values] or [0], np.int8)
    return Columns(
        time=_numbers(table, "event_time", 0),
        received=_numbers(table, "received_time", -1),
        tenant=_names(table, "tenant"),
        source=_names(table, "source"),
        service=_names(table, "service"),
        client=_names(table, "client"),
        client_version=_names(table, "client_version"),
        country=_names(table, "country"),
        network=_names(table, "network"),
        outcome=outcome_rank[outcome.codes],
        error_code=_numbers(table, "error_code", NO_CODE),
        user=_numbers(table, "user", 0),
        has_user=_valid(table, "user"),
        weight=_numbers(table, "weight", 1),
        flags=_numbers(table, "flags", 0),
    )


def take(events: Columns, rows: NDArray[np.int64]) -> Columns:
    """The given rows, in the given order."""

    def pick(names: Names) -> Names:
        return Names(_picked(names.codes, rows), names.values)

    return Columns(
        time=_picked(events.time, rows),
        received=_picked(events.received, rows),
        tenant=pick(events.tenant),
        source=pick(events.source),
        service=pick(events.service),
        client=pick(events.client),
        client_version=pick(events.client_version),
        country=pick(events.country),
        network=pick(events.network),
        outcome=_picked(events.outcome, rows),
        error_code=_picked(events.error_code, rows),
        user=_picked(events.user, rows),
        has_user=_picked(events.has_user, rows),
        weight=_picked(events.weight, rows),
        flags=_picked(events.flags, rows),
    )
