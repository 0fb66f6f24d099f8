"""Making a topic, and what it means where the cluster refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kafka import errors as kafka_errors

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.runtime.config import Kafka

# A policy of the cluster's own may answer with anything.
_SAID_CHARACTERS: Final = 300


def make(client: Any, config: Kafka, name: str, settings: Mapping[str, str]) -> None:
    """Make a topic. One that another worker was first to make is left as it is.

    Args:
        client: of the administrator.
        config: of the brokers.
        name: of the topic.
        settings: of the topic; how many copies must be in sync is added.

    Raises:
        ConfigError: the cluster does not take what is configured.
        KafkaError: the broker does not answer, or keeps us out.
    """
    # With N copies one broker may be away: N - 1 have a message before it counts as written.
    settings = {**settings, "min.insync.replicas": str(max(1, config.replication - 1))}
    told = {
        "num_partitions": config.partitions,
        "replication_factor": config.replication,
        "configs": settings,
    }
    # What the client raises by itself names its whole request, and no topic.
    (made,) = client.create_topics({name: told}, raise_errors=False)["topics"]
    kind = kafka_errors.for_code(made["error_code"])
    if kind in {kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError}:
        return
    said = _printable(made["error_message"])
    if kind is kafka_errors.InvalidReplicationFactorError:
        words = _copies(config, len(client.describe_cluster()["brokers"]), said)
    else:
        words = _WORDS.get(kind, "").format(
            name=name,
            said=said,
            partitions=config.partitions,
            settings=", ".join(f"{k}={v}" for k, v in settings.items()),
        )
    if not words:
        raise kind(name)
    raise ConfigError(f"Kafka at {', '.join(config.servers)}: {words}")


_WORDS: Final = {
    kafka_errors.PolicyViolationError: "a policy of the cluster forbids topic {name} as it would "
    "be made ({said}); set kafka.partitions and kafka.replication to what it allows, or have the "
    "policy changed",
    kafka_errors.InvalidPartitionsError: "the cluster does not make topics of {partitions} "
    "partitions ({said}); set kafka.partitions to what it takes",
    kafka_errors.InvalidConfigurationError: "the cluster does not take the settings of topic "
    "{name} ({said}); have it allow {settings}",
    kafka_errors.InvalidTopicError: "the cluster does not take the name {name} ({said}); set "
    "another kafka.prefix",
}


def _copies(config: Kafka, brokers: int, said: str) -> str:
    if brokers >= config.replication:
        return f"the cluster does not take kafka.replication = {config.replication} ({said})"
    has = "1 broker" if brokers == 1 else f"{brokers} brokers"
    lost = "is lost with it" if brokers == 1 else "on no other"
    return (
        f"kafka.replication is {config.replication} and the cluster has {has}; set "
        f"kafka.replication to {brokers} (a message is on {has} then, and {lost}), or add brokers"
    )


def _printable(said: str | None) -> str:
    """What the broker says of it, in one line."""
    line = " ".join((said or "it does not say why").split())
    return "".join(c for c in line if c.isprintable())[:_SAID_CHARACTERS].rstrip(".")
