"""Workers on a real broker: killed, fenced, moved: every revision once, and the same in the end."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time
from contextlib import suppress

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from pipeline.model.errors import ConfigError, FatalError, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import Topics, admin, consumer, producer
from pipeline.runtime.kafka.letters import letter_of
from pipeline.runtime.kafka.stored import read_back
from pipeline.runtime.kafka.topics import init, verify
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.tenant import Tenant
from tests import warm
from tests.kafka.publishing import fresh
from tests.kafka.stream import (
    EDGES,
    HOURS,
    TENANTS,
    WARM_UP,
    collector_of,
    done,
    each_once,
    events_of,
    finals,
    read_all,
    send_all,
    told,
    worker,
)
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS


@pytest.fixture(scope="module")
def straight():
    """What every revision's last content is, without a broker."""
    flags = {}
    for number, _ in enumerate(TENANTS):
        tenant = Tenant(SETTINGS)
        for start, until in itertools.pairwise(EDGES):
            tenant.take(events_of(number, start, until), MONDAY + HOUR * HOURS)
        for flag in tenant.judge(finish=True).flags:
            flags[flag.flag_id] = flag.state
    assert len(flags) > 4
    return {k: s for k, s in flags.items() if s != "retracted"}


@pytest.fixture
def config(cluster):
    return fresh(cluster, snapshot_rows=3000)


def test_one_worker_tells_what_there_is(config, straight):
    send_all(config)
    alone = worker(config, "a")
    until = time.monotonic() + 60
    while finals(told(config)) != straight and time.monotonic() < until:
        for _ in range(10):
            alone.step()
    alone.close()
    documents = told(config)
    each_once(documents)
    assert finals(documents) == straight


def test_two_workers_share_the_tenants(config, straight):
    send_all(config)
    workers = [worker(config, name) for name in "ab"]
    stop = threading.Event()
    held = {}

    def work(one):
        while not stop.is_set():
            try:
                one.step()
            except RetriableError:
                time.sleep(0.1)
            held[id(one)] = max(held.get(id(one), 0), len(one.partitions))
        one.close()

    threads = [threading.Thread(target=work, args=(w,)) for w in workers]
    for thread in threads:
        thread.start()
    assert done(config)
    stop.set()
    for thread in threads:
        thread.join(30)
    documents = told(config)
    each_once(documents)
    assert finals(documents) == straight


def test_killed_workers_lose_and_repeat_nothing(config, straight, tmp_path):
    path = tmp_path / "outrider.toml"
    path.write_text(
        "[detection]\n"
        f"warm_up_hours = {WARM_UP}\n"
        "[kafka]\n"
        f'servers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n'
        f"partitions = {config.partitions}\nreplication = 1\nsnapshot_rows = 3000\n"
    )
    command = [*warm.OUTRIDER, "detect", "--config", str(path)]
    kills = int(os.environ.get("OUTRIDER_TEST_KILLS", "4"))
    chance = random.Random(7)
    running = {}

    def start(name):
        with (tmp_path / f"{name}.log").open("ab") as log:
            running[name] = warm.Popen([*command, "--name", name], stdout=log, stderr=log)

    send = threading.Thread(target=send_all, args=(config,))
    send.start()
    try:
        for name in "ab":
            start(name)
        for _ in range(kills):
            time.sleep(chance.uniform(1.5, 4.0))
            name = chance.choice("ab")
            running[name].send_signal(signal.SIGKILL)
            running[name].wait()
            start(name)
        send.join(60)
        assert done(config, 120), (tmp_path / "a.log").read_text()[-3000:]
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    documents = told(config)
    each_once(documents)
    assert finals(documents) == straight


def test_a_zombie_is_shut_out(config, straight):
    send_all(config)
    old = worker(config, "a")
    while not old.partitions:
        old.step()
    taken = old._take(old._consumer.poll(timeout_ms=1000))
    new = worker(config, "a")
    while not new.partitions:
        new.step()
    with pytest.raises(KafkaError), old._committing._writing.transaction():  # at its commit
        old._committing._writing.consume(old._partitions.values(), old._consumer.group_metadata())
    assert sum(s.rows for s in taken.values()) > 0
    old.close()
    until = time.monotonic() + 60
    while finals(told(config)) != straight and time.monotonic() < until:
        for _ in range(10):
            new.step()
    new.close()
    each_once(told(config))
    assert finals(told(config)) == straight


def test_a_poison_batch_stops_nothing_and_is_kept(config, straight):
    poison = producer(config, f"{config.prefix}-poison")
    poison.begin_transaction()
    for number in range(config.partitions):
        poison.send(
            Topics(config.prefix).events,
            key=b"tenant-0",
            value=b"no arrow at all",
            partition=number,
            headers=[("kind", b"events")],
        )
    poison.commit_transaction()
    poison.close()
    send_all(config)
    alone = worker(config, "a")
    until = time.monotonic() + 60
    while finals(told(config)) != straight and time.monotonic() < until:
        for _ in range(10):
            alone.step()
    alone.close()
    dead = read_all(config, Topics(config.prefix).dead)
    assert [r.value for r in dead] == [b"no arrow at all"] * config.partitions
    letter = letter_of(dead[0])
    assert "offset 0" in letter.place
    assert letter.reason == "unreadable_message"
    assert finals(told(config)) == straight


def test_a_collector_goes_on_after_the_last_batch_that_others_see(config):
    first = collector_of(config)
    for _ in range(7):
        first.step()
    second = collector_of(config)
    second.step()
    with pytest.raises(RetriableError):  # the first is shut out by the second
        first.step()
    with pytest.raises(FatalError, match="another collector named 'logs' has taken over"):
        first.step()
    second.step()
    second.close()
    found = [dict(r.headers)["kind"] for r in read_all(config, Topics(config.prefix).events)]
    assert found.count(b"events") == 9


def test_topics_are_checked(config):
    assert init(config) == []
    assert verify(config) == 4
    with pytest.raises(ConfigError, match="outrider kafka init"):
        verify(config.model_copy(update={"prefix": "nobody"}))


def test_a_broker_that_is_not_there_is_named():
    nobody = Kafka(servers=["127.0.0.1:1"])
    with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1"):
        init(nobody)


def test_a_tenant_that_cannot_be_judged_stops_nobody(config, straight, monkeypatch):
    judge, failed = Engine.judge, []

    def fragile(engine, name):
        if name == TENANTS[1] and not failed:
            failed.append(name)
            raise KeyError("a defect of ours")
        return judge(engine, name)

    monkeypatch.setattr(Engine, "judge", fragile)
    send_all(config)
    alone = worker(config, "a")
    while not done(config, 0.1):
        alone.step()
    alone.stop()
    (letter,) = [letter_of(r) for r in read_all(config, Topics(config.prefix).dead)]
    assert (letter.reason, letter.tenant) == ("judging_failed", TENANTS[1])
    assert "KeyError while judging" in letter.detail
    assert "offsets" in letter.place
    assert "a defect" not in letter.detail
    documents = told(config)
    each_once(documents)
    tenant_of = {d["flag_id"]: d["tenant"] for d in documents}
    others = {k: s for k, s in finals(documents).items() if tenant_of[k] != TENANTS[1]}
    assert others
    assert others.items() <= straight.items()


def test_a_worker_that_is_stopped_leaves_nothing_to_take_in_again(config):
    config = config.model_copy(update={"snapshot_rows": 10**9})  # nothing is stored before
    send_all(config)
    alone = worker(config, "a")
    while not done(config, 0.1):
        alone.step()
    alone.stop()
    reader = consumer(config, group_id=f"{config.prefix}-detect")
    for number in range(config.partitions):
        place = TopicPartition(Topics(config.prefix).events, number)
        stood = reader.committed(place, metadata=True)
        if stood is not None:
            assert json.loads(stood.metadata)["from"] == stood.offset
    reader.close()
    states = read_back(config, range(config.partitions))
    assert sorted(name for kept in states.values() for name in kept) == TENANTS


@pytest.mark.parametrize(
    "call",
    [
        lambda one, topic: one.send(topic, value=b"later"),
        lambda one, _: one.commit_transaction(),
        lambda one, _: one.begin_transaction(),
    ],
    ids=["send", "commit", "begin"],
)
def test_a_producer_that_was_shut_out_says_so_from_every_call(config, call):
    topic = Topics(config.prefix).dead
    older = producer(config, f"{config.prefix}-one")
    older.begin_transaction()
    producer(config, f"{config.prefix}-one").close()
    with suppress(KafkaError):  # which of the two learns it first, the client decides
        older.send(topic, value=b"late").get(timeout=30)
    for _ in range(2):
        with pytest.raises((ProducerFencedError, InvalidProducerEpochError)):
            call(older, topic)
    with suppress(KafkaError):
        older.close(timeout=1)


def test_settings_that_would_lose_something_are_named(config):
    names = Topics(config.prefix)
    client = admin(config)
    wrong = {"cleanup.policy": "delete"}
    short = {"retention.ms": "3600000"}
    client.alter_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, names.state, wrong),
            ConfigResource(ConfigResourceType.TOPIC, names.events, short),
        ]
    )
    client.close()
    with pytest.raises(ConfigError) as caught:
        verify(config)
    assert f"topic {names.state} has cleanup.policy=delete and needs compact" in str(caught.value)
    assert f"topic {names.events} keeps messages for 0.0 days" in str(caught.value)
