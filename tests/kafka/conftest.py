from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from pipeline.ledger.followed import FollowedLedger
from tests.kafka.broker import Cluster, require
from tests.kafka.month import SIZE, Month
from tests.kafka.publishing import Publisher, fresh
from tests.shared import held_together, made_once


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """One real broker for all tests of a run: to start and to wait is most of what it costs."""
    require()
    with held_together(tmp_path_factory, "kafka", _start, _stop) as held:
        yield held


def _start(folder):
    own = folder / f"of-{os.getpid()}"
    own.mkdir()
    made = Cluster(own)
    made.start()
    process = made.running[0]
    process.returncode = 0  # no longer for this process alone to end
    return SimpleNamespace(servers=made.servers, pid=process.pid)


def _stop(held):
    os.kill(held.pid, signal.SIGKILL)


@pytest.fixture
def config(cluster):
    """Topics of this test alone."""
    return fresh(cluster)


@pytest.fixture
def publisher(config):
    """Writes flags and incidents as a worker would."""
    held = Publisher(config)
    yield held
    held.close()


@pytest.fixture
def ledger(tmp_path):
    """A ledger that follows the topics."""
    held = FollowedLedger(tmp_path / "followed.sqlite")
    yield held
    held.close()


@pytest.fixture(scope="session")
def month(tmp_path_factory):
    """Simulated logs, and what a backfill makes of them."""
    return made_once(tmp_path_factory, "month", lambda folder: Month(folder, **SIZE))
