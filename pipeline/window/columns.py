"""An event table as plain numpy columns, with names turned into small codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    codes: NDArray[np.int64]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Events as arrays of one length, in the order of the table."""

    time: NDArray[np.int64]
    received: NDArray[np.int64]  # -1 where not told
    id_high: NDArray[np.uint64]
    id_low: NDArray[np.uint64]
    tenant: Names
    source: Names
    service: Names
    client: Names
    client_version: Names
    country: Names
    network: Names
    operation: Names
    outcome: NDArray[np.int64]  # index into OUTCOMES
    error_code: NDArray[np.int64]
    user: NDArray[np.uint64]
    has_user: NDArray[np.bool_]
    weight: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.time)


def _names(table: pa.Table, name: str) -> Names:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    values = column.dictionary.to_pylist()
    # Two spellings of a dictionary never differ in meaning, so equal values share a code
    # and the codes follow the sorted values: nothing depends on the order of arrival.
    ranked = sorted(set(values))
    rank = {value: i for i, value in enumerate(ranked)}
    lookup = np.array([rank[v] for v in values] + [-1], dtype=np.int64)
    codes = pc.fill_null(column.indices, len(values)).to_numpy(zero_copy_only=False)
    return Names(lookup[codes.astype(np.int64)], tuple(ranked))


def _integers(table: pa.Table, name: str, null: int, dtype: type) -> NDArray[np.int64]:
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    filled = pc.fill_null(column, pa.scalar(null, column.type))
    values: NDArray[np.int64] = filled.to_numpy().astype(dtype, copy=False)
    return values


def _id_words(table: pa.Table) -> NDArray[np.uint64]:
    column = table.column("event_id").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
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
    words = _id_words(table)
    outcome = _names(table, "outcome")
    outcome_rank = np.array([OUTCOMES.index(Outcome(v)) for v in outcome.values] or [0])
    user = table.column("user")
    return Columns(
        time=_integers(table, "event_time", 0, np.int64),
        received=_integers(table, "received_time", -1, np.int64),
        id_high=words[:, 0],
        id_low=words[:, 1],
        tenant=_names(table, "tenant"),
        source=_names(table, "source"),
        service=_names(table, "service"),
        client=_names(table, "client"),
        client_version=_names(table, "client_version"),
        country=_names(table, "country"),
        network=_names(table, "network"),
        operation=_names(table, "operation"),
        outcome=outcome_rank[outcome.codes],
        error_code=_integers(table, "error_code", NO_CODE, np.int64)
        if table.num_rows
        else np.zeros(0, np.int64),
        user=pc.fill_null(user, pa.scalar(0, pa.uint64())).to_numpy(),
        has_user=user.is_valid().to_numpy(),
        weight=_integers(table, "weight", 1, np.int64),
        flags=_integers(table, "flags", 0, np.int64),
    )


def take(events: Columns, rows: NDArray[np.int64]) -> Columns:
    """The given rows, in the given order."""

    def pick(names: Names) -> Names:
        return Names(names.codes[rows], names.values)

    return Columns(
        time=events.time[rows],
        received=events.received[rows],
        id_high=events.id_high[rows],
        id_low=events.id_low[rows],
        tenant=pick(events.tenant),
        source=pick(events.source),
        service=pick(events.service),
        client=pick(events.client),
        client_version=pick(events.client_version),
        country=pick(events.country),
        network=pick(events.network),
        operation=pick(events.operation),
        outcome=events.outcome[rows],
        error_code=events.error_code[rows],
        user=events.user[rows],
        has_user=events.has_user[rows],
        weight=events.weight[rows],
        flags=events.flags[rows],
    )
