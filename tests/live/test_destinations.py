"""A run with destinations far away: each revision once at the SIEM, each alert opened and closed.

The services answer over HTTP as the real ones do, troubles included, and the run is ended between
its steps now and then as a kill would end it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from functools import partial

import pytest
import structlog

from connectors.sinks.pagerduty import PagerDutySink
from connectors.sinks.splunk import SplunkSink
from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock, SystemClock
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.errors import AuthError
from pipeline.notify.wording import message_of
from pipeline.runtime.config_routes import Notify
from pipeline.runtime.health import Health
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.pool import DaemonPool
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.notify_settings import notify_settings
from pipeline.runtime.notifying import Notifier
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual
from tests.services.pagerduty import ROUTING_KEY, PagerDuty
from tests.services.server import Faults, serving
from tests.services.splunk import TOKEN, Splunk

# The outage lasts two hours, and then all is well for six more.
HOURS = LEARNED + 10
# Kept to a fraction: a service that throttles asks for a second.
PATIENCE = "0"


class Logs:
    """A bounded source: the week before at once, then an hour a poll; the clock goes with it.

    Between two hours it has nothing: what there is, is judged.
    """

    def __init__(self, clock):
        self._clock = clock

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["hour"]
        if cursor is not None and not cursor["rested"]:
            now = MONDAY + at * HOUR
            return Poll((), (), {"hour": at, "rested": True}, complete_to=now, read_at=now)
        until = LEARNED if at < LEARNED else min(at + 1, HOURS)
        if at == until:
            return Poll((), (), {"hour": at, "rested": True}, finished=True)
        rows = [
            r
            for h in range(at, until)
            for r in usual(h) + (outage(h) if h - LEARNED in {2, 3} else [])
        ]
        ahead = MONDAY + until * HOUR - self._clock.now()
        self._clock.advance(max(ahead, 0 * HOUR))
        found = {"hour": until, "rested": False}
        return Poll((table(rows),), (), found, read_at=MONDAY + until * HOUR)


@pytest.fixture
def services():
    clock = SystemClock()
    faults = {"throttled": 0.05, "failing": 0.05, "hung_up": 0.03, "retry_after": PATIENCE}
    with (
        serving(Splunk(clock, Faults(seed=3, **faults))) as splunk,
        serving(PagerDuty(clock, Faults(seed=4, **faults))) as pagerduty,
    ):
        yield splunk, pagerduty


@pytest.fixture
def pool():
    made = DaemonPool(4, "test")
    yield made
    made.shutdown()


def run(ledger, clock, pool, far, people):
    log, metrics = structlog.get_logger(), Metrics()
    settings = notify_settings(Notify(), list(people))
    return Embedded(
        SETTINGS,
        ledger,
        {"logs": Logs(clock)},
        {},
        feeds={},
        unnamed=lambda: "t",
        clock=clock,
        metrics=metrics,
        health=Health(),
        log=log,
        far=far,
        pool=pool,
        notifier=Notifier(
            ledger, people, settings, pool=pool, clock=clock, metrics=metrics, log=log
        ),
    )


def test_each_revision_is_at_the_siem_once_and_the_pager_is_called_and_called_off(
    tmp_path, services, pool, monkeypatch
):
    splunk, pagerduty = services
    monkeypatch.setattr("pipeline.runtime.live.journal.SNAPSHOT_ROWS", 3_000)
    monkeypatch.setattr("pipeline.runtime.handing.AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("connectors.http.answers.RETRY_SECONDS", 0.02)
    monkeypatch.setattr("connectors.sinks.rules._RETRY_SECONDS", 0.02)
    clock, dice = ManualClock(MONDAY), random.Random(5)
    ledger = Ledger(tmp_path / "ledger.sqlite")

    def begin():
        far = {"splunk.main": SplunkSink(splunk.root, lambda: TOKEN)}
        pager = PagerDutySink(lambda: ROUTING_KEY, message_of, address=pagerduty.root)
        return run(ledger, clock, pool, far, {"pagerduty.soc": pager})

    running, began = begin(), time.monotonic()
    while not running.finished or running.outstanding:
        assert time.monotonic() - began < 120, running.problem
        running.step()
        time.sleep(0.01)
        if dice.random() < 0.01:
            running = begin()  # what was under way is answered to nobody
    documents = ledger.documents()
    wanted = {f"{d.id}:{d.revision}" for d in documents}
    assert len(wanted) > 3
    assert {e["fields"]["key"] for e in splunk.indexed} == wanted
    order = {}
    for event in splunk.indexed:
        name, _, revision = event["fields"]["key"].rpartition(":")
        order.setdefault(name, []).append(int(revision))
    for revisions in order.values():
        firsts = list(dict.fromkeys(revisions))
        assert firsts == sorted(firsts)
    outages = {d.id for d in documents if d.kind == "incident"}
    assert outages
    assert {key for key, _ in pagerduty.alerts} <= outages
    assert [state for _, state in pagerduty.alerts] == ["resolved"] * len(pagerduty.alerts)
    assert len(pagerduty.alerts) >= 1


class Refusing:
    """A destination whose token is wrong until somebody mends it."""

    def __init__(self):
        self.mended, self.held, self.asked = threading.Event(), [], 0

    def deliver(self, documents):
        self.asked += 1
        if not self.mended.is_set():
            raise AuthError("the token is refused; write a new one")
        keys = [(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents]
        self.held += keys
        return Delivery(keys)


def test_a_wrong_token_stops_nobody_is_told_and_ends_no_bounded_run_late(tmp_path, pool):
    ledger, clock = Ledger(tmp_path / "ledger.sqlite"), ManualClock(MONDAY)
    sink = Refusing()
    running = run(ledger, clock, pool, {"splunk.main": sink}, {})
    began = time.monotonic()
    while not running.done:
        assert time.monotonic() - began < 120
        running.step()
        time.sleep(0.01)
    assert "splunk.main: the token is refused" in running.problem
    assert sink.asked == 1
    sink.mended.set()
    again = run(ledger, clock, pool, {"splunk.main": sink}, {})
    while not again.done:
        again.step()
        time.sleep(0.01)
    assert Counter(sink.held) == Counter((d.id, d.revision) for d in ledger.documents())


def test_a_new_destination_begins_with_what_comes_unless_it_wants_history(tmp_path, pool):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.add_documents("flag", [("f", 1, "t", '{"flag_id": "f", "revision": 1}')])
    make = partial(Embedded, SETTINGS, ledger, {}, {}, feeds={}, unnamed=lambda: "t")
    common = {
        "clock": ManualClock(MONDAY),
        "metrics": Metrics(),
        "health": Health(),
        "log": structlog.get_logger(),
        "pool": pool,
    }
    make(far={"new": Refusing()}, **common)
    make(far={"whole": Refusing()}, history=True, **common)
    assert (ledger.delivered("new"), ledger.delivered("whole")) == (1, 0)
