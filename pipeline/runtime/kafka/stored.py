"""What the compacted topics keep for whoever goes on: tenants' states, and collectors' cursors.

Keys of the state topic are ``tenant NUL what``: ``ground`` (the offset it stands at, then the
body), ``issued``, or ``part/<hash>``. The key without a tenant, ``NUL mark``, makes every
transaction show in the partition it is about. Keys of the cursors are names of collectors, and
of their sources after a slash; nothing after it names the process that collects.
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
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pipeline.runtime.config import Kafka

MARK: Final = b"\0mark"
_OFFSET_BYTES: Final = 8
# A broker that is up sends something within a second.
_SILENCE_SECONDS: Final = 60.0
_ANSWER_MS: Final = 200


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

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        bodies = (self.ground, self.issued, *self.parts.values())
        return sum(len(b) for b in bodies if b is not None)


def read_back(
    config: Kafka, partitions: Collection[int], beat: Callable[[], None] = lambda: None
) -> dict[int, dict[str, Kept]]:
    """The tenants of some partitions, by partition.

    Waits until no transaction is open there that was begun before: one of a worker that died
    is ended by the broker after ``TRANSACTION_MS``.

    Args:
        config: of the broker.
        partitions: by number.
        beat: called all the time: to wait and to read take a minute at times.

    Raises:
        RetriableError: the broker does not answer, or a transaction does not end.
    """
    found: dict[int, dict[str, Kept]] = {n: {} for n in partitions}
    for record in committed_records(config, Topics(config.prefix).state, partitions, beat=beat):
        tenant, _, what = record.key.decode().rpartition("\0")
        if tenant:
            kept = found[record.partition].setdefault(tenant, Kept())
            _take(kept, what, record.value)
    return found


def read_cursors(config: Kafka) -> dict[str, bytes]:
    """What collectors have written down: tenants by their name, cursors by NAME/SOURCE.

    Raises:
        RetriableError: as for :func:`read_back`.
    """
    topic = Topics(config.prefix).cursors
    return {r.key.decode(): r.value for r in committed_records(config, topic, None)}


def _take(kept: Kept, what: str, value: bytes | None) -> None:
    if what.startswith("part/"):
        name = what.removeprefix("part/")
        if value is None:
            kept.parts.pop(name, None)
        else:
            kept.parts[name] = value
    elif what == "issued":
        kept.issued = value
    elif what == "ground" and value is not None:
        kept.offset = int.from_bytes(value[:_OFFSET_BYTES], "big")
        kept.ground = value[_OFFSET_BYTES:]


def committed_records(
    config: Kafka,
    topic: str,
    partitions: Collection[int] | None,
    since: Mapping[int, int] | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[Any]:
    """Every record that is committed by now, in order within each partition.

    Args:
        config: of the broker.
        topic: to read.
        partitions: of the topic; None = all.
        since: by partition, the offset to begin at; None = the first there is.
        beat: called after each portion, also of nothing.

    Raises:
        RetriableError: the broker does not answer, or a transaction does not end.
    """
    reader = consumer(config, max_poll_records=5_000)
    try:
        numbers = reader.partitions_for_topic(topic) if partitions is None else partitions
        places = [TopicPartition(topic, n) for n in numbers or ()]
        if not places:
            return
        reader.assign(places)
        if since is None:
            reader.seek_to_beginning(*places)
        else:
            for place in places:
                reader.seek(place, since[place.partition])
        ends = _settled_ends(config, reader, places, beat)
        until = time.monotonic() + _SILENCE_SECONDS
        while not reached(reader, ends):
            found = reader.poll(timeout_ms=200)
            beat()
            if found:
                until = time.monotonic() + _SILENCE_SECONDS
            elif time.monotonic() > until:
                raise RetriableError(f"{topic} cannot be read to its end; it is tried again")
            for records in found.values():
                yield from records
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        reader.close()


def reached(reader: Any, ends: Mapping[TopicPartition, int]) -> bool:
    """Whether a reader is at the end of each place; where it stands may not be known yet."""
    for place, end in ends.items():
        at = reader.position(place, timeout_ms=_ANSWER_MS)
        if at is None or at < end:
            return False
    return True


def _settled_ends(
    config: Kafka, reader: Any, places: list[TopicPartition], beat: Callable[[], None]
) -> dict[TopicPartition, int]:
    """Where the topic ends now, once all up to there is committed or aborted."""
    looker = consumer(config, isolation_level="read_uncommitted")
    try:
        ends: dict[TopicPartition, int] = looker.end_offsets(places)
    finally:
        looker.close()
    until = time.monotonic() + 3 * TRANSACTION_MS / 1000
    while time.monotonic() < until:
        stable = reader.end_offsets(places)
        if all(stable[p] >= ends[p] for p in places):
            return ends
        beat()
        time.sleep(0.2)
    raise RetriableError(
        f"a transaction in {places[0].topic} does not end; it is tried again", retry_after=5.0
    )
