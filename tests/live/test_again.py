"""Dead letters tried again by the embedded loop: once, in its own transaction, or told why not."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import timedelta

import pytest
import structlog

from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock, to_us
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.dead_letter import DeadLetter, LetterState
from pipeline.runtime.dead_letters import Outcome, Wish
from pipeline.runtime.health import Health
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.held import held_in, revived
from pipeline.runtime.live.messages import Kind, Message, pack_events
from pipeline.runtime.live.queueing import queue
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

CLOCK = ManualClock(MONDAY + timedelta(days=30))
ALL = Wish(every=True)
HOURS = 6


class Logs:
    """A bounded source: one hour a poll; the third hour never comes."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["hour"]
        if at == HOURS:
            return Poll((), (), {"hour": at}, finished=True)
        rows = usual(at) if at != 2 else usual(at)[:1]
        return Poll((table(rows),), (), {"hour": at + 1}, read_at=MONDAY + (at + 1) * HOUR)


class Moody:
    """A destination that refuses while it is told to."""

    def __init__(self):
        self.refuses, self.later, self.held = False, False, []

    def deliver(self, documents):
        keys = [(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents]
        if self.later:
            return Delivery([], retry_after=0.0)
        if self.refuses:
            return Delivery([], rejected=keys)
        self.held += keys
        return Delivery(keys)


def loop(ledger, sink=None, source=None):
    return Embedded(
        SETTINGS,
        ledger,
        {"logs": source or Logs()},
        {"siem": sink or Moody()},
        feeds={},
        unnamed=lambda: "t",
        clock=CLOCK,
        metrics=Metrics(),
        health=Health(),
        log=structlog.get_logger(),
    )


def play(running):
    while not running.finished or running.outstanding:
        running.step()


def lost_hour(hour=2, **changed):
    made = Message("t", Kind.EVENTS, MONDAY + (hour + 1) * HOUR, pack_events(table(usual(hour))))
    headers = changed.get("headers", tuple(made.headers()))
    return DeadLetter(
        0,
        to_us(CLOCK.now()),
        "t",
        "unreadable_message",
        "damaged",
        "message",
        "events",
        changed.get("body", made.body),
        headers=headers,
    )


def buried(path, *letters):
    ledger = Ledger(path / "ledger.sqlite")
    with ledger.transaction():
        ledger.bury(letters)
    return ledger


def ids_held(ledger):
    tail = revived(SETTINGS, held_in(ledger, "t")).ground.tail
    return Counter(i for p in tail for i in p.read().column("event_id").to_pylist())


def whole():
    return {i for h in range(HOURS) for i in table(usual(h)).column("event_id").to_pylist()}


def test_a_running_loop_takes_a_queued_message_at_its_next_step(tmp_path):
    ledger = buried(tmp_path, lost_hour())
    running = loop(ledger)
    for _ in range(3):
        running.step()
    assert ledger.dead()[0].state is LetterState.WAITING
    (tried,) = queue(Ledger(ledger.path), ALL, SETTINGS, CLOCK)
    assert tried.outcome is Outcome.QUEUED
    running.step()
    assert ledger.dead()[0].state is LetterState.REPLAYED
    play(running)
    assert set(ids_held(ledger)) == whole()


def test_a_finished_run_takes_what_was_queued_before_it_ends(tmp_path):
    ledger = buried(tmp_path, *(lost_hour() for _ in range(120)))
    play(loop(ledger))
    queue(ledger, ALL, SETTINGS, CLOCK)
    running = loop(ledger)
    assert running.outstanding
    play(running)
    assert {d.state for d in ledger.dead()} == {LetterState.REPLAYED}
    assert set(ids_held(ledger)) == whole()


class KilledError(BaseException):
    """As kill -9: nothing catches it."""


@pytest.mark.parametrize("where", ["queued", "journal", "mark_replayed", "put_cursor", "commit"])
def test_killed_at_any_point_a_message_is_replayed_once(tmp_path, where):
    buried(tmp_path, lost_hour()).close()
    count, fatal = itertools.count(1), {1, 2, 3, 5, 8}

    class Fragile(Ledger):
        def __getattribute__(self, name):
            if name == where and next(count) in fatal:
                raise KilledError
            return super().__getattribute__(name)

        def transaction(self):
            if where == "commit" and next(count) in fatal:
                raise KilledError
            return super().transaction()

    killed = 0
    queue(Ledger(tmp_path / "ledger.sqlite"), ALL, SETTINGS, CLOCK)
    for _ in range(30):
        ledger = Fragile(tmp_path / "ledger.sqlite")
        try:
            play(loop(ledger))
            break
        except KilledError:
            killed += 1
        finally:
            ledger.close()
    assert killed
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert [d.state for d in ledger.dead()] == [LetterState.REPLAYED]
    assert set(ids_held(ledger)) == whole()
    body = lost_hour().body
    assert [m.body for m in ledger.journalled("t", 0)].count(body) == 1


def test_a_message_that_still_cannot_be_read_becomes_a_letter_again_and_stops_nothing(tmp_path):
    ledger = buried(tmp_path, lost_hour(body=b"no arrow"), lost_hour(headers=(("kind", b"x"),)))
    assert {t.outcome for t in queue(ledger, ALL, SETTINGS, CLOCK)} == {Outcome.UNREADABLE}
    forced = Wish(every=True, force=True)
    assert {t.outcome for t in queue(ledger, forced, SETTINGS, CLOCK)} == {Outcome.QUEUED}
    play(loop(ledger))
    states = Counter(d.state for d in ledger.dead())
    assert states == {LetterState.REPLAYED: 2, LetterState.WAITING: 2}
    play(loop(ledger))  # what is in the journal can be taken in again
    assert len(ledger.dead()) == 4


def test_what_was_replayed_is_refused_unless_it_is_wanted_again(tmp_path):
    ledger = buried(tmp_path, lost_hour())
    named = Wish(ids=("1",))
    assert queue(ledger, named, SETTINGS, CLOCK)[0].outcome is Outcome.QUEUED
    assert "is queued" in queue(ledger, named, SETTINGS, CLOCK)[0].text
    play(loop(ledger))
    (tried,) = queue(ledger, named, SETTINGS, CLOCK)
    assert tried.outcome is Outcome.BEFORE
    (tried,) = queue(ledger, Wish(ids=("1",), again=True), SETTINGS, CLOCK)
    assert tried.outcome is Outcome.QUEUED
    play(loop(ledger))
    assert set(ids_held(ledger)) == whole()


class Long:
    """A bounded source of three days, a day a poll; the first of them is closed in the end."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["day"]
        if at == 3:
            return Poll((), (), {"day": at}, finished=True)
        rows = [r for h in range(24 * at, 24 * at + 24, 4) for r in usual(h)]
        return Poll((table(rows),), (), {"day": at + 1}, read_at=MONDAY + 24 * (at + 1) * HOUR)


def test_a_message_of_closed_days_is_kept_and_said_to_be_too_late(tmp_path):
    ledger = buried(tmp_path, lost_hour(2), lost_hour(60))
    play(loop(ledger, source=Long()))
    first, second = queue(ledger, ALL, SETTINGS, CLOCK)
    assert (first.outcome, second.outcome) == (Outcome.TOO_LATE, Outcome.QUEUED)
    assert "2026-03-03T00:00:00Z" in first.text
    queue(ledger, Wish(ids=("1",), force=True), SETTINGS, CLOCK)
    play(loop(ledger, source=Long()))
    # Forced, they change nothing, and the tenant counts them.
    assert revived(SETTINGS, held_in(ledger, "t")).ground.too_old == len(usual(2))


def refused_flag(number, sink="siem"):
    body = json.dumps({"flag_id": f"f-{number}", "revision": 1}).encode()
    return DeadLetter(
        0, 1, "t", "refused_by_sink", "refused", "ledger document 1", "document", body, sink
    )


def test_a_refused_document_goes_to_its_destination_again(tmp_path):
    ledger = buried(tmp_path, *(refused_flag(n) for n in range(60)), refused_flag(99, "other"))
    queue(ledger, ALL, SETTINGS, CLOCK)
    sink = Moody()
    play(loop(ledger, sink))  # it ends, although nobody is there for the last one
    assert sink.held == [(f"f-{n}", 1) for n in range(60)]
    states = [d.state for d in ledger.dead()]
    assert states == [LetterState.REPLAYED] * 60 + [LetterState.QUEUED]


def test_a_destination_that_refuses_again_leaves_a_letter_again(tmp_path):
    ledger, sink = buried(tmp_path, refused_flag(1)), Moody()
    sink.refuses = True
    queue(ledger, ALL, SETTINGS, CLOCK)
    play(loop(ledger, sink))
    first, second = ledger.dead()
    assert (first.state, second.state) == (LetterState.REPLAYED, LetterState.WAITING)
    assert (second.sink, second.place) == ("siem", "dead letter 1")
    assert json.loads(second.body) == json.loads(first.body)


def test_a_destination_that_asks_for_time_is_waited_for(tmp_path):
    ledger, sink = buried(tmp_path, refused_flag(1)), Moody()
    sink.later = True
    queue(ledger, ALL, SETTINGS, CLOCK)
    running = loop(ledger, sink)
    for _ in range(4):
        running.step()
    assert running.outstanding
    assert ledger.dead()[0].state is LetterState.QUEUED
    sink.later = False
    play(running)
    assert sink.held == [("f-1", 1)]
