"""Workers on a real broker: killed, fenced, moved: every revision once, and the same in the end."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import structlog
from kafka import TopicPartition

from pipeline.model.clock import SystemClock
from pipeline.model.contracts import Poll
from pipeline.model.errors import ConfigError, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import Topics, consumer, producer
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.topics import init, verify
from pipeline.runtime.live.tenant import Tenant
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual

TENANTS = [f"tenant-{n}" for n in range(5)]
HOURS = LEARNED + 9
WARM_UP = 96
_names = itertools.count()


def rows_of(number, hour):
    bad = hour - LEARNED in {2 + number % 2, 3 + number % 3}
    return usual(hour + 24 * number) if not bad else usual(hour) + outage(hour, share=0.5)


def events_of(number, start, until):
    rows = [r for h in range(start, until) for r in at_hour(number, h)]
    made = table(rows)
    at = made.schema.get_field_index("tenant")
    values = made.column("tenant").combine_chunks()
    renamed = type(values).from_arrays(values.indices, [TENANTS[number]])
    return made.set_column(at, made.schema.field(at), renamed)


def at_hour(number, hour):
    return [(hour * 60 + r[0] % 60, *r[1:]) for r in rows_of(number, hour)]


class Logs:
    """A bounded source: six hours of one tenant a poll."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["at"]
        hour, number = divmod(at, len(TENANTS))
        start, until = 6 * hour, min(6 * hour + 6, HOURS)
        if start >= HOURS:
            return Poll((), (), {"at": at}, finished=True)
        batch = events_of(number, start, until)
        return Poll((batch,), (), {"at": at + 1}, read_at=MONDAY + until * HOUR)


@pytest.fixture(scope="module")
def straight():
    """What every revision's last content is, without a broker."""
    flags = {}
    for number, _ in enumerate(TENANTS):
        tenant = Tenant(SETTINGS)
        for start in range(0, HOURS, 6):
            tenant.take(events_of(number, start, min(start + 6, HOURS)), MONDAY + HOUR * HOURS)
        for flag in tenant.judge(finish=True).flags:
            flags[flag.flag_id] = flag.state
    assert len(flags) > 4
    return {k: s for k, s in flags.items() if s != "retracted"}


@pytest.fixture
def config(cluster):
    held = Kafka(
        servers=cluster.servers,
        prefix=f"test-{os.getpid()}-{next(_names)}",
        partitions=4,
        replication=1,
        snapshot_rows=3000,
    )
    assert len(init(held)) == 6
    return held


def send_all(config):
    collector = Collector(config, "logs", Logs(), unnamed=lambda: "t", clock=SystemClock())
    while not collector.finished:
        collector.step()
    collector.close()


def worker(config, name):
    return Detector(
        config,
        SETTINGS,
        name,
        clock=SystemClock(),
        metrics=Metrics(),
        log=structlog.get_logger(),
    )


def read_all(config, topic):
    reader = consumer(config)
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends = reader.end_offsets(places)
    found = []
    until = time.monotonic() + 20
    while any(reader.position(p) < ends[p] for p in places):
        assert time.monotonic() < until, "an open transaction hides the end of the topic"
        for records in reader.poll(timeout_ms=100).values():
            found += records
    reader.close()
    return found


def told(config):
    return [json.loads(r.value) for r in read_all(config, Topics(config.prefix).flags)]


def finals(documents):
    newest = {d["flag_id"]: d["state"] for d in documents}
    return {k: s for k, s in newest.items() if s != "retracted"}


def each_once(documents):
    seen = Counter((d["flag_id"], d["revision"]) for d in documents)
    assert set(seen.values()) <= {1}
    newest = Counter(d["flag_id"] for d in documents)
    assert all((k, r) in seen for k, n in newest.items() for r in range(1, n + 1))


def done(config, seconds=60):
    """Wait until the group has consumed everything."""
    topic = Topics(config.prefix).events
    reader = consumer(config, group_id=f"{config.prefix}-detect")
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    ends = reader.end_offsets(places)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            stood = {p: reader.committed(p) or 0 for p in places}
            # The last offset of a partition is the mark of a transaction.
            if all(stood[p] >= ends[p] - 1 for p in places):
                return True
            time.sleep(0.2)
    finally:
        reader.close()
    return False


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
    command = [sys.executable, "-c", "from pipeline.cli.main import run; run()", "detect"]
    command += ["--config", str(path)]
    kills = int(os.environ.get("OUTRIDER_TEST_KILLS", "4"))
    chance = random.Random(7)
    running = {}

    def start(name):
        with (tmp_path / f"{name}.log").open("ab") as log:
            running[name] = subprocess.Popen([*command, "--name", name], stdout=log, stderr=log)

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


def test_a_zombie_is_shut_out(config):
    send_all(config)
    old = worker(config, "a")
    for _ in range(10):
        old.step()
    assert old.partitions
    new = worker(config, "a")
    for _ in range(10):
        new.step()
    with pytest.raises(RetriableError):  # noqa: PT012 # at one of its next steps
        for _ in range(200):
            old.step()
    new.close()
    each_once(told(config))


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
    letter = json.loads(dict(dead[0].headers)["letter"])
    assert "offset 0" in letter["place"]
    assert letter["reason"] == "unreadable_message"
    assert finals(told(config)) == straight


def test_a_collector_goes_on_after_the_last_batch_that_others_see(config):
    first = Collector(config, "logs", Logs(), unnamed=lambda: "t", clock=SystemClock())
    for _ in range(7):
        first.step()
    second = Collector(config, "logs", Logs(), unnamed=lambda: "t", clock=SystemClock())
    second.step()
    with pytest.raises(RetriableError):  # the first is shut out by the second
        first.step()
    second.close()
    assert len(read_all(config, Topics(config.prefix).events)) == 8


def test_topics_are_checked(config):
    assert init(config) == []
    assert verify(config) == 4
    with pytest.raises(ConfigError, match="outrider kafka init"):
        verify(config.model_copy(update={"prefix": "nobody"}))


def test_a_broker_that_is_not_there_is_named():
    nobody = Kafka(servers=["127.0.0.1:1"])
    with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1"):
        init(nobody)
