"""Making the topics, and looking whether they are what the run needs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaError, TopicAlreadyExistsError

from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka.client import MESSAGE_BYTES, Topics, admin, unreachable

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

_DAY_MS = 86_400_000


def wanted(config: Kafka) -> dict[str, dict[str, str]]:
    """Settings of each topic.

    Events are kept for longer than any state may be behind; compacted topics keep the newest
    message of each key for good.
    """
    names = Topics(config.prefix)
    keep = str(config.retention_days * _DAY_MS)
    large = {"max.message.bytes": str(MESSAGE_BYTES + 2**20)}
    kept = {"cleanup.policy": "delete", "retention.ms": keep, **large}
    compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.3", **large}
    return {
        names.events: kept,
        names.advisories: compacted,
        names.flags: kept,
        names.incidents: kept,
        names.dead: kept,
        names.state: compacted,
    }


def init(config: Kafka) -> list[str]:
    """Make the topics that are missing; their names.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: a topic exists and is not what is needed.
    """
    client = admin(config)
    try:
        have = set(client.list_topics())
        missing = [name for name in wanted(config) if name not in have]
        for name in missing:
            _make(client, config, name)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        client.close()
    verify(config)
    return missing


def _make(client: Any, config: Kafka, name: str) -> None:
    told = {
        "num_partitions": config.partitions,
        "replication_factor": config.replication,
        "configs": {
            **wanted(config)[name],
            "min.insync.replicas": str(max(1, config.replication - 1)),
        },
    }
    with suppress(TopicAlreadyExistsError):  # another worker was first
        client.create_topics({name: told})


def verify(config: Kafka) -> int:
    """Check that all topics exist with one number of partitions, and give it.

    A tenant's records, state and documents lie in partitions of the same number.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: a topic is missing or has another number of partitions.
    """
    client = admin(config)
    try:
        have = set(client.list_topics())
        missing = [name for name in wanted(config) if name not in have]
        if missing:
            raise ConfigError(f"topic {missing[0]} does not exist; run 'outrider kafka init' first")
        found = {
            t["name"]: len(t["partitions"]) for t in client.describe_topics(list(wanted(config)))
        }
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        client.close()
    counts = set(found.values())
    if len(counts) != 1:
        told = ", ".join(f"{name}: {count}" for name, count in sorted(found.items()))
        raise ConfigError(f"the topics must have one number of partitions, and have {told}")
    return counts.pop()
