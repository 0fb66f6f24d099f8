"""What is wrong with one message, one tenant, one answer of the broker stops nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaProducer

from pipeline.model.clock import to_us
from pipeline.model.dead_letter import MESSAGES
from pipeline.model.errors import RetriableError
from pipeline.runtime.kafka import collect, stored
from pipeline.runtime.kafka.client import Topics, admin, producer
from pipeline.runtime.kafka.letters import letter_of, messages_meant
from pipeline.runtime.kafka.stored import read_back, read_cursors
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.messages import Kind, Message
from pipeline.runtime.live.reading import event_messages
from tests.kafka.broker import Cluster, require
from tests.kafka.publishing import fresh, until
from tests.kafka.stream import (
    HOURS,
    TENANTS,
    collector_of,
    events_of,
    read_all,
    send_all,
    told,
    worker,
)
from tests.live.small_tenant import HOUR, MONDAY


@pytest.fixture
def config(cluster):
    return fresh(cluster, partitions=1, snapshot_rows=3000)


def events(config):
    return Topics(config.prefix).events


def letters(config):
    return [letter_of(r) for r in read_all(config, Topics(config.prefix).dead)]


def send(config, *messages):
    writer = producer(config, "sender")
    writer.begin_transaction()
    for message in messages:
        writer.send(
            events(config),
            key=message.tenant.encode(),
            value=message.body,
            headers=message.headers(),
            partition=0,
        )
    writer.commit_transaction()
    writer.close()


def caught_up(config, one):
    """Step until everything is committed that there is."""
    until(lambda: one.partitions, one.step)
    quiet = 0
    ends = time.monotonic() + 60
    while quiet < 3:
        assert time.monotonic() < ends
        quiet = 0 if one.step(timeout_ms=300) else quiet + 1


def test_a_tenant_that_fails_as_it_is_stored_is_told_of_once(config, monkeypatch):
    judge, tried = Engine.judge, []

    def failing(self, name):
        if name == TENANTS[1]:
            tried.append(name)
            raise KeyError("x")
        return judge(self, name)

    send_all(config)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "due", lambda *_, **__: [])
        one = worker(config, "a")
        caught_up(config, one)
        one.stop()
    monkeypatch.setattr(Engine, "judge", failing)
    one = worker(config, "a")
    caught_up(config, one)
    assert {d["tenant"] for d in told(config)} == {TENANTS[0], TENANTS[2]}
    for _ in range(20):
        one.step(timeout_ms=10)
    assert len(tried) == 1
    assert letters(config) == [], "nothing is left out"
    # What comes next is reason enough to try again, and is left out again.
    (message,) = event_messages([events_of(1, HOURS, HOURS + 1)], "t", MONDAY + (HOURS + 1) * HOUR)
    send(config, message)
    caught_up(config, one)
    one.close()
    assert len(tried) == 3, "with the new ones, and as it is stored"
    assert [(d.tenant, d.reason) for d in letters(config)] == [(TENANTS[1], "judging_failed")]


def test_a_message_too_large_for_a_letter_stays_where_it_is(config):
    packed = KafkaProducer(
        bootstrap_servers=config.servers, compression_type="gzip", max_request_size=64 * 2**20
    )
    body = bytes(20 * 2**20)
    packed.send(
        events(config), key=b"tenant-0", value=body, headers=[("kind", b"events")], partition=0
    ).get(timeout=30)
    packed.close()
    send_all(config)
    one = worker(config, "a")
    caught_up(config, one)
    one.close()
    assert told(config)
    (letter,) = letters(config)
    assert (letter.kind, letter.body) == (MESSAGES, None)
    (meant,) = messages_meant(config, letter)
    assert meant.value == body


def test_a_collector_with_a_wrong_clock_closes_nobodys_days(config):
    one = worker(config, "a")
    now = datetime.now(UTC)
    send(config, Message("t", Kind.CLOCK, now + timedelta(days=400)))
    caught_up(config, one)
    (part,) = one._partitions.values()
    assert part.engine.tenants["t"].clock <= datetime.now(UTC)
    assert "clock" in one.problem
    one.close()


def test_a_topic_that_was_made_anew_is_taken_from_its_begin(config):
    send_all(config)
    one = worker(config, "a")
    caught_up(config, one)
    one.stop()
    operator = admin(config)
    operator.delete_topics([events(config)])
    until(lambda: events(config) not in operator.list_topics())
    operator.close()
    init(config)
    now = MONDAY + (HOURS + 6) * HOUR
    send(config, *(Message(name, Kind.CLOCK, now) for name in TENANTS))
    one = worker(config, "a")
    caught_up(config, one)
    (part,) = one._partitions.values()
    one.close()  # as if it were killed: its states name offsets of the new topic by now
    assert {k.offset for k in read_back(config, [0])[0].values()} <= {*range(len(TENANTS) + 1)}
    assert {to_us(t.clock) for t in part.engine.tenants.values()} == {to_us(now)}
    assert len(part.engine.tenants) == len(TENANTS)


def test_a_collector_that_could_not_read_its_cursors_reads_them_again(config, monkeypatch):
    first = collector_of(config)
    for _ in range(7):
        first.step()
    first.close()
    before = read_cursors(config)
    failures = [RetriableError("the broker does not answer")]

    def once_in_vain(config):
        if failures:
            raise failures.pop()
        return read_cursors(config)

    monkeypatch.setattr(collect, "read_cursors", once_in_vain)
    second = collector_of(config)
    with pytest.raises(RetriableError):
        second.step()
    second.step()
    second.close()
    after = read_cursors(config)
    assert after["logs"] == before["logs"], "the tenants"
    assert after["logs/logs"] == b'{"at": 8}' != before["logs/logs"]


def test_a_broker_that_goes_away_while_states_are_read_is_waited_for(tmp_path, monkeypatch):
    require()
    alone = Cluster(tmp_path)
    alone.start()
    held = fresh(alone)
    send(held, Message("t", Kind.CLOCK, datetime(2026, 3, 19, tzinfo=UTC)))
    settled = stored._settled_ends

    def settled_and_gone(*told):
        ends = settled(*told)
        alone.kill()
        return ends

    monkeypatch.setattr(stored, "_settled_ends", settled_and_gone)
    monkeypatch.setattr(stored, "_SILENCE_SECONDS", 2.0)
    with pytest.raises(RetriableError, match="cannot be read to its end"):
        read_back(held, [0, 1])


def test_a_stop_waits_for_no_broker_that_is_gone(tmp_path, monkeypatch):
    require()
    alone = Cluster(tmp_path)
    alone.start()
    held = fresh(alone, partitions=1)
    send(held, Message("t", Kind.CLOCK, datetime(2026, 3, 19, tzinfo=UTC)))
    one = worker(held, "a")
    until(lambda: one.partitions and one._partitions[0].engine.tenants, one.step)
    alone.kill()
    # Thirty seconds each, and a container is killed after sixty: one of them may be waited for.
    monkeypatch.setattr("pipeline.runtime.kafka.transaction._SEND_SECONDS", 5)
    monkeypatch.setattr("pipeline.runtime.kafka.watching._ANSWER_SECONDS", 5.0)
    began = time.monotonic()
    with pytest.raises(RetriableError):
        one.stop()
    assert time.monotonic() - began < 10
