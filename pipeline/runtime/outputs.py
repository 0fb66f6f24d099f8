"""The files of a backfill: each is written beside its place and renamed when whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow.parquet as pq

from pipeline.model.documents import to_line
from pipeline.model.trace import TRACE_SCHEMA
from pipeline.model.window import TIMELINE_SCHEMA, WINDOW_SCHEMA
from pipeline.window.table import to_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

    from pipeline.model.incident import Incident
    from pipeline.runtime.stages import Outcome

_STREAMED: Final = (
    "flags.ndjson",
    "incidents.ndjson",
    "windows.parquet",
    "timeline.parquet",
    "evidence.parquet",
)


class BlockOutputs:
    """Streams what each block gives: flags, incidents, windows, timeline, evidence.

    Used as a context; the files take their places on a clean exit only.
    """

    def __init__(self, out: Path) -> None:
        self._final = {name: out / name for name in _STREAMED}
        self._draft = {name: path.with_name(f".{name}.tmp") for name, path in self._final.items()}

    def __enter__(self) -> Self:
        """Open the drafts."""
        self._flags = self._draft["flags.ndjson"].open("w", encoding="utf-8")
        self._incidents = self._draft["incidents.ndjson"].open("w", encoding="utf-8")
        self._windows = self._table("windows.parquet", WINDOW_SCHEMA)
        self._timeline = self._table("timeline.parquet", TIMELINE_SCHEMA)
        self._trace = self._table("evidence.parquet", TRACE_SCHEMA)
        return self

    def _table(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        return pq.ParquetWriter(self._draft[name], schema, compression="zstd")

    def add(self, outcome: Outcome) -> None:
        """Append one block."""
        for flag in outcome.judged.flags:
            self._flags.write(to_line(flag) + "\n")
        self.add_incidents(outcome.incidents)
        table = to_table(outcome.judged.block)
        if table.num_rows:
            self._windows.write_table(table)
        if outcome.judged.timeline.num_rows:
            self._timeline.write_table(outcome.judged.timeline)
        if outcome.judged.trace.num_rows:
            self._trace.write_table(outcome.judged.trace)

    def add_incidents(self, incidents: Iterable[Incident]) -> None:
        """Append incident revisions."""
        for incident in incidents:
            self._incidents.write(to_line(incident) + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; put the files in place unless something went wrong."""
        tables = (self._windows, self._timeline, self._trace)
        for stream in (self._flags, self._incidents, *tables):
            stream.close()
        for name, draft in self._draft.items():
            if kind is None:
                draft.replace(self._final[name])
            else:
                draft.unlink(missing_ok=True)


def write_lines(path: Path, documents: Iterable[Any]) -> None:
    """Write documents (or plain mappings) as NDJSON, atomically."""
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("w", encoding="utf-8") as file:
        for document in documents:
            file.write(to_line(document) + "\n")
    draft.replace(path)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write one JSON object, indented, atomically."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
