"""A tenant's audit log behind Graph's searches, read with a new source at every poll."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from connectors.auth import Identity
from connectors.http.client import HttpClient
from connectors.normalise.settings import NormaliseSettings
from connectors.sources.audit_query import AuditQuerySource
from connectors.sources.audit_query_api import SERVICE, AuditQueryApi
from pipeline.model.errors import RetriableError
from tests.live_sources.activity_case import Granted, ids_of
from tests.services.audit_queries import AUDIENCE, AuditQueries
from tests.services.audit_records import record
from tests.services.entra import GRAPH_ROLES, TENANT, Entra
from tests.services.server import ServiceClock, serving

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=TENANT)


class Rig:
    def __init__(self, faults=None, *, lifetime=3600, **service):
        self.clock = ServiceClock(NOON)
        self.entra = Entra(self.clock, roles={AUDIENCE: GRAPH_ROLES}, lifetime=lifetime)
        self.service = AuditQueries(self.clock, self.entra, faults, **service)
        self.tokens = Identity(Granted(self.entra), clock=self.clock)
        self.lookback, self.killed = DAY, 0.0
        self.cursor, self.polls, self.errors = None, [], []
        self.given = Counter()
        self._random = random.Random(7)
        self._client = None

    def api(self):
        if self._client is None:
            self._client = HttpClient(
                SERVICE,
                self.service.root,
                tokens=self.tokens,
                scope=f"{AUDIENCE}/.default",
                clock=self.clock,
            )
        return AuditQueryApi(self._client)

    def make(self):
        return AuditQuerySource(self.api(), SETTINGS, lookback=self.lookback, clock=self.clock)

    def happened(self, number, ago, *, late=HOUR, **changes):
        """A record of so long ago, in the log after ``late``."""
        at = self.clock.now() - ago
        self.service.add(record(number, at, **changes), at + late)

    def once(self):
        asked = json.loads(json.dumps(self.cursor))
        poll = self.make().poll(asked)
        assert asked == self.cursor
        if self._random.random() < self.killed:
            return
        rows = ids_of(poll)
        assert poll.received == len(rows) + poll.ignored + len(poll.rejects)
        assert not self.polls or poll.complete_to >= self.polls[-1].complete_to
        assert not poll.finished
        self.cursor = json.loads(json.dumps(poll.cursor))
        self.given.update(rows)
        self.polls.append(poll)

    def for_(self, time, *, idle=20 * SECOND):
        until = self.clock.now() + time
        while self.clock.now() < until:
            before = self.given.total()
            try:
                self.once()
            except RetriableError as error:
                self.errors.append(error)
                self.clock.advance(timedelta(seconds=error.retry_after or 30))
                continue
            if self.given.total() == before:
                self.clock.advance(idle)

    @property
    def missing(self):
        return list(self.polls[-1].missing)

    @property
    def once_each(self):
        ids = {uuid.UUID(r["Id"]).bytes for _, r in self.service.records}
        return Counter(dict.fromkeys(ids, 1))


@contextmanager
def rig(*args, **options):
    made = Rig(*args, **options)
    with serving(made.service):
        yield made
        if made._client is not None:
            made._client.close()
