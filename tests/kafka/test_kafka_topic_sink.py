"""A topic of a real broker as a destination: killed, full of large ones, kept from us."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.kafka_topic import KafkaTopicSink
from connectors.sinks.kafka_topic_brokers import Brokers
from pipeline.model.errors import FatalError, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import admin
from tests.contracts.sink_checks import REFUSE, SinkCase, checks_for
from tests.kafka.broker import Cluster, require
from tests.sinks.records import record

PARTITIONS = 3
_names = itertools.count()


def made(cluster, **settings):
    """A topic of one test."""
    name = f"siem-{os.getpid()}-{next(_names)}"
    client = admin(Kafka(servers=cluster.servers))
    client.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=settings)])
    client.close()
    return name


@pytest.fixture
def topic(cluster):
    return made(cluster)


@pytest.fixture
def make(cluster):
    held = []

    def start(topic, form="json", servers=None, **more):
        brokers = Brokers(tuple(servers or cluster.servers))
        held.append(KafkaTopicSink(brokers, topic, FORMS[form], **more))
        return held[-1]

    yield start
    for sink in held:
        sink.close()


def messages(cluster, topic):
    """What the topic holds, partition by partition."""
    reader = KafkaConsumer(bootstrap_servers=cluster.servers, consumer_timeout_ms=10_000)
    places = [TopicPartition(topic, n) for n in range(PARTITIONS)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    wanted = sum(reader.end_offsets(places).values())
    found = [next(reader) for _ in range(wanted)]
    reader.close()
    return sorted(found, key=lambda m: (m.partition, m.offset))


def keys(found):
    return [(dict(m.headers)["id"].decode(), int(dict(m.headers)["revision"])) for m in found]


def stream(revisions, names=("inc-1", "inc-2", "flag-1")):
    return [record(name, n) for n in range(1, revisions + 1) for name in names]


def in_order(found):
    newest = {}
    for name, revision in dict.fromkeys(found):
        if revision != newest.get(name, 0) + 1:
            return False
        newest[name] = revision
    return True


class TopicReceiver:
    """The topic, as the receiver of its sink."""

    def __init__(self, cluster):
        self.cluster, self.topic, self.sinks = cluster, made(cluster), []

    def sink(self):
        brokers = Brokers(tuple(self.cluster.servers))
        self.sinks.append(KafkaTopicSink(brokers, self.topic, FORMS["json"]))
        return self.sinks[-1]

    def accepted(self):
        return keys(messages(self.cluster, self.topic))

    def text(self, key):
        (found,) = [m for m in messages(self.cluster, self.topic) if keys([m]) == [key]]
        return json.loads(found.value)["headline"]

    def fail(self, kind, _after=0):
        assert kind is None

    def refuse(self, document):
        return document | {"headline": "x" * 1_100_000}

    def wait(self, seconds):
        assert seconds >= 0

    def close(self):
        for sink in self.sinks:
            sink.close()


@pytest.mark.parametrize("check", checks_for(frozenset({REFUSE})), ids=lambda c: c.__name__)
def test_it_does_what_every_sink_must(cluster, check):
    def make():
        receiver = TopicReceiver(cluster)
        return receiver.sink(), receiver

    can = frozenset({REFUSE})
    check(SinkCase(make=make, document=record, can=can, shown=lambda text: text))


def test_each_revision_is_a_message_with_its_key_in_headers(cluster, topic, make):
    wanted = stream(3)
    done = make(topic).deliver(wanted)
    assert sorted(done.accepted) == sorted(map(key_of, wanted))
    assert not done.rejected
    found = messages(cluster, topic)
    assert Counter(keys(found)) == Counter(map(key_of, wanted))
    assert in_order(keys(found))
    for message in found:
        headers = dict(message.headers)
        document = json.loads(message.value)
        assert message.key.decode() == headers["id"].decode()
        assert headers["kind"] == (b"flag" if "flag_id" in document else b"incident")
        assert (headers["id"].decode(), int(headers["revision"])) == key_of(document)


def test_documents_of_a_tenant_share_a_partition_where_the_tenant_is_the_key(cluster, topic, make):
    make(topic, key="tenant").deliver(stream(4))
    found = messages(cluster, topic)
    assert len({m.partition for m in found}) == 1
    assert {m.key.decode() for m in found} == {record("inc-1", 1)["tenants"][0]}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_told(cluster, topic, make, form):
    wanted = stream(1)
    make(topic, form).deliver(wanted)
    found = messages(cluster, topic)
    assert [FORMS[form].key(m.value.decode()) for m in found] == keys(found)


def test_what_the_broker_finds_too_large_is_rejected_and_the_others_go_on(cluster, make):
    small = made(cluster, **{"max.message.bytes": "6000"})
    wanted = stream(3)
    wanted[4] = wanted[4] | {"headline": "x" * 9_000}
    sink = make(small)
    done = sink.deliver(wanted)
    assert done.rejected == [key_of(wanted[4])]
    assert sorted(done.accepted) == sorted(key_of(d) for d in wanted if d is not wanted[4])
    found = messages(cluster, small)
    assert Counter(keys(found)) == Counter(done.accepted)
    assert sink.deliver(stream(4)[-3:]).accepted


def test_what_no_broker_would_take_is_rejected(topic, make):
    huge = record("inc-1", 1, "x" * 17_000_000)
    done = make(topic).deliver([huge, record("inc-2", 1)])
    assert (done.accepted, done.rejected) == ([("inc-2", 1)], [("inc-1", 1)])


def test_what_the_form_has_no_words_for_is_rejected(topic, make):
    newer = record("inc-1", 2) | {"severity": "apocalyptic"}
    done = make(topic, "cef").deliver([record("inc-1", 1), newer])
    assert (done.accepted, done.rejected) == ([("inc-1", 1)], [("inc-1", 2)])


def test_a_topic_that_is_not_there_is_told_with_its_remedy(make):
    with pytest.raises(FatalError, match="has no topic not-there; make it"):
        make("not-there", seconds=9).deliver(stream(1))


def test_no_broker_is_told_in_time(topic, make):
    began = time.monotonic()
    with pytest.raises(RetriableError, match="nothing listens there") as told:
        make(topic, servers=["127.0.0.1:9"], seconds=3).deliver(stream(1))
    assert told.value.retry_after > 0
    assert time.monotonic() - began < 6


def test_a_broker_that_is_killed_and_comes_back_has_everything_in_order(tmp_path):
    require()
    own = Cluster(tmp_path)
    own.start()
    try:
        topic = made(own)
        sink = KafkaTopicSink(Brokers(tuple(own.servers)), topic, FORMS["json"], seconds=4)
        wanted = stream(12)
        assert len(sink.deliver(wanted[:9]).accepted) == 9
        own.kill()
        with pytest.raises(RetriableError):
            sink.deliver(wanted[9:18])
        own.start()
        left = wanted[9:]
        ends = time.monotonic() + 60
        while left:
            assert time.monotonic() < ends
            try:
                done = sink.deliver(left)
            except RetriableError:
                continue
            left = [d for d in left if key_of(d) not in done.accepted]
        found = keys(messages(own, topic))
        sink.close()
        assert set(found) == set(map(key_of, wanted))
        assert in_order(found)
    finally:
        own.kill()
