"""Incidents that come and go in a ledger, people who answer, and destinations that remember."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta

import structlog

from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock
from pipeline.model.contracts import Delivery
from pipeline.model.errors import RetriableError
from pipeline.model.notice import Ack, Silence
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.notifying import Notifier
from tests.unit.notify.playing import MONDAY, World, settings

SINKS = ("pagerduty.oncall", "slack.team", "email.list")
ROUTES = {
    "routes": {
        "pager": {"match": ["severity>=high"], "sinks": ["pagerduty.oncall"], "continue": True},
        "attack": {"match": ["verdict=attack"], "sinks": ["email.list"]},
        "groups": {
            "match": ["tenant=fabrikam"],
            "sinks": ["slack.team"],
            "group_by": ["tenant", "verdict"],
        },
        "rest": {"sinks": ["slack.team", "email.list"], "quiet_hours": ["nights"]},
    },
    "hours": {"nights": {"time_zone": "Europe/Berlin", "start": "22:00", "end": "07:00"}},
    "inhibit": {"blind": {"source": ["verdict=telemetry_gap"], "target": ["verdict=undetermined"]}},
}
LOG = structlog.wrap_logger(
    structlog.testing.CapturingLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(0),
)


class KilledError(BaseException):
    """As kill -9: nothing catches it."""


class Quick(Ledger):
    """A ledger that would lose its last commits with the power, which these tests leave on."""

    def __init__(self, path):
        super().__init__(path)
        self._db.execute("PRAGMA synchronous=OFF")


class Receiver:
    """A destination that knows a key again, as PagerDuty does; outlives whoever delivers."""

    def __init__(self, name):
        self.name, self.held, self.again = name, {}, Counter()
        self.down, self.refuses = False, set()
        self.kill = lambda: None

    def deliver(self, documents):
        if self.down:
            raise RetriableError(f"{self.name} is down", retry_after=0.0)
        accepted, rejected = [], []
        for document in documents:
            key = (document["notice_id"], document["revision"])
            if key in self.refuses:
                rejected.append(key)
                continue
            self.kill()
            if key in self.held:
                assert self.held[key] == document, "the same key, and something else"
                self.again[key] += 1
            else:
                self.held[key] = json.loads(json.dumps(document))
            accepted.append(key)
            self.kill()
        return Delivery(accepted, rejected)

    @property
    def keys(self):
        return list(self.held)

    def in_order(self):
        """Whether the revisions of each thread came in their order."""
        last = {}
        for name, revision in self.held:
            if revision <= last.get(name, 0):
                return False
            last[name] = revision
        return True


def receivers(names=SINKS):
    return {name: Receiver(name) for name in names}


def notifier(ledger, sinks, clock, section=None, **more):
    return Notifier(
        ledger,
        sinks,
        settings(ROUTES if section is None else section, tuple(sinks)),
        clock=clock,
        metrics=more.pop("metrics", None) or Metrics(),
        log=LOG,
        **more,
    )


def add(ledger, *documents):
    """New revisions, as a run commits them."""
    rows = [
        (d["incident_id"], d["revision"], d["tenants"][0], json.dumps(d, separators=(",", ":")))
        for d in documents
    ]
    with ledger.transaction():
        ledger.add_documents("incident", rows, again=True)


_NEXT = (
    {"reason": "spread", "clients": ["outlook_ios", "owa"]},
    {"reason": "severity_up", "severity": "critical"},
    {"reason": "matched"},
    {"reason": "corrected", "verdict": "attack"},
    {"reason": "corrected", "severity": "low"},
    {"reason": "recovering", "state": "recovering"},
    {"reason": "resolved", "state": "resolved"},
    {"reason": "reopened", "state": "open"},
)


def story(seed, length=60):
    """What happens, in order: (stretch, documents, answer); the same for the same seed."""
    chance, world, found = random.Random(seed), World(ROUTES), []
    for _ in range(length):
        stretch = timedelta(seconds=chance.choice([0, 1, 20, 60, 600, 3600, 4 * 3600]))
        world.now += stretch
        documents, answer = [], None
        for _ in range(chance.choice([0, 1, 1, 2, 4])):
            if world.revisions and chance.random() < 0.7:
                name = chance.choice(sorted(world.revisions))
                documents.append(world.incident(name, **chance.choice(_NEXT)))
            else:
                documents.append(
                    world.incident(
                        f"inc-{len(world.revisions)}",
                        severity=chance.choice(["low", "medium", "high", "critical"]),
                        verdict=chance.choice(
                            ["service_outage", "undetermined", "attack", "telemetry_gap"]
                        ),
                        tenants=[chance.choice(["contoso", "fabrikam"])],
                    )
                )
        if world.revisions and chance.random() < 0.2:
            name = chance.choice(sorted(world.revisions))
            answer = Ack(name, world.now, "ana", "")
        elif chance.random() < 0.1:
            ends = world.now + timedelta(hours=chance.choice([1, 8]))
            term = chance.choice(["tenant=contoso", "client=owa", "severity<=medium"])
            answer = Silence(f"sil-{len(found)}", (term,), world.now, ends, "ben", "known")
        found.append((stretch, documents, answer))
    return found


def put(ledger, documents, answer):
    """What one turn of a story brings."""
    add(ledger, *documents)
    with ledger.transaction():
        if isinstance(answer, Ack):
            ledger.put_ack(answer)
        elif answer is not None:
            ledger.put_silence(answer)


def play(path, told, sinks, ledger_class=Quick, section=None):
    """A story to its end; whoever is killed begins anew on the same ledger. The kills."""
    clock, kills, running, ledger = ManualClock(MONDAY), 0, None, None
    run = Quick(path)
    for stretch, documents, answer in told:
        clock.advance(stretch)
        put(run, documents, answer)
        while True:
            try:
                if running is None:
                    ledger = ledger_class(path)
                    running = notifier(ledger, sinks, clock, section)
                running.step()
                break
            except KilledError:
                kills, running = kills + 1, None
                ledger.close()
    ledger.close()
    run.close()
    return kills
