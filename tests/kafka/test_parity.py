"""One month of records: a backfill, an embedded run and any number of workers tell the same."""

from __future__ import annotations

import os
import time
from dataclasses import fields

import pytest
import structlog

from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.runtime.config import Config, Kafka
from pipeline.runtime.health import Health
from pipeline.runtime.judging import Settings
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.metrics import Metrics
from tests.kafka.month import LONG, Workers, consumed, each_once, final, told


def same(documents, wanted):
    found = final(documents)
    for key in ("flag_id", "incident_id"):
        assert sorted(found[key]) == sorted(wanted[key])
        for i, document in found[key].items():
            other = wanted[key][i]
            names = [f.name for f in fields(document)]
            assert [n for n in names if getattr(document, n) != getattr(other, n)] == [], i


def test_the_month_has_something_to_tell(month):
    assert len(month.wanted["incident_id"]) >= 2
    assert len(month.wanted["flag_id"]) >= 10


@pytest.mark.parametrize("scatter", [0, 11] if LONG else [11])
def test_an_embedded_run_tells_what_a_backfill_tells(month, tmp_path, scatter):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    loop = Embedded(
        Settings.of(Config(), trace_hours=0),
        ledger,
        month.sources(tmp_path / "spool", rows=16_384, scatter=scatter),
        {},
        feeds=month.feeds(),
        unnamed=lambda: "nobody",
        clock=SystemClock(),
        metrics=Metrics(),
        health=Health(),
        log=structlog.get_logger(),
    )
    while not loop.finished:
        loop.step()
    documents = [d.document for d in ledger.documents()]
    each_once(documents)
    same(documents, month.wanted)


@pytest.mark.parametrize("workers", [1, 2, 4] if LONG else [2])
def test_workers_on_kafka_tell_what_a_backfill_tells(month, cluster, tmp_path, workers):
    config = Kafka(
        servers=cluster.servers,
        prefix=f"parity-{os.getpid()}-{workers}",
        partitions=8,
        replication=1,
        snapshot_rows=20_000,
    )
    init(config)
    with Workers(tmp_path, config) as running:
        for n in range(workers):
            running.start(f"worker-{n}")
        collector = month.collector(config, tmp_path / "spool", scatter=100 + workers)
        while not collector.finished:
            collector.step()
        collector.close()
        until = time.monotonic() + (1800 if LONG else 240)
        while not consumed(config):
            assert time.monotonic() < until, running.logs()
            time.sleep(1.0)
        running.stop()
    documents = told(config)
    each_once(documents)
    same(documents, month.wanted)
