"""Topics on a real broker: made so that nothing is lost, and held to that."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from pipeline.model.errors import ConfigError, RetriableError
from pipeline.runtime.kafka import topics
from pipeline.runtime.kafka.client import Topics, admin
from pipeline.runtime.kafka.topics import init, verify
from tests.kafka.broker import Cluster, require
from tests.kafka.publishing import PARTITIONS, fresh, unmade, until

DAY_MS = 86_400_000


def change(config, topic, settings):
    """Change some settings of a topic, by its short name."""
    name = getattr(Topics(config.prefix), topic)
    told = {**topics.wanted(config)[name], **settings}
    client = admin(config)
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, told)])
    client.close()


def settings_of(config):
    client = admin(config)
    names = list(topics.wanted(config))
    places = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = client.describe_configs(places, config_filter="all")["topic"]
    client.close()
    return {name: {k: v["value"] for k, v in found[name].items()} for name in names}


def refusal(config, call=verify):
    with pytest.raises(ConfigError) as caught:
        call(config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("topic", "settings", "words"),
    [
        ("events", {"retention.bytes": "1048576"}, "set its retention.bytes to -1"),
        ("flags", {"retention.bytes": "0"}, "set its retention.bytes to -1"),
        ("view", {"retention.bytes": "1048576"}, "set its retention.bytes to -1"),
        ("view", {"retention.ms": "60000"}, "for 0.0 days and has to for 90 at least"),
        ("events", {"retention.ms": str(2 * DAY_MS)}, "for 2.0 days and has to for 3 at least"),
        ("incidents", {"min.insync.replicas": "2"}, "set its min.insync.replicas to 1"),
        ("cursors", {"min.insync.replicas": "2"}, "it has 1 copy and wants 2 in sync"),
        ("view", {"cleanup.policy": "delete"}, "needs compact,delete"),
        ("state", {"max.message.bytes": "1000"}, "takes messages of 1000 bytes"),
        ("events", {"compression.type": "lz4"}, "set its compression.type to producer"),
    ],
)
def test_a_setting_that_loses_messages_or_takes_none_is_told(config, topic, settings, words):
    change(config, topic, settings)
    message = refusal(config)
    assert message.startswith(f"topic {config.prefix}.{topic}.v1 ")
    assert words in message
    assert message.count("topic ") == 1


@pytest.mark.parametrize(
    ("topic", "settings"),
    [
        ("events", {"retention.ms": "-1"}),
        ("flags", {"compression.type": "gzip"}),
        ("view", {"retention.ms": "-1"}),
        ("events", {"retention.ms": str(3 * DAY_MS)}),
        # A compacted topic keeps the newest of each key, whatever its limits are.
        ("state", {"retention.bytes": "1048576"}),
    ],
)
def test_a_setting_that_loses_nothing_is_accepted(config, topic, settings):
    change(config, topic, settings)
    assert verify(config) == PARTITIONS


def test_fewer_copies_than_are_meant_are_told_once_for_all_topics(config):
    message = refusal(config.model_copy(update={"replication": 3}))
    assert message.startswith("all topics have 1 copy of each partition and kafka.replication is 3")
    assert message.count("kafka.replication is 3") == 1
    assert "set kafka.replication to 1" in message


def test_topics_that_exist_are_told_of_and_left_as_they_are(config):
    change(config, "events", {"retention.bytes": "1048576"})
    before = settings_of(config)
    assert "set its retention.bytes to -1" in refusal(config, init)
    assert settings_of(config) == before


def test_a_brokers_own_limits_do_not_go_for_new_topics(tmp_path):
    require()

    class Limited(Cluster):
        def settings(self, _node):
            return ["log.retention.bytes=1048576", "min.insync.replicas=2"]

    held = Limited(tmp_path)
    held.start()
    try:
        config = fresh(held)
        found = settings_of(config)
    finally:
        held.kill()
    aged = [n for n, want in topics.wanted(config).items() if "retention.ms" in want]
    assert len(aged) == 5
    assert {found[n]["retention.bytes"] for n in aged} == {"-1"}
    assert {s["min.insync.replicas"] for s in found.values()} == {"1"}


def test_a_broker_that_is_away_keeps_nobody_from_starting(tmp_path):
    require()
    held = Cluster(tmp_path, nodes=3)
    held.start()
    try:
        config = unmade(held, replication=3)
        until(lambda: asked(config, lambda boss: len(boss.describe_cluster()["brokers"])) == 3)
        init(config)
        held.kill(2)
        config = config.model_copy(update={"servers": held.servers[:2]})
        names = list(topics.wanted(config))

        def in_sync(boss):
            described = boss.describe_topics(names)
            return max(len(p["isr_nodes"]) for t in described for p in t["partitions"])

        until(lambda: asked(config, in_sync) == 2)
        assert verify(config) == PARTITIONS
        message = refusal(config.model_copy(update={"replication": 4}))
        assert "all topics have 3 copies of each partition" in message
    finally:
        held.kill()


def asked(config, question):
    """What a new client learns, None while no broker answers."""
    with suppress(KafkaError, RetriableError), closing(admin(config)) as client:
        return question(client)
    return None
