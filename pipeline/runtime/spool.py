"""Event batches on disk between parsing and detection: by day, atomically, resumable.

A task is some units of input. Its events go to ``<task>-<n>.arrow`` files (Arrow IPC, one
record batch a UTC day, zstd) and, when all are written, its manifest ``<task>.json`` takes
its place in one rename. A run killed at any point finds whole tasks or nothing of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.errors import StateError
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SPOOL_VERSION: Final = 1
DAY_US: Final = 86_400_000_000
# Rows held before they are sorted into days and written: some 50 MB of slim events.
FLUSH_ROWS: Final = 400_000


@dataclass(frozen=True, slots=True)
class DayPart:
    """One day's events of one spool file: record batch ``batch`` of ``file``."""

    day: int
    file: str
    batch: int
    rows: int
    newest_us: int


@dataclass(slots=True)
class Manifest:
    """What a finished task left behind; plain JSON."""

    task_id: str
    settings: str
    units: list[str]
    parts: list[DayPart] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    tally: dict[str, Any] = field(default_factory=dict)
    revealed: dict[str, str] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)
    received: int = 0
    ignored: int = 0
    bytes_read: int = 0


class TaskWriter:
    """Writes one task's events; nothing counts until :meth:`commit`."""

    def __init__(self, folder: Path, units: Sequence[str], settings: str) -> None:
        self.folder = folder
        task_id = content_id("task", SPOOL_VERSION, settings, *units)
        self.manifest = Manifest(task_id, settings, list(units))
        self._held: list[pa.Table] = []
        self._rows = 0
        self._files = 0

    def add(self, batch: pa.Table) -> None:
        """Take a table of EVENT_SCHEMA over."""
        if batch.num_rows:
            self._held.append(batch)
            self._rows += batch.num_rows
        if self._rows >= FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        table = pa.concat_tables(self._held).unify_dictionaries().combine_chunks()
        days = pc.divide(table.column("event_time").cast(pa.int64()), DAY_US).to_numpy()
        order = np.argsort(days, kind="stable")
        table = table.take(pa.array(order)).unify_dictionaries().combine_chunks()
        ranked = days[order]
        names = table.column("tenant").chunk(0).dictionary.to_pylist()
        self.manifest.tenants = sorted({*self.manifest.tenants, *names})
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        ends = np.append(starts[1:], len(ranked))
        name = f"{self.manifest.task_id}-{self._files}.arrow"
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with (
            pa.OSFile(str(self.folder / name), "wb") as sink,
            pa.ipc.new_file(sink, EVENT_SCHEMA, options=options) as writer,
        ):
            for batch, (start, end) in enumerate(zip(starts, ends, strict=True)):
                rows = table.slice(int(start), int(end - start))
                writer.write_batch(rows.to_batches()[0])
                newest = max(_newest(rows, "event_time"), _newest(rows, "received_time"))
                self.manifest.parts.append(
                    DayPart(int(ranked[start]), name, batch, rows.num_rows, newest)
                )
        self._files += 1
        self._held, self._rows = [], 0

    def commit(self) -> Manifest:
        """Write what is held and put the manifest in place."""
        self._flush()
        path = self.folder / f"{self.manifest.task_id}.json"
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(self.manifest), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return self.manifest


def _newest(rows: pa.Table, column: str) -> int:
    """Newest time of a column in microseconds since 1970; 0 if it holds none."""
    newest = pc.max(rows.column(column).cast(pa.int64())).as_py()
    return 0 if newest is None else int(newest)


def read_manifest(path: Path) -> Manifest:
    """Read a finished task's manifest.

    Raises:
        StateError: the file is damaged; the message names it.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        parts = [DayPart(**part) for part in data.pop("parts")]
        return Manifest(parts=parts, **data)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StateError(f"{path}: damaged spool manifest; delete it and run again") from error


def finished(folder: Path, wanted: set[str], settings: str) -> list[Manifest]:
    """Tasks of an earlier run that can be kept; everything else in the folder is deleted.

    A task is kept if it was made with the same settings and all its units are still
    ``wanted`` (a file that changed since has another unit id) and none twice.
    """
    kept: list[Manifest] = []
    taken: set[str] = set()
    files: set[str] = set()
    for path in sorted(folder.glob("task-*.json")):
        try:
            manifest = read_manifest(path)
        except StateError:
            continue
        units = set(manifest.units)
        whole = all((folder / part.file).exists() for part in manifest.parts)
        if manifest.settings == settings and units <= wanted and not units & taken and whole:
            kept.append(manifest)
            taken |= units
            files |= {path.name, *(part.file for part in manifest.parts)}
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    return kept


def load_day(folder: Path, parts: Iterable[DayPart]) -> pa.Table:
    """All events of one day, as one table of EVENT_SCHEMA."""
    tables = [EVENT_SCHEMA.empty_table()]
    for part in parts:
        with pa.memory_map(str(folder / part.file)) as source:
            batch = pa.ipc.open_file(source).get_batch(part.batch)
            tables.append(pa.Table.from_batches([batch], EVENT_SCHEMA))
    return pa.concat_tables(tables)


def with_tenant(table: pa.Table, name: str) -> pa.Table:
    """The same events, those that name no tenant given to ``name``."""
    column = table.column("tenant").unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        return table
    values = [value or name for value in column.dictionary.to_pylist()]
    renamed = pa.DictionaryArray.from_arrays(column.indices, pa.array(values, pa.string()))
    at = table.schema.get_field_index("tenant")
    return table.set_column(at, table.schema.field(at), renamed)
