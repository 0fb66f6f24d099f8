"""One transaction of a worker: documents, what was told, states, dead letters and offsets."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from pipeline.model.documents import to_line
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.letters import record_of
from pipeline.runtime.kafka.stored import MARK, ground_value, key
from pipeline.runtime.kafka.transaction import transaction
from pipeline.runtime.kafka.view import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.kafka.partition import Partition
    from pipeline.runtime.live.parts import Issue


class Writing:
    """The producer of one worker.

    Args:
        config: of the broker.
        name: of the worker; a second one of the same name shuts the first one out.
    """

    def __init__(self, config: Kafka, name: str) -> None:
        self._topics = Topics(config.prefix)
        self._producer: Any = producer(config, f"{config.prefix}-detect-{name}")
        self._send: Callable[..., None]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is sent in the block shows at once, or nothing of it: see :func:`transaction`."""
        with transaction(self._producer) as self._send:
            yield

    def tell(self, part: Partition, name: str, issue: Issue) -> None:
        """Documents of a tenant, and that they are told."""
        for topic, documents in (
            (self._topics.flags, issue.flags),
            (self._topics.incidents, issue.incidents),
        ):
            for document in documents:
                self._put(topic, part.number, name.encode(), to_line(document).encode())
        self._put(self._topics.state, part.number, key(name, "issued"), part.engine.issued(name))

    def show(self, part: Partition) -> bool:
        """What the tenants of a partition show since the last call; whether there is anything."""
        found = False
        for name, tenant in part.engine.tenants.items():
            for key_, value in pack(name, tenant.shows.take(), part.shared()):
                self._put(self._topics.view, part.number, key_, value)
                found = True
        return found

    def bury(self, part: Partition, letters: Iterable[DeadLetter]) -> None:
        """Dead letters, beside the messages they are about."""
        for letter in letters:
            self._send(self._topics.dead, **record_of(letter), partition=part.number)

    def store(self, part: Partition, name: str) -> None:
        """A tenant's state as of now."""
        taken = part.engine.snapshot(name)
        state, number = self._topics.state, part.number
        for piece, body in taken.parts.items():
            self._put(state, number, key(name, f"part/{piece}"), body)
        for piece in part.engine.outdated(name):
            self._put(state, number, key(name, f"part/{piece}"), None)
        self._put(state, number, key(name, "ground"), ground_value(part.position, taken.body))
        self._put(state, number, key(name, "issued"), taken.issued)
        part.stored(name)

    def consume(self, parts: Iterable[Partition], group: Any) -> None:
        """The offsets of the messages that all of this came of."""
        offsets = {}
        for part in parts:
            # Whoever waits for the state of a partition waits for this transaction then.
            self._put(self._topics.state, part.number, MARK, b"")
            place = TopicPartition(self._topics.events, part.number)
            told = json.dumps({"v": 1, "from": part.replay_from})
            offsets[place] = OffsetAndMetadata(part.told_to, told, -1)
        if offsets:
            self._producer.send_offsets_to_transaction(offsets, group)

    def _put(self, topic: str, partition: int, name: bytes, value: bytes | None) -> None:
        self._send(topic, key=name, value=value, partition=partition)

    def close(self) -> None:
        """Let go of the broker."""
        with suppress(KafkaError):
            self._producer.close(timeout=1)
