"""The dead letters of a ledger: kept whole, listed without bodies, queued once; old files too."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest

from pipeline.ledger import store
from pipeline.ledger.store import LEDGER_VERSION, Ledger
from pipeline.model.dead_letter import DOCUMENT, DeadLetter, LetterState
from pipeline.model.errors import FatalError, RetriableError, StateError

HEADERS = (("kind", b"events"), ("odd", bytes(range(256))))


def message(body=b"no arrow", **changed):
    held = {"headers": HEADERS, **changed}
    return DeadLetter(0, 5, "t", "unreadable_message", "damaged", "message", "events", body, **held)


def refused(sink, body=b'{"flag_id": "f-1", "revision": 2}'):
    return DeadLetter(0, 6, "t", "refused_by_sink", "no", "ledger document 3", DOCUMENT, body, sink)


@pytest.fixture
def ledger(tmp_path):
    held = Ledger(tmp_path / "ledger.sqlite")
    with held.transaction():
        held.bury([message(), refused("siem"), refused("chat")])
    yield held
    held.close()


def test_a_letter_comes_back_as_it_was_buried(ledger):
    first, second, _ = ledger.dead()
    assert first.headers == HEADERS
    assert (first.body, first.sink, first.state) == (b"no arrow", None, LetterState.WAITING)
    assert (second.sink, second.letter_id) == ("siem", "2")
    assert ledger.dead_letter(2) == second
    assert ledger.dead_letter(99) is None


def test_a_list_leaves_the_bodies_where_they_are(ledger):
    listed = list(ledger.dead_letters())
    assert [d.body for d in listed] == [None] * 3
    assert [d.document() for d in listed] == [d.document() for d in ledger.dead()]
    assert listed[0].document().body_bytes == len(b"no arrow")


def test_only_what_a_run_can_try_is_given_to_it(ledger):
    with ledger.transaction():
        ledger.queue([1, 2, 3], 70)
    assert [d.seq for d in ledger.queued((), messages=True, limit=9)] == [1]
    assert [d.seq for d in ledger.queued(["chat"], messages=False, limit=9)] == [3]
    assert [d.seq for d in ledger.queued(["chat", "siem"], messages=True, limit=2)] == [1, 2]
    assert ledger.queued((), messages=False, limit=9) == []


def test_a_letter_is_queued_once_and_again_only_on_demand(ledger):
    with ledger.transaction():
        ledger.queue([1], 70)
        ledger.queue([1], 80)
    assert ledger.dead_letter(1).queued_at == 70
    assert ledger.dead_letter(1).state is LetterState.QUEUED
    with ledger.transaction():
        ledger.mark_replayed(1, 90)
        ledger.queue([1], 91)
    replayed = ledger.dead_letter(1)
    assert (replayed.state, replayed.replayed_at) == (LetterState.REPLAYED, 90)
    with ledger.transaction():
        ledger.queue([1], 92, again=True)
    assert ledger.dead_letter(1).state is LetterState.QUEUED


def first_version(path):
    """A ledger as the first version wrote it, with one letter in it."""
    db = sqlite3.connect(path)
    db.executescript(";".join(store._STEPS[1]))
    db.execute(
        "INSERT INTO dead (at, tenant, reason, detail, place, kind, body) "
        "VALUES (1, 't', 'why', 'what', 'where', 'events', x'00ff')"
    )
    db.execute("PRAGMA user_version=1")
    db.commit()
    db.close()


def test_a_ledger_of_the_first_version_goes_on_with_its_letters(tmp_path):
    path = tmp_path / "ledger.sqlite"
    first_version(path)
    ledger = Ledger(path)
    (letter,) = ledger.dead()
    assert (letter.reason, letter.body, letter.headers) == ("why", b"\x00\xff", ())
    assert ledger._version() == LEDGER_VERSION
    with ledger.transaction():
        ledger.bury([message()])
        ledger.queue([1], 3)
    assert len(ledger.queued((), messages=True, limit=9)) == 1


def test_an_upgrade_that_fails_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    first_version(path)
    broken = {**store._STEPS, 2: (*store._STEPS[2], "CREATE NONSENSE")}
    with monkeypatch.context() as patched:
        patched.setattr(store, "_STEPS", broken)
        with pytest.raises(FatalError):
            Ledger(path)
    assert [d.reason for d in Ledger(path).dead()] == ["why"]


def test_whoever_only_looks_changes_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    first_version(path)
    with pytest.raises(StateError, match="outrider run"):
        Ledger(path, readonly=True)
    Ledger(path).close()
    looking = Ledger(path, readonly=True)
    with pytest.raises(RetriableError), looking.transaction():
        looking.bury([message()])
    assert len(looking.dead()) == 1


def test_what_is_read_together_is_of_one_moment(ledger):
    looking = Ledger(ledger.path, readonly=True)
    with looking.reading():
        before = len(looking.dead())
        with ledger.transaction():
            ledger.bury([message()])
        assert len(looking.dead()) == before
    assert len(looking.dead()) == before + 1


def test_many_may_look_while_one_writes(ledger):
    seen = []

    def look():
        looking = Ledger(ledger.path, readonly=True)
        seen.append(len(list(looking.dead_letters())))
        looking.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    with ledger.transaction():
        ledger.bury([message()])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [3] * 4


HOLD = """
import sys
from pathlib import Path
from pipeline.ledger.store import Ledger
Ledger(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_run_at_a_time_works_on_a_ledger(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FatalError, match="another 'outrider run'"):
            ledger.hold()
        assert ledger.dead() == []
    finally:
        other.kill()
        other.communicate()
    ledger.hold()
    ledger.hold()
    with pytest.raises(FatalError, match="stop that one first"):
        Ledger(path).hold()
    ledger.close()
    Ledger(path).hold()
