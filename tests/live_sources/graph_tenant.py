"""A tenant behind Microsoft Graph on loopback, and a collector that reads it and is killed."""

from __future__ import annotations

import json
import random
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from connectors.auth import Identity
from connectors.http.client import HttpClient
from connectors.sources.directory_audits import DirectoryAudits
from connectors.sources.graph_listing import reports_budget
from connectors.sources.graph_signins import GraphSignins
from pipeline.model.clock import parse_rfc3339
from pipeline.model.errors import RetriableError
from tests.services.entra import GRAPH_ROLES, TENANT, Entra
from tests.services.graph import AUDIENCE, SCOPE, Graph
from tests.services.server import Faults, ServiceClock, serving
from tests.unit.connectors import vendor_records as v

START = datetime(2026, 3, 19, 8, tzinfo=UTC)
TRAIL = timedelta(minutes=7)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SECRETS = (v.USER, "Adele", v.ADDRESS, "eyJ")


class Direct:
    """Signs in at Entra without a way to it."""

    def __init__(self, entra):
        self.entra = entra

    def sign_in(self, scope):
        granted = self.entra.grant(TENANT, scope.removesuffix("/.default"))
        return granted["access_token"], granted["expires_in"]


class Tenant:
    """The services, and whatever reads them; ``clock`` is theirs and ours."""

    def __init__(self, graph, clock):
        self.graph, self.clock = graph, clock
        self.budget = reports_budget(monotonic=self.seconds)
        self.ours = clock
        self.clients = []

    def seconds(self):
        return self.clock.now().timestamp()

    def client(self):
        identity = Identity(Direct(self.graph.entra), clock=self.ours)
        made = HttpClient(
            "Microsoft Graph",
            self.graph.root,
            tokens=identity,
            scope=SCOPE,
            budget=self.budget,
            clock=self.ours,
        )
        self.clients.append(made)
        return made

    def signins(self, lookback=HOUR, **options):
        return GraphSignins(
            self.client(), v.SETTINGS, lookback=lookback, clock=self.ours, **options
        )

    def audits(self, lookback=HOUR, **options):
        return DirectoryAudits(
            self.client(), v.SETTINGS, lookback=lookback, clock=self.ours, **options
        )


@contextmanager
def tenant(start=START, faults=None, **changes):
    clock = ServiceClock(start)
    entra = Entra(clock, roles={AUDIENCE: GRAPH_ROLES})
    graph = Graph(clock, entra, faults or Faults())
    for name, value in changes.items():
        assert hasattr(graph, name), name
        setattr(graph, name, value)
    with serving(graph):
        made = Tenant(graph, clock)
        yield made
        for client in made.clients:
            client.close()


def stamp(moment):
    return moment.isoformat().replace("+00:00", "Z")


def signed_in(number, at, **changes):
    """A sign-in of beta at a moment."""
    return v.sign_in(number, createdDateTime=stamp(at), **changes)


def changed(number, at, **changes):
    """A directory audit record at a moment."""
    return {
        "id": v.guid(number),
        "activityDateTime": stamp(at),
        "activityDisplayName": "Update conditional access policy",
        "category": "Policy",
        "correlationId": v.guid(number),
        "loggedByService": "Conditional Access",
        "operationType": "Update",
        "result": "success",
        "resultReason": "",
        "initiatedBy": {
            "app": None,
            "user": {"id": v.guid(50), "userPrincipalName": v.USER, "ipAddress": v.ADDRESS},
        },
        "targetResources": [{"id": v.guid(9), "displayName": "Adele Vance", "type": "User"}],
        **changes,
    }


def traffic(graph, start, hours, an_hour, seed=1):
    """Sign-ins at random times: most seen within minutes, some late, some with a second outcome.

    Returns who came with which outcome, and when that could first be seen.
    """
    noise = random.Random(seed)
    expected = {}
    for number in range(int(hours * an_hour)):
        at = start + timedelta(microseconds=noise.randrange(int(hours * 3600e6)))
        late = noise.choices(
            [noise.uniform(30, 290), noise.uniform(420, 1700), noise.uniform(1800, 7100)],
            [85, 10, 5],
        )[0]
        record = signed_in(number, at)
        graph.add("signIns", record, timedelta(seconds=late))
        expected[name_of(record)] = (at, at + timedelta(seconds=late))
        if noise.random() < 0.05:
            late += noise.uniform(0, 7100 - late)
            again = {**record, "status": {"errorCode": 50140 + record["status"]["errorCode"]}}
            graph.add("signIns", again, timedelta(seconds=late))
            expected[name_of(again)] = (at, at + timedelta(seconds=late))
    return expected


def name_of(record):
    return uuid.UUID(record["id"]).bytes, record["status"]["errorCode"]


def rows_of(polls):
    return [row for p in polls for batch in p.batches for row in batch.to_pylist()]


def names_of(polls):
    return [(row["event_id"], row["error_code"]) for row in rows_of(polls)]


class Collector:
    """Polls, keeps what it got with the cursor in one step, and is killed between the two.

    Args:
        world: the tenant.
        make: a new source, for each start of the program.
        killed: chance for each poll that it is lost.
    """

    def __init__(self, world, make, *, killed=0.0, seed=5):
        self.world, self.make = world, make
        self.killed, self.noise = killed, random.Random(seed)
        self.source, self.cursor = make(), None
        self.polls, self.errors, self.kills, self.names = [], [], 0, []

    def poll(self):
        """One poll; the time until the next."""
        try:
            poll = self.source.poll(self.cursor)
        except RetriableError as error:
            self.errors.append(error)
            return timedelta(seconds=30 if error.retry_after is None else error.retry_after)
        if self.noise.random() < self.killed:
            self.kills += 1
            self.source = self.make()
            return timedelta(seconds=2)
        self.look_at(poll)
        self.polls.append(poll)
        self.names += names_of([poll])
        self.cursor = json.loads(json.dumps(poll.cursor))
        return timedelta(0) if poll.batches else timedelta(seconds=30)

    def look_at(self, poll):
        rows = sum(b.num_rows for b in poll.batches)
        assert poll.received == rows + poll.ignored + len(poll.rejects)
        assert not poll.finished
        assert poll.complete_to <= self.world.clock.now() - TRAIL
        if self.polls:
            assert poll.complete_to >= self.polls[-1].complete_to
        at = [parse_rfc3339(t) for t in poll.cursor["at"]]
        assert at == sorted(at, reverse=True)
        assert at[0] == poll.complete_to

    def run(self, until, every=None):
        """Poll until the services' clock says ``until``."""
        while self.world.clock.now() < until:
            wait = self.poll()
            pause = wait if every is None or not wait else max(wait, every)
            self.world.clock.advance(max(pause, timedelta(milliseconds=200)))
        return self
