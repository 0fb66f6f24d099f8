"""Many tenants whose states are stored at a time: no transaction is open for longer than it may."""

from __future__ import annotations

import time

import pytest
import structlog

from pipeline.model.clock import SystemClock
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.stored import read_back
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.reading import event_messages
from pipeline.runtime.metrics import Metrics
from tests.kafka.publishing import PARTITIONS, until
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

TENANTS = 40
STORING_SECONDS = 0.1  # times the tenants: more than the broker waits for here


@pytest.fixture
def worker(config, monkeypatch):
    """Holds many tenants, each of which takes its time to store."""
    snapshot = Engine.snapshot

    def slowly(self, name):
        time.sleep(STORING_SECONDS)
        return snapshot(self, name)

    monkeypatch.setattr(Engine, "snapshot", slowly)
    monkeypatch.setattr("pipeline.runtime.kafka.client.TRANSACTION_MS", 1_500)
    send(config, [f"tenant-{n}" for n in range(TENANTS)])
    held = Detector(
        config,
        SETTINGS,
        "worker",
        clock=SystemClock(),
        metrics=Metrics(),
        log=structlog.get_logger(),
    )
    until(lambda: len(tenants(held)) == TENANTS, held.step)
    yield held
    held.close()


def send(config, names):
    (message,) = event_messages([table(usual(0))], "t", MONDAY + HOUR)
    writer = producer(config, "collector")
    writer.begin_transaction()
    for number, name in enumerate(names):
        writer.send(
            Topics(config.prefix).events,
            key=name.encode(),
            value=message.body,
            headers=message.headers(),
            partition=number % PARTITIONS,
        )
    writer.commit_transaction()
    writer.close()


def tenants(worker):
    return [name for part in worker._partitions.values() for name in part.engine.tenants]


def stored(config):
    kept = read_back(config, range(PARTITIONS))
    return {name for found in kept.values() for name, k in found.items() if k.ground}


def test_a_worker_that_stops_stores_all_of_them(config, worker):
    worker.stop()
    assert len(stored(config)) == TENANTS


def test_those_that_came_together_are_stored_one_portion_after_another(config, worker, monkeypatch):
    monkeypatch.setattr("pipeline.runtime.kafka.partition.SNAPSHOT_SECONDS", 0.0)
    seen = []

    def step():
        before = len(stored(config))
        worker.step(timeout_ms=10)
        seen.append(len(stored(config)) - before)

    until(lambda: sum(seen) == TENANTS, step)
    # A second of storing, and the tenant that it ends in.
    assert max(seen) <= 1.0 / STORING_SECONDS + 1
