"""The files of a backfill: each is written beside its place and renamed when whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import pyarrow.parquet as pq

from pipeline.model.documents import to_line
from pipeline.model.window import TIMELINE_SCHEMA, WINDOW_SCHEMA
from pipeline.window.table import to_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from pipeline.model.incident import Incident
    from pipeline.runtime.stages import Outcome


class BlockOutputs:
    """Streams what each block gives: flags, incidents, windows, timeline.

    Used as a context; the files take their places on a clean exit only.
    """

    def __init__(self, out: Path) -> None:
        self._final = {
            name: out / name
            for name in ("flags.ndjson", "incidents.ndjson", "windows.parquet", "timeline.parquet")
        }
        self._draft = {name: path.with_name(f".{name}.tmp") for name, path in self._final.items()}

    def __enter__(self) -> Self:
        """Open the drafts."""
        self._flags = self._draft["flags.ndjson"].open("w", encoding="utf-8")
        self._incidents = self._draft["incidents.ndjson"].open("w", encoding="utf-8")
        self._windows = pq.ParquetWriter(
            self._draft["windows.parquet"], WINDOW_SCHEMA, compression="zstd"
        )
        self._timeline = pq.ParquetWriter(
            self._draft["timeline.parquet"], TIMELINE_SCHEMA, compression="zstd"
        )
        return self

    def add(self, outcome: Outcome) -> None:
        """Append one block."""
        for flag in outcome.flags:
            self._flags.write(to_line(flag) + "\n")
        self.add_incidents(outcome.incidents)
        table = to_table(outcome.block)
        if table.num_rows:
            self._windows.write_table(table)
        if outcome.timeline.num_rows:
            self._timeline.write_table(outcome.timeline)

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
        for stream in (self._flags, self._incidents, self._windows, self._timeline):
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
