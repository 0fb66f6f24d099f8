"""The state topic: keys, and reading a partition of it back.

Keys are ``tenant NUL what``: ``ground`` (the offset it stands at, then the body), ``issued``, or
``part/<hash>``. A key without a tenant belongs to nobody's state: ``NUL cursor/<source>`` is where
a source is read on, ``NUL mark`` makes every transaction show in the partition it is about.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError

from pipeline.model.errors import RetriableError
from pipeline.runtime.kafka.client import TRANSACTION_MS, Topics, consumer, unreachable

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

MARK: Final = b"\0mark"
_OFFSET_BYTES: Final = 8


def key(tenant: str, what: str) -> bytes:
    """Key of a message of the state topic."""
    return f"{tenant}\0{what}".encode()


def ground_value(offset: int, body: bytes) -> bytes:
    """A ground and the offset of the first message that it does not hold."""
    return offset.to_bytes(_OFFSET_BYTES, "big") + body


@dataclass(slots=True)
class Kept:
    """What the topic holds of a tenant.

    ``offset`` is that of the first message of the events that ``ground`` does not hold.
    """

    offset: int = 0
    ground: bytes | None = None
    issued: bytes | None = None
    parts: dict[str, bytes] = field(default_factory=dict)


def read_back(config: Kafka, partition: int) -> tuple[dict[str, Kept], dict[str, bytes]]:
    """Tenants and cursors of one partition of the state topic.

    Waits until no transaction is open there: one of a worker that died is ended by the
    broker after ``TRANSACTION_MS``.

    Raises:
        RetriableError: the broker does not answer, or the transaction does not end.
    """
    place = TopicPartition(Topics(config.prefix).state, partition)
    reader = consumer(config)
    looker = consumer(config, isolation_level="read_uncommitted")
    try:
        reader.assign([place])
        reader.seek_to_beginning(place)
        end = _settled_end(reader, looker, place)
        return _read(reader, place, end)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        reader.close()
        looker.close()


def _settled_end(reader: Any, looker: Any, place: TopicPartition) -> int:
    until = time.monotonic() + 3 * TRANSACTION_MS / 1000
    while time.monotonic() < until:
        end = int(looker.end_offsets([place])[place])
        if int(reader.end_offsets([place])[place]) >= end:
            return end
        time.sleep(0.2)
    raise RetriableError(f"a transaction in {place.topic} does not end; it is tried again")


def _read(reader: Any, place: TopicPartition, end: int) -> tuple[dict[str, Kept], dict[str, bytes]]:
    tenants: dict[str, Kept] = {}
    others: dict[str, bytes] = {}
    until = time.monotonic() + 60.0
    while reader.position(place) < end:
        found = reader.poll(timeout_ms=200, max_records=5000)
        if found:
            until = time.monotonic() + 60.0
        elif time.monotonic() > until:
            raise RetriableError(f"{place.topic} cannot be read to its end; it is tried again")
        for record in found.get(place, ()):
            _take(tenants, others, record)
    return tenants, others


def _take(tenants: dict[str, Kept], others: dict[str, bytes], record: Any) -> None:
    tenant, _, what = record.key.decode().partition("\0")
    value: bytes | None = record.value
    if not tenant:
        if value is not None:
            others[what] = value
        return
    kept = tenants.setdefault(tenant, Kept())
    if what.startswith("part/"):
        name = what.removeprefix("part/")
        if value is None:
            kept.parts.pop(name, None)
        else:
            kept.parts[name] = value
    elif what == "issued":
        kept.issued = value
    elif value is not None:
        kept.offset = int.from_bytes(value[:_OFFSET_BYTES], "big")
        kept.ground = value[_OFFSET_BYTES:]
