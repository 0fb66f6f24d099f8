"""What a message of the events holds, in numbers and record by record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime  # noqa: TC003 # read at run time by documents.to_json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.clock import from_us
from pipeline.runtime.live.messages import (
    Kind,
    Message,
    UnreadableMessageError,
    unpack_advisories,
    unpack_events,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of the events.

    Attributes:
        partition, offset: where it is.
        written_at: when it came to the topic.
        tenant: its key.
        kind: what it holds; ``damaged`` if no reading can help it.
        bytes: of its body.
        read_at: when its records were read.
        records: in it; None of a kind that has none.
        first_at, last_at: event times of the first and the last of them.
        sources, clients: records by each of these.
        ratio: bytes of the records in memory over those of the body.
        problem: what is wrong with it.
    """

    partition: int
    offset: int
    written_at: datetime
    tenant: str
    kind: str
    bytes: int
    read_at: datetime | None = None
    records: int | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    sources: dict[str, int] = field(default_factory=dict)
    clients: dict[str, int] = field(default_factory=dict)
    ratio: float | None = None
    problem: str | None = None


def decoded(record: Any) -> tuple[Seen, pa.Table | None]:
    """What a record holds, and its events if it holds any."""
    body = record.value or b""
    base = Seen(
        record.partition,
        record.offset,
        from_us(record.timestamp * 1000),
        (record.key or b"").decode(errors="replace"),
        "damaged",
        len(body),
    )
    try:
        message = Message.of_record(record.key, record.headers, body)
        if message.kind is Kind.EVENTS:
            return _of_events(base, message)
        count = len(unpack_advisories(body)) if message.kind is Kind.ADVISORIES else None
    except UnreadableMessageError as error:
        return replace(base, problem=str(error)), None
    return replace(base, kind=str(message.kind), read_at=message.read_at, records=count), None


def _of_events(base: Seen, message: Message) -> tuple[Seen, pa.Table]:
    table = unpack_events(message.body)
    times = pc.min_max(table.column("event_time")).as_py()
    told = replace(
        base,
        kind=str(message.kind),
        read_at=message.read_at,
        records=table.num_rows,
        first_at=times["min"],
        last_at=times["max"],
        sources=_counts(table, "source"),
        clients=_counts(table, "client"),
        ratio=round(table.nbytes / max(base.bytes, 1), 2),
    )
    return told, table


def _counts(table: pa.Table, column: str) -> dict[str, int]:
    counted = table.column(column).cast(pa.string()).value_counts().to_pylist()
    return {e["values"]: e["counts"] for e in sorted(counted, key=lambda e: -e["counts"])}


def events_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The single events, ready for JSON; users only as the hash they have."""
    for row in table.to_pylist():
        found = {k: v for k, v in row.items() if v is not None}
        found["event_id"] = row["event_id"].hex()
        if row["user"] is not None:
            # JSON numbers of other programs end at 53 bits.
            found["user"] = f"{row['user']:016x}"
        yield found


@dataclass(slots=True)
class Total:
    """What all messages of a look add up to.

    Attributes:
        messages: by kind.
        tenants: messages by tenant.
        records, bytes: in all of them.
        first_at, last_at: event times of the first and the last record.
        sources, clients: records by each of these.
    """

    messages: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    records: int = 0
    bytes: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    sources: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)

    def add(self, one: Seen) -> None:
        """Count one message."""
        self.messages[one.kind] += 1
        self.tenants[one.tenant] += 1
        self.records += one.records or 0
        self.bytes += one.bytes
        self.sources.update(one.sources)
        self.clients.update(one.clients)
        if one.first_at is not None and one.last_at is not None:
            self.first_at = min(self.first_at or one.first_at, one.first_at)
            self.last_at = max(self.last_at or one.last_at, one.last_at)
