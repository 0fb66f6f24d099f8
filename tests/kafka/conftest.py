from __future__ import annotations

import pytest

from tests.kafka.broker import Cluster, fetch, require


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """One real broker for all tests of a process."""
    require()
    fetch()
    held = Cluster(tmp_path_factory.mktemp("kafka"))
    held.start()
    yield held
    held.kill()
