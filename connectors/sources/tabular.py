"""CSV to an intake.

Portal and Log Analytics tables, Purview and Search-UnifiedAuditLog exports: columns are
found by name, whatever the case, the blanks around them and the order.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from connectors.normalise.folding import fold
from connectors.normalise.shapes import COLUMNS, WRAPPERS
from connectors.sources.headers import TYPE_LINE, delimiter_of, names_of
from connectors.sources.parsing import MAX_RECORD, ParseError, Parser
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors.normalise.intake import Intake
    from connectors.sources.unpacking import Input

# A row, with the newlines inside its quotes, has to fit in a block.
_BLOCK: Final = 2 * MAX_RECORD
_ROWS: Final = 4096
_AUDIT: Final = "auditdata"
_WRONG_WIDTH: Final = "has another number of columns than the header; export it again"
_ENCODING: Final = "not UTF-8; export it again as UTF-8"


class _Readable(io.RawIOBase):
    """The input as a file object."""

    def __init__(self, source: Input) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size if size > 0 else _BLOCK)

    def readinto(self, buffer: Any) -> int:
        piece = self._source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class CsvReader:
    """Reads one CSV into an intake.

    Arrow splits the rows. Where one does not fit in a block (a quote that is never
    closed), the standard library goes on from there, row by row.

    Args:
        source: the input, at its beginning.
        intake: where the records go.
        again: opens the same input once more, or None where that is impossible.
    """

    def __init__(
        self, source: Input, intake: Intake, again: Callable[[], Input] | None = None
    ) -> None:
        self._source = source
        self._intake = intake
        self._again = again
        self._parser = Parser()
        self._rows = 0  # rows behind us, usable or not
        self._names: list[str] = []
        self._wrapped = False  # whether a column may hold the whole record

    def run(self) -> Iterator[None]:
        """Read everything; yields after each block, when the intake may be emptied."""
        head = self._source.head
        skip = 2 if head.startswith(TYPE_LINE) else 1
        header = head.split(b"\n")[skip - 1].decode("utf-8", "replace").rstrip("\r")
        delimiter = delimiter_of(header) or ","
        self._names = names_of(header, delimiter)
        self._wrapped = bool(WRAPPERS & set(self._names))
        try:
            for batch in self._batches(delimiter, skip):
                for begin in range(0, batch.num_rows, _ROWS):
                    self._take(batch.slice(begin, _ROWS))
                    yield
        except pa.ArrowInvalid:
            yield from self._slowly(delimiter, skip)

    def _batches(self, delimiter: str, skip: int) -> Iterator[pa.RecordBatch]:
        columns = [f"c{i}" for i in range(len(self._names))]
        used = [c for c, n in zip(columns, self._names, strict=True) if n in COLUMNS]
        reader = pa_csv.open_csv(
            _Readable(self._source),
            pa_csv.ReadOptions(
                column_names=columns, skip_rows=skip, block_size=_BLOCK, use_threads=False
            ),
            pa_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                invalid_row_handler=self._refuse_row,
            ),
            pa_csv.ConvertOptions(
                include_columns=used,
                column_types=dict.fromkeys(used, pa.binary()),
                strings_can_be_null=False,
            ),
        )
        self._names = [n for n in self._names if n in COLUMNS]
        yield from reader

    def _refuse_row(self, row: pa_csv.InvalidRow) -> str:
        self._rows += 1
        self._intake.mark(row.number, 0)
        self._intake.reject(RejectReason.WRONG_WIDTH, f"the row {_WRONG_WIDTH}", line=row.number)
        return "skip"

    def _take(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows
        self._source.progress()
        self._intake.mark(None, 0)
        columns = [_texts(column) for column in batch.columns]
        if _AUDIT in self._names and self._take_audit(columns[self._names.index(_AUDIT)]):
            return
        for values in zip(*columns, strict=True):
            self._take_row(values)

    def _take_audit(self, texts: Sequence[str | None]) -> bool:
        """Take the records inside AuditData, a run of rows at a time."""
        if not all(text is not None and text.startswith("{") for text in texts):
            return False
        pieces = [text.encode() for text in texts if text is not None]
        step = 128  # about 256 KB of mailbox audit records
        for begin in range(0, len(pieces), step):
            data = b"[" + b",".join(pieces[begin : begin + step]) + b"]"
            try:
                values = self._parser.parse(data)
            except ParseError:
                values = None
            if values is not None and len(values) == len(pieces[begin : begin + step]):
                self._intake.take(values, data)
                values = None
                continue
            values = None
            for text in texts[begin : begin + step]:
                self._intake.take([{"AuditData": text}])
        return True

    def _take_row(self, values: Sequence[str | None]) -> None:
        if None in values:
            self._intake.reject(RejectReason.BAD_ENCODING, _ENCODING)
            return
        record: dict[str, str] = {}
        for name, value in zip(self._names, values, strict=False):
            if value and name not in record:
                record[name] = value
        if self._wrapped:
            self._intake.take([record])
        else:
            self._intake.take_row(record)

    def _slowly(self, delimiter: str, skip: int) -> Iterator[None]:
        """Go on behind the rows already taken, a row at a time."""
        if self._again is None:
            self._intake.reject(
                RejectReason.TOO_LONG,
                f"a row of more than {_BLOCK} bytes; save the input as a file and read that",
            )
            return
        with self._again() as source:
            text = io.TextIOWrapper(
                io.BufferedReader(_Readable(source)), "utf-8", "surrogateescape", newline=""
            )
            rows = csv.reader(text, delimiter=delimiter)
            wanted: list[int] = []
            limit = csv.field_size_limit(MAX_RECORD)
            try:
                yield from self._each(rows, skip, wanted)
            finally:
                csv.field_size_limit(limit)
                text.detach()

    def _each(self, rows: Any, skip: int, wanted: list[int]) -> Iterator[None]:
        behind = self._rows + skip
        number = 0
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                number += 1
                if number > behind:
                    self._intake.reject(
                        RejectReason.TOO_LONG,
                        f"a cell of more than {MAX_RECORD} bytes; is a quote missing?",
                        line=rows.line_num,
                    )
                continue
            if not row:
                continue
            number += 1
            if number == skip:
                names = [fold(n) for n in row]
                wanted.extend(i for i, n in enumerate(names) if n in COLUMNS)
                self._width = len(names)
            if number <= behind:
                continue
            self._intake.mark(rows.line_num, 0)
            if len(row) != self._width:
                self._intake.reject(
                    RejectReason.WRONG_WIDTH, f"the row {_WRONG_WIDTH}", line=rows.line_num
                )
            else:
                self._take_row([_sound(row[i]) for i in wanted])
            yield


def _sound(text: str) -> str | None:
    return text if text.isascii() or not any("\udc80" <= c <= "\udcff" for c in text) else None


def _texts(column: pa.Array) -> list[str | None]:
    """Cells as text; None for those that are no UTF-8."""
    try:
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
    except pa.ArrowInvalid:
        return [_decoded(cell) for cell in column.to_pylist()]
    return texts


def _decoded(cell: bytes) -> str | None:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return None
