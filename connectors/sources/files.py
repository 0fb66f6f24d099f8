"""Exported logs in files: planned, read unit by unit, or polled as a source.

``plan`` and ``read_unit`` are what worker processes share out; ``FilesSource`` reads the
same units one after another behind the contract of every source.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from connectors.normalise.intake import Intake, Portion
from connectors.sources.json_documents import DocumentReader
from connectors.sources.json_lines import LineReader
from connectors.sources.parquet import ParquetReader
from connectors.sources.plan import plan
from connectors.sources.recognise import recognise, unknown_detail
from connectors.sources.tabular import CsvReader
from connectors.sources.units import FilePlan, FileUnit, Form, UnitPart
from connectors.sources.unpacking import STDIN, Input
from pipeline.model.contracts import Poll
from pipeline.model.errors import StateError
from pipeline.model.reject import RejectReason, shown_path
from pipeline.model.vocabulary import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.contracts import Cursor

__all__ = ["FilePlan", "FileUnit", "FilesSource", "UnitPart", "plan", "read_unit"]

BATCH_ROWS: Final = 65536
_CURSOR_VERSION: Final = 1
_PIECE: Final = 1024 * 1024
_NEWLINE: Final = 10
_COUNTED: Final = 2**31  # a second of reading; behind that a reject has its offset only


def read_unit(
    unit: FileUnit,
    settings: NormaliseSettings,
    *,
    batch_rows: int = BATCH_ROWS,
    scan: bool = False,
) -> Iterator[UnitPart]:
    """Read one unit as event tables of about ``batch_rows`` rows, in bounded memory.

    The parts of a unit are the same in every run. What cannot be read becomes a reject
    in the last part; nothing is raised for bad input. ``scan`` has compiled code read lines
    of sign-ins: the same events, for much input in a third of the time.
    """
    intake = Intake(settings, unit.path, _hint(unit.path), scan=scan)
    taken = 0
    try:
        # The newline before a slice tells that a line begins with the slice.
        start = max(unit.start - 1, 0)
        source = Input(unit.path, start, None if unit.path == STDIN else unit.size)
    except OSError as error:
        intake.reject(
            RejectReason.UNREADABLE, f"{(error.strerror or 'cannot be read').lower()}; check it"
        )
        yield _part(intake.portion(), unit.stop - unit.start)
        return
    lines = _Lines(unit)
    # A slice reads a little of the next one; progress is to add up to the plan's total.
    share = unit.stop - unit.start or sys.maxsize
    with source:
        for _ in _run(unit, source, intake, lines):
            if intake.pending >= batch_rows or intake.crowded:
                read = min(source.bytes_read, share)
                yield lines.numbered(_part(intake.portion(), read - taken))
                taken = read
        if source.problem is not None:
            intake.mark(None, 0)
            reason, detail = source.problem
            intake.reject(reason, detail, offset=source.position)
        read = source.bytes_read if share == sys.maxsize else share
        last = lines.numbered(_part(intake.portion(), read - taken))
    intake.close()
    yield last


class _Lines:
    """Turns line numbers within a slice into those of the file, when there is need to."""

    def __init__(self, unit: FileUnit) -> None:
        self._path = unit.path
        self._sliced = unit.start > 0
        self._before: int | None = None
        self.reader: LineReader | None = None

    def numbered(self, part: UnitPart) -> UnitPart:
        """The part with the lines of its rejects counted from the start of the file."""
        if not self._sliced or not part.rejects or self.reader is None:
            return part
        if self._before is None:
            self._before = _count_lines(self._path, self.reader.first_line_at)
        rejects = tuple(
            replace(
                r, line=r.line + self._before if r.line and self._before >= 0 else None, record=None
            )
            for r in part.rejects
        )
        return replace(part, rejects=rejects)


def _count_lines(path: str, stop: int) -> int:
    """Newlines before ``stop``, or -1 if counting them would take longer than it is worth."""
    if stop > _COUNTED:
        return -1
    count = 0
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 # as the input was opened
        while stop > 0 and (piece := file.read(min(stop, _PIECE))):
            # Five times as fast as bytes.count, which stops at every one.
            count += int(np.count_nonzero(np.frombuffer(piece, np.uint8) == _NEWLINE))
            stop -= len(piece)
    return count


def _run(unit: FileUnit, source: Input, intake: Intake, lines: _Lines) -> Iterator[None]:
    form = unit.form
    if form is Form.STREAM:
        form = recognise(source.head)
    intake.tally.forms[form.value] += 1
    if form is Form.JSON_LINES:
        yield from _read_lines(unit, source, intake, lines)
    elif form is Form.JSON_DOCUMENT:
        yield from DocumentReader(source, intake).run()
    elif form is Form.CSV:
        again = None if unit.path == STDIN else lambda: Input(unit.path, 0, unit.size)
        yield from CsvReader(source, intake, again).run()
    elif form is Form.PARQUET and unit.path != STDIN and not unit.packed:
        yield from ParquetReader(unit.path, intake).run()
    elif form is Form.PARQUET:
        intake.reject(
            RejectReason.UNREADABLE, "Parquet is read from plain files only; unpack or save it"
        )
    elif form is Form.ADVISORY:
        intake.reject(
            RejectReason.UNKNOWN_SHAPE, "advisories on standard input; give them as a file"
        )
    elif form is Form.EMPTY:
        intake.tally.empty_files += 1
    else:
        intake.reject(RejectReason.UNKNOWN_SHAPE, unknown_detail(source.head))


def _hint(path: str) -> Source | None:
    """The portal's CSV of both kinds of sign-ins has the same columns; only the name tells."""
    name = Path(path).name.casefold().replace("-", "").replace("_", "")
    return Source.ENTRA_SIGNIN_NONINTERACTIVE if "noninteractive" in name else None


def _read_lines(unit: FileUnit, source: Input, intake: Intake, lines: _Lines) -> Iterator[None]:
    whole = unit.path == STDIN or unit.packed
    reader = LineReader(
        source,
        intake,
        start=unit.start,
        stop=None if whole else unit.stop,
        growing=not whole,
    )
    lines.reader = reader
    yield from reader.run()
    if reader.partial_tail is not None:
        intake.tally.partial_tails.append((shown_path(unit.path), reader.partial_tail))


def _part(portion: Portion, bytes_read: int) -> UnitPart:
    return UnitPart(
        batch=portion.table,
        rejects=portion.rejects,
        received=portion.received,
        ignored=portion.ignored,
        bytes_read=bytes_read,
        tally=portion.tally,
        revealed=portion.revealed,
    )


class FilesSource:
    """Everything that some paths hold, behind the contract of a source.

    The cursor names the finished units and the parts already given of the one under way:
    ``{"v": 1, "done": [unit ids], "unit": id or null, "parts": n}``. A file that has
    grown since is read again as new units; the repeated events fall to deduplication.

    Args:
        paths: files, folders, patterns, or ``-`` for standard input.
        settings: key, tenant and sites.
        batch_rows: about so many events in a poll.
    """

    def __init__(
        self, paths: Sequence[str], settings: NormaliseSettings, *, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._paths = tuple(paths)
        self._settings = settings
        self._batch_rows = batch_rows

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next part of the first unit that is not finished.

        Raises:
            StateError: the cursor is of another version.
        """
        done, unit_id, parts, told = _position(cursor)
        layout = plan(self._paths)
        rejects = () if told else layout.rejects
        left = [unit for unit in layout.units if unit.unit_id not in done]
        if not left:
            return Poll((), rejects, _cursor(done, None, 0), finished=True, received=len(rejects))
        unit = left[0]
        skip = parts if unit.unit_id == unit_id else 0
        part, last = self._nth_part(unit, skip)
        if last:
            position = _cursor([*done, unit.unit_id], None, 0)
        else:
            position = _cursor(done, unit.unit_id, skip + 1)
        given = (*rejects, *part.rejects)
        return Poll(
            batches=(part.batch,) if part.batch.num_rows else (),
            rejects=given,
            cursor=position,
            finished=last and len(left) == 1,
            received=part.received + len(rejects),
            ignored=part.ignored,
        )

    def _nth_part(self, unit: FileUnit, number: int) -> tuple[UnitPart, bool]:
        """Part ``number`` of a unit, and whether it is the last."""
        parts = read_unit(unit, self._settings, batch_rows=self._batch_rows)
        for _ in range(number):
            next(parts)
        part = next(parts)
        return part, next(parts, None) is None


def _position(cursor: Cursor | None) -> tuple[list[str], str | None, int, bool]:
    if cursor is None:
        return [], None, 0, False
    if cursor.get("v") != _CURSOR_VERSION or "done" not in cursor:
        raise StateError(f"cursor of the files: want version {_CURSOR_VERSION}; start anew")
    return list(cursor["done"]), cursor.get("unit"), int(cursor.get("parts", 0)), True


def _cursor(done: Sequence[str], unit: str | None, parts: int) -> Cursor:
    return {"v": _CURSOR_VERSION, "done": sorted(done), "unit": unit, "parts": parts}
