from __future__ import annotations

import pytest

from tests.kafka.broker import Cluster, require
from tests.kafka.month import SIZE, Month
from tests.shared import made_once


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """One real broker for all tests of a process."""
    require()
    held = Cluster(tmp_path_factory.mktemp("kafka"))
    held.start()
    yield held
    held.kill()


@pytest.fixture(scope="session")
def month(tmp_path_factory):
    """Simulated logs, and what a backfill makes of them."""
    return made_once(tmp_path_factory, "month", lambda folder: Month(folder, **SIZE))
