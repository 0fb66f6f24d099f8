"""Units of work: what a plan is made of, and what reading a unit gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from connectors.normalise.tally import Tally
    from pipeline.model.reject import Reject

SLICE_BYTES = 64 * 1024 * 1024


class Form(StrEnum):
    """How the bytes of a file are to be read."""

    JSON_LINES = "json_lines"
    JSON_DOCUMENT = "json_document"
    CSV = "csv"
    PARQUET = "parquet"
    STREAM = "stream"  # standard input: recognised when it is read
    ADVISORY = "advisory"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileUnit:
    """A file, or one slice of a large file of JSON lines.

    Attributes:
        unit_id: content hash of path, size, time of change and slice: the same unit has
            the same id in every run, and a file that has changed gets others.
        path: as it was named or found.
        start, stop: the slice, in bytes of the file; lines that begin in it are its own.
        size: bytes of the file when it was planned; what is appended later is not read.
        packed: whether the file is compressed.
    """

    unit_id: str
    path: str
    form: Form
    start: int
    stop: int
    size: int
    packed: bool = False


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Everything that some paths name, in a fixed order.

    Attributes:
        units: what is to be read for events.
        advisory_paths: files of service health issues, to be handed to the advisory feed.
        rejects: paths and files that cannot be read at all.
        total_bytes: packed bytes of all units.
        empty_files: files without a byte; no mistake.
    """

    units: tuple[FileUnit, ...]
    advisory_paths: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    total_bytes: int = 0
    empty_files: int = 0


@dataclass(frozen=True, slots=True)
class UnitPart:
    """Some records of a unit: received = batch.num_rows + ignored + len(rejects).

    Attributes:
        batch: table of EVENT_SCHEMA.
        bytes_read: packed bytes read since the part before.
        revealed: names behind user hashes, only if the settings ask for them.
    """

    batch: pa.Table
    rejects: tuple[Reject, ...]
    received: int
    ignored: int
    bytes_read: int
    tally: Tally
    revealed: dict[int, str] = field(default_factory=dict)
