from __future__ import annotations

import itertools

import pytest

from connectors.sources.event_hubs import EventHubs
from connectors.sources.event_hubs_login import KeyLogin
from pipeline.model.clock import ManualClock
from tests.kafka.broker import require
from tests.kafka.sign_in import serving
from tests.live_sources.hub_reading import NOW
from tests.services import diagnostics as d
from tests.services.event_hubs import Namespace, connection_string

_names = itertools.count()


@pytest.fixture(scope="session")
def one_namespace(tmp_path_factory):
    """A namespace, and where an application signs in."""
    require()
    made = Namespace(tmp_path_factory.mktemp("namespace"))
    made.start()
    with serving(made.sign_in, made.certificates.server()):
        yield made
    made.end()


@pytest.fixture
def namespace(one_namespace):
    """It, as it is after other tests have changed how it signs in."""
    yield one_namespace
    sign_in = one_namespace.sign_in
    sign_in.code = sign_in.down = None
    sign_in.lifetime, sign_in.subject = 3600, "worker"


@pytest.fixture
def hub(namespace):
    """A hub of one's own, with two partitions."""
    name = f"insights-logs-signinlogs-{next(_names)}"
    namespace.make(name)
    return name


@pytest.fixture
def reader(namespace):
    """Makes sources, and closes them after the test."""
    made = []

    def make(*hubs, login=None, address=None, **options):
        options.setdefault("ca_file", namespace.certificates.ca_file)
        options.setdefault("clock", ManualClock(NOW))
        login = login or KeyLogin(connection_string)
        source = EventHubs(address or namespace.address, login, d.SETTINGS, hubs=hubs, **options)
        made.append(source)
        return source

    yield make
    for source in made:
        source.close()
