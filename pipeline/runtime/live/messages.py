"""What travels from collecting to detecting: one message, one batch of one tenant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.advisory import Advisory
from pipeline.model.clock import from_us, to_us
from pipeline.model.documents import from_json, to_json, to_line
from pipeline.model.errors import OutriderError
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.feed import FeedNotice
from pipeline.model.tenants import is_tenant
from pipeline.runtime.live.framing import framed, is_framed, unframed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime


# Of a batch of 2,000 records one thread reads the columns in 0.11 ms; to share them out among
# several takes a tenth more.
_ONE_THREAD: Final = pa.ipc.IpcReadOptions(use_threads=False)
# What JSON of somebody else's, or damaged, fails with on its way to a document; for all topics.
ODD: Final = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
# The message that every stream of these tables begins with.
_SCHEMA: Final = EVENT_SCHEMA.serialize().to_pybytes()

_T = TypeVar("_T")


class Kind(StrEnum):
    """What a message holds."""

    EVENTS = "events"  # an Arrow IPC stream of EVENT_SCHEMA in an LZ4 frame
    CLOCK = "clock"  # nothing: everything up to its time was asked for
    ADVISORIES = "advisories"  # JSON lines of outrider.advisory/1
    FEED = "feed"  # JSON of outrider.feed/1: how a reader of live logs does
    FINISH = "finish"  # nothing more will come of a bounded run


class UnreadableMessageError(OutriderError):
    """A message that no reading can help; it belongs to the dead letters."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        tenant: whose records these are, and the key of the topic.
        kind: see :class:`Kind`.
        read_at: when the records were read; no record can be newer.
        body: as ``kind`` says.
    """

    tenant: str
    kind: Kind
    read_at: datetime | None = None
    body: bytes = b""

    def headers(self) -> list[tuple[str, bytes]]:
        """As the headers of a Kafka record."""
        found = [("kind", self.kind.value.encode())]
        if self.read_at is not None:
            found.append(("read_at", str(to_us(self.read_at)).encode()))
        return found

    @classmethod
    def of_record(cls, key: bytes | None, headers: Sequence[Any], body: bytes | None) -> Message:
        """Read a Kafka record.

        Raises:
            UnreadableMessageError: it is none of ours.
        """
        told = dict(headers)
        try:
            read_at = told.get("read_at")
            message = cls(
                (key or b"").decode(),
                Kind(told["kind"].decode()),
                None if read_at is None else from_us(int(read_at)),
                body or b"",
            )
        except ODD as error:
            raise UnreadableMessageError(
                f"no message of outrider ({type(error).__name__})"
            ) from error
        if not is_tenant(message.tenant):
            raise UnreadableMessageError("no message of outrider (its key names no tenant)")
        return message


def pack_events(table: pa.Table) -> bytes:
    """A table of EVENT_SCHEMA as an Arrow IPC stream in an LZ4 frame.

    LZ4, as decoding counts: 1.7 times the speed of zstd at 1.2 times the bytes.
    """
    sink = pa.BufferOutputStream()
    whole = table.unify_dictionaries().combine_chunks()
    with pa.ipc.new_stream(sink, EVENT_SCHEMA) as writer:
        writer.write_table(whole)
    return framed(sink.getvalue())


def packed_alike(body: bytes) -> tuple[bytes, ...]:
    """The body, if :func:`pack_events` would give its like; none if an older version wrote it."""
    return (body,) if is_framed(body) else ()


def unpack_events(body: bytes) -> pa.Table:
    """The table in an Arrow IPC stream, in an LZ4 frame or not.

    Raises:
        UnreadableMessageError: the bytes are damaged or hold another schema.
    """
    try:
        stream = pa.py_buffer(unframed(body))
        # To compare schemas field by field takes a sixth of the time of all else here.
        same = bytes(memoryview(stream)[: len(_SCHEMA)]) == _SCHEMA
        with pa.ipc.open_stream(stream, options=_ONE_THREAD) as reader:
            if not same and not reader.schema.equals(EVENT_SCHEMA):
                raise UnreadableMessageError("batch of another schema than outrider.event/1")
            table = reader.read_all()
        table.validate()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, EOFError) as error:
        raise UnreadableMessageError(f"damaged batch ({type(error).__name__})") from error
    return table


def pack_advisories(advisories: Sequence[Advisory]) -> bytes:
    """Advisories as JSON lines."""
    return "\n".join(json.dumps(to_json(a)) for a in advisories).encode()


def unpack_advisories(body: bytes) -> list[Advisory]:
    """The advisories in JSON lines.

    Raises:
        UnreadableMessageError: a line is no advisory.
    """
    try:
        return [_document(Advisory, line) for line in body.decode().splitlines()]
    except ODD as error:
        raise UnreadableMessageError(f"damaged advisory ({type(error).__name__})") from error


def pack_notice(notice: FeedNotice) -> bytes:
    """A notice as JSON."""
    return json.dumps(to_json(notice)).encode()


def unpack_notice(body: bytes) -> FeedNotice:
    """The notice in JSON.

    Raises:
        UnreadableMessageError: it is none.
    """
    try:
        return _document(FeedNotice, body)
    except ODD as error:
        raise UnreadableMessageError(f"damaged notice ({type(error).__name__})") from error


def _document(cls: type[_T], line: str | bytes) -> _T:
    found = from_json(cls, json.loads(line))
    to_line(found).encode()  # half of a surrogate pair can be written nowhere
    return found


def by_tenant(table: pa.Table, unnamed: str) -> Iterator[tuple[str, pa.Table]]:
    """The tables of the single tenants; records that name none are those of ``unnamed``."""
    column = table.column("tenant").unify_dictionaries().combine_chunks()
    if not table.num_rows:
        return
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    for name in sorted(set(pc.unique(column).to_pylist())):
        several = len(set(column.dictionary)) > 1
        mine = lean(table.filter(pc.equal(column, name))) if several else table
        yield name or unnamed, _owned(mine, name or unnamed)


def event_messages(batches: Iterable[pa.Table], unnamed: str, read_at: datetime) -> list[Message]:
    """The messages of some batches, one for each tenant in each of them.

    Args:
        batches: tables of EVENT_SCHEMA.
        unnamed: tenant of records that name none.
        read_at: when they were read.
    """
    return [
        Message(tenant, Kind.EVENTS, read_at, pack_events(table))
        for batch in batches
        for tenant, table in by_tenant(batch, unnamed)
    ]


def lean(table: pa.Table) -> pa.Table:
    """The same rows, with dictionaries of the names that they use and no others.

    A row that is filtered out leaves its names behind, and they are joined ever after.
    """
    for at, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type) or not table.num_rows:
            continue
        column = table.column(at).unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        codes = column.indices.fill_null(0).to_numpy()
        held = np.zeros(len(column.dictionary), bool)
        held[column.indices.drop_null().to_numpy()] = True
        if held.all():
            continue
        indices = (np.cumsum(held) - 1).astype(np.int32)[codes]
        lost = column.indices.is_null().to_numpy(zero_copy_only=False)
        names = column.dictionary.filter(pa.array(held))
        column = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32(), mask=lost), names)
        table = table.set_column(at, field, column)
    return table


def _owned(table: pa.Table, tenant: str) -> pa.Table:
    at = table.schema.get_field_index("tenant")
    indices = pa.array([0], pa.int32()).take(pa.array([0] * table.num_rows, pa.int32()))
    column = pa.DictionaryArray.from_arrays(indices, pa.array([tenant], pa.string()))
    return table.set_column(at, table.schema.field(at), column)
