"""Everything is killed at random, brokers too, one for good: the same is told, and once.

The long version (``OUTRIDER_TEST_KILLS=200 OUTRIDER_TEST_RESTARTS=20``) is for a quiet hour;
the short one does each kind of harm at least once.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.topics import init
from tests.kafka.broker import Cluster, require
from tests.kafka.month import Workers, consumed, each_once, final, told

KILLS = int(os.environ.get("OUTRIDER_TEST_KILLS", "3"))
RESTARTS = int(os.environ.get("OUTRIDER_TEST_RESTARTS", "1"))
SEED = int(os.environ.get("OUTRIDER_TEST_SEED", "5"))
WORKERS = ("worker-a", "worker-b")
# A worker is away for longer than its session in one kill of five: others take over then.
AWAY_SECONDS = 11.0


@pytest.fixture
def trio(tmp_path):
    require()
    folder = tmp_path / "cluster"
    folder.mkdir()
    held = Cluster(folder, nodes=3)
    held.start()
    yield held
    held.kill()


def harm(chance: random.Random, running: Workers, month, trio: Cluster) -> None:
    """Kill processes and restart brokers at random moments."""
    plan = ["worker"] * KILLS + ["broker"] * RESTARTS
    chance.shuffle(plan)
    lose_after = len(plan) * 2 // 3
    lost = None
    for number, kind in enumerate(plan):
        time.sleep(chance.uniform(0.5, 4.0))
        if number == lose_after:
            lost = chance.randrange(3)
            trio.kill(lost)
        if kind == "broker":
            node = chance.choice([n for n in range(3) if n != lost])
            trio.kill(node)
            time.sleep(chance.uniform(0.0, 3.0))
            trio.start(node)
            continue
        name = chance.choice([*WORKERS, "collector"])
        if name not in running.running:
            continue
        done = running.running[name].poll() == 0
        running.kill(name)
        if chance.random() < 0.2:
            time.sleep(AWAY_SECONDS)
        if name != "collector":
            running.start(name)
        elif not done:
            running.collect(month, **SENDING)


SENDING = {"rows": 1_500, "scatter": 77, "pace": max(0.02, KILLS / 100)}


def test_whatever_is_killed_the_same_is_told_once(month, trio, tmp_path):
    config = Kafka(
        servers=trio.servers,
        prefix="chaos",
        partitions=8,
        replication=3,
        snapshot_rows=5_000,
    )
    init(config)
    with Workers(tmp_path, config) as running:
        for name in WORKERS:
            running.start(name)
        running.collect(month, **SENDING)
        harm(random.Random(SEED), running, month, trio)
        sender = running.running.pop("collector", None)
        if sender is not None:
            assert sender.wait(600) == 0, running.logs()
        until = time.monotonic() + 240 + 2 * KILLS
        while not consumed(config):
            assert time.monotonic() < until, running.logs()
            time.sleep(1.0)
        running.stop(90)
    documents = told(config)
    each_once(documents)
    found = final(documents)
    for key in ("flag_id", "incident_id"):
        assert sorted(found[key]) == sorted(month.wanted[key])
        assert found[key] == month.wanted[key]
    assert Path(tmp_path / "collector.log").exists()
