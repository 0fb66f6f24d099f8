"""Making the topics, and looking whether they are what the run needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from pipeline.ledger.show import SHOWN_DAYS
from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka.client import MESSAGE_BYTES, Topics, admin, consumer, unreachable
from pipeline.runtime.kafka.creating import make
from pipeline.runtime.kafka.faults import DAY_MS, faults
from pipeline.runtime.kafka.refusals import unreadable, unseen

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

_HEARD_SECONDS: Final = 5.0


def wanted(config: Kafka) -> dict[str, dict[str, str]]:
    """Settings of each topic.

    Events are kept for longer than any state may be behind; compacted topics keep the newest
    message of each key for good, that of the view for as long as the timeline reaches back.
    """
    names = Topics(config.prefix)
    keep = str(config.retention_days * DAY_MS)
    # As they were sent: a broker may have a codec of its own, which costs it and us.
    large = {"max.message.bytes": str(MESSAGE_BYTES + 2**20), "compression.type": "producer"}
    # A broker's own limit of bytes (log.retention.bytes) would go for each new topic.
    aged = {"retention.bytes": "-1", **large}
    kept = {"cleanup.policy": "delete", "retention.ms": keep, **aged}
    compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.3", **large}
    # Snapshots are written over and over: small segments, so that old ones can be dropped.
    state = {**compacted, "segment.bytes": str(64 * 2**20)}
    shown = str(SHOWN_DAYS * DAY_MS)
    view = {**state, **aged, "cleanup.policy": "compact,delete", "retention.ms": shown}
    return {
        names.events: kept,
        names.advisories: compacted,
        names.flags: kept,
        names.incidents: kept,
        names.dead: kept,
        names.state: state,
        names.cursors: compacted,
        names.desk: compacted,
        names.view: view,
    }


def init(config: Kafka) -> list[str]:
    """Make the topics that are missing; their names.

    Those that exist are left as they are: who has set them otherwise may have had a reason, and
    what to set is told.

    Raises:
        RetriableError: the broker does not answer.
        AuthError: it does not let us make topics.
        ConfigError: the cluster does not take what is configured, or a topic exists and is not
            what is needed.
    """
    client = admin(config)
    try:
        missing = _missing(client, config)
        for name in missing:
            make(client, config, name, wanted(config)[name])
        client.wait_for_topics(list(wanted(config)), timeout_ms=30_000)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        client.close()
    verify(config)
    return missing


def _missing(client: Any, config: Kafka) -> list[str]:
    have = set(client.list_topics())
    return [name for name in wanted(config) if name not in have]


def verify(config: Kafka) -> int:
    """Check that all topics exist and are what the run leans on; their number of partitions.

    A tenant's records, state and documents lie in partitions of the same number; a topic of
    state that is not compacted, records that are gone before a state holds them, or too few
    copies would lose what is known.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: a topic is missing, or its settings would lose something; all faults in
            one message.
    """
    client = admin(config)
    try:
        missing = _missing(client, config)
        until = time.monotonic() + _HEARD_SECONDS
        while missing and time.monotonic() < until:
            time.sleep(0.2)  # one broker of several may not have heard of what was just made
            missing = _missing(client, config)
        if missing:
            raise unseen(config, client.describe_topics(missing[:1])[0])
        described = client.describe_topics(list(wanted(config)))
        places = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted(config)]
        settings = client.describe_configs(places, config_filter="all")["topic"]
        for hidden in (n for n in wanted(config) if not settings.get(n)):
            raise unreadable(config, hidden)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        client.close()
    found = faults(wanted(config), config.replication, described, settings)
    if found:
        raise ConfigError("; ".join(found))
    return len(described[0]["partitions"])


def partitions_of(config: Kafka, topic: str) -> int:
    """Number of partitions of a topic, for whoever only looks into it.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: there is no such topic.
    """
    client = consumer(config)
    try:
        numbers = client.partitions_for_topic(topic)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        client.close()
    if not numbers:
        raise ConfigError(f"topic {topic} does not exist; run 'outrider kafka init' first")
    return len(numbers)
