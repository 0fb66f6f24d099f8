"""Parquet to an intake: columns are found by name, as those of a CSV."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.normalise.folding import fold
from connectors.normalise.shapes import COLUMNS
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.normalise.intake import Intake

_ROWS: Final = 4096


class ParquetReader:
    """Reads one Parquet file into an intake; nested columns may be structs or JSON text."""

    def __init__(self, path: str, intake: Intake) -> None:
        # As bytes: Arrow opens a name that is no UTF-8 in no other form.
        self._path = os.fsencode(path)
        self._intake = intake

    def run(self) -> Iterator[None]:
        """Read everything; yields after each batch, when the intake may be emptied."""
        taken = 0
        try:
            with pa.OSFile(self._path) as raw, pq.ParquetFile(raw, pre_buffer=False) as file:
                schema = file.schema_arrow
                names = [n for n in schema.names if fold(n) in COLUMNS]
                for batch in file.iter_batches(batch_size=_ROWS, columns=names):
                    self._intake.mark(None, 0)
                    self._intake.take(_plain(batch).to_pylist())
                    taken += batch.num_rows
                    yield
        except (pa.ArrowException, OSError, pa.ArrowInvalid) as error:
            kind = type(error).__name__
            self._intake.reject(
                RejectReason.UNREADABLE,
                f"Parquet cannot be read behind row {taken} ({kind}); write it again",
            )


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Times as text with every digit kept, whatever unit and zone the file has."""
    arrays = [
        column.cast(_plain_type(column.type)) if column.type != _plain_type(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) or pa.types.is_dictionary(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain_type(f.type)) for f in kind])
    return kind
