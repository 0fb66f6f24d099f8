"""A tenant's audit log behind the service, read as a collector reads it: restarted at every poll."""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from connectors.auth import Identity
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from connectors.normalise.intake import Intake
from connectors.normalise.settings import NormaliseSettings
from connectors.sources.activity import ActivitySource
from connectors.sources.activity_api import QUOTA_REQUESTS, QUOTA_SECONDS, ActivityApi
from connectors.sources.activity_errors import SERVICE
from pipeline.model.errors import RetriableError
from tests.services.activity import AUDIENCE, EXCHANGE, Activity
from tests.services.audit_records import ADDRESS, USER, record
from tests.services.entra import ACTIVITY_ROLES, SECRET, TENANT, Entra
from tests.services.server import ServiceClock, serving

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=TENANT)


class Granted:
    """Signs in at the service's own desk."""

    def __init__(self, entra):
        self._entra = entra

    def sign_in(self, scope):
        given = self._entra.grant(TENANT, scope.removesuffix("/.default"))
        return given["access_token"], given["expires_in"]


class Rig:
    """The service, a clock that both sides share, and sources that know nothing but a cursor."""

    def __init__(self, faults=None, *, now=NOON, lifetime=3600, **service):
        self.clock = ServiceClock(now)
        self.entra = Entra(self.clock, roles={AUDIENCE: ACTIVITY_ROLES}, lifetime=lifetime)
        self.service = Activity(self.clock, self.entra, faults, **service)
        self.tenant = TENANT
        self.tokens = Identity(Granted(self.entra), clock=self.clock)
        self.budget = self.new_budget()
        self.number = 0
        self.closing = ExitStack()

    def new_budget(self, requests=QUOTA_REQUESTS):
        return Budget(requests, QUOTA_SECONDS, SERVICE, monotonic=self.seconds)

    def seconds(self):
        return self.clock.now().timestamp()

    def api(self):
        client = HttpClient(
            SERVICE,
            self.service.root,
            tokens=self.tokens,
            scope=f"{AUDIENCE}/.default",
            budget=self.budget,
            clock=self.clock,
        )
        self.closing.callback(client.close)
        return ActivityApi(client, tenant=self.tenant)

    def make(self, **options):
        return ActivitySource(
            self.api(), SETTINGS, clock=self.clock, monotonic=self.seconds, **options
        )

    def blob(self, ago, *, count=4, kind=EXCHANGE, ids=None, late=None, **more):
        """A blob that became available so long ago; its records are of an hour before."""
        created = self.clock.now() - ago
        numbers = ids or range(self.number + 1, self.number + count + 1)
        self.number = max(self.number, *numbers)
        records = [record(n, created - HOUR - n % 7 * MINUTE) for n in numbers]
        shown = None if late is None else created + late
        return self.service.add(kind, created, records, shown=shown, **more)

    def expected(self):
        """Event ids of every record in every blob, as often as it stands there."""
        found = Counter()
        for blob in self.service.blobs.values():
            intake = Intake(SETTINGS, blob.name)
            intake.take(blob.records)
            found.update(intake.portion().table["event_id"].to_pylist())
        return found


@contextmanager
def rig(*args, **options):
    made = Rig(*args, **options)
    with serving(made.service), made.closing:
        yield made


def ids_of(poll):
    return [i for batch in poll.batches for i in batch["event_id"].to_pylist()]


class Collector:
    """Polls and keeps, each time with a new source; now and then it is killed before it keeps."""

    def __init__(self, rig, *, killed=0.0, seed=0, cursor=None, idle=120.0, **options):
        self.rig, self.cursor, self.killed, self.idle = rig, cursor, killed, idle
        self.options = options
        self.given = Counter()
        self.polls, self.errors, self.kills = [], [], 0
        self._random = random.Random(seed)

    @property
    def missing(self):
        return list(self.polls[-1].missing)

    def once(self):
        """One poll, kept; what it raised, if it did."""
        asked = json.loads(json.dumps(self.cursor))
        poll = self.rig.make(**self.options).poll(asked)
        assert asked == self.cursor, "the caller's cursor was changed"
        if self._random.random() < self.killed:
            self.kills += 1
            return None
        before = [p.complete_to for p in self.polls]
        assert not before or poll.complete_to >= before[-1]
        rows = ids_of(poll)
        assert poll.received == len(rows) + poll.ignored + len(poll.rejects)
        assert not poll.finished
        self.cursor = json.loads(json.dumps(poll.cursor))
        self.given.update(rows)
        self.polls.append(poll)
        return poll

    def until(self, end, *, check=None):
        """Go on until the clock says so."""
        while self.rig.clock.now() < end:
            try:
                poll = self.once()
            except RetriableError as error:
                self.errors.append(error)
                self.rig.clock.advance(timedelta(seconds=error.retry_after or 30))
                continue
            if check is not None:
                check()
            if poll is not None and not poll.batches:
                self.rig.clock.advance(timedelta(seconds=self.idle))

    def for_(self, time, **options):
        self.until(self.rig.clock.now() + time, **options)


def nothing_shown(*things):
    """No name, address, token or secret in what people see."""
    text = repr(things)
    for secret in (USER, "adele", "Adele", ADDRESS, SECRET, "eyJ", TENANT[:8]):
        assert secret not in text, secret
