"""Tenants' states out of the state topic, for whoever only looks."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import datetime  # noqa: TC003 # named in an annotation of a public function
from typing import TYPE_CHECKING, Final, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2

from pipeline.model.errors import RetriableError
from pipeline.runtime.kafka.client import Topics, consumer, unreachable
from pipeline.runtime.kafka.letters import between
from pipeline.runtime.kafka.stored import Kept, read_back
from pipeline.runtime.kafka.topics import partitions_of
from pipeline.runtime.live.freezing import thaw
from pipeline.runtime.live.held import Held
from pipeline.runtime.live.messages import Message, UnreadableMessageError
from pipeline.runtime.live.parts import GroundPart

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pipeline.runtime.config import Kafka

# Workers commit once a second where much comes, and a partition is read in less.
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.3


class _Stood(NamedTuple):
    """How far the workers are: offset told, and first offset that some state does not hold."""

    committed: int
    replay_from: int


def home(tenant: str, partitions: int) -> int:
    """The partition of a tenant among so many: the one its collectors send to.

    >>> home("contoso", 8)
    2
    """
    return int((murmur2(tenant.encode()) & 0x7FFFFFFF) % partitions)


def all_held(config: Kafka) -> Iterator[Held]:
    """Every tenant's stored state, without the messages since, by partition and name.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: the topics are not there.
    """
    for partition in range(_partitions(config)):
        stood = _stood(config, partition)
        for tenant, kept in sorted(read_back(config, [partition])[partition].items()):
            yield _held(tenant, partition, kept, stood)


def held_on(config: Kafka, tenant: str) -> Held | None:
    """A tenant's state with the messages since, all of one moment; None if it is not known.

    Raises:
        RetriableError: the broker does not answer, or workers commit faster than it is read.
        ConfigError: the topics are not there.
    """
    partition = home(tenant, _partitions(config))
    stood = _stood(config, partition)
    for _ in range(_TRIES):
        kept = read_back(config, [partition])[partition].get(tenant)
        # Offsets and states change in one transaction: the same offset, the same state.
        before, stood = stood, _stood(config, partition)
        if before == stood:
            break
        time.sleep(_PAUSE_SECONDS)
    else:
        raise RetriableError(
            f"workers commit to partition {partition} faster than it can be read; stop them, or "
            "try again when less comes"
        )
    held = _held(tenant, partition, kept or Kept(), stood)
    first = max(held.stands_at, stood.replay_from)
    topic = Topics(config.prefix).events
    for record in between(config, topic, partition, first, stood.committed - 1):
        if record.key == tenant.encode():
            # The worker has made a dead letter of what is no message.
            with suppress(UnreadableMessageError):
                held.messages.append(Message.of_record(record.key, record.headers, record.value))
    return None if kept is None and not held.messages else held


def closed_to(config: Kafka, tenants: Collection[str]) -> dict[str, datetime | None]:
    """By tenant, the moment before which the stored states know all to be judged for good.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: the topics are not there.
        StateError: a state is damaged or of another version.
    """
    count = _partitions(config)
    found: dict[str, datetime | None] = dict.fromkeys(tenants)
    kept = read_back(config, {home(t, count) for t in tenants})
    for tenant in found:
        held = kept[home(tenant, count)].get(tenant)
        if held is not None and held.ground is not None:
            found[tenant] = thaw(held.ground, held.parts, GroundPart).closed_to
    return found


def _partitions(config: Kafka) -> int:
    return partitions_of(config, Topics(config.prefix).state)


def _held(tenant: str, partition: int, kept: Kept, stood: _Stood) -> Held:
    return Held(
        tenant,
        kept.offset,
        max(0, stood.committed - max(kept.offset, stood.replay_from)),
        kept.ground,
        kept.parts,
        kept.issued,
        partition=partition,
    )


def _stood(config: Kafka, partition: int) -> _Stood:
    place = TopicPartition(Topics(config.prefix).events, partition)
    reader = consumer(config, group_id=f"{config.prefix}-detect")
    try:
        found = reader.committed(place, metadata=True)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        reader.close()
    if found is None or found.offset < 0:
        return _Stood(0, 0)
    told = json.loads(found.metadata) if found.metadata else {}
    return _Stood(int(found.offset), int(told.get("from", 0)))
