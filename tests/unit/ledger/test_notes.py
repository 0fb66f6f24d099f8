"""Notes of destinations: there after a restart, beside a run that writes the ledger."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from pipeline.ledger.notes import Notes
from pipeline.ledger.store import Ledger
from pipeline.model.errors import RetriableError


@pytest.fixture
def ledger(tmp_path):
    held = Ledger(tmp_path / "ledger.sqlite")
    yield held
    held.close()


def test_the_last_one_put_is_there_after_a_restart_and_only_for_its_destination(ledger):
    notes = Notes(ledger.path, "slack.oncall")
    assert notes.get("inc-1") is None
    notes.put("inc-1", {"ts": "1"})
    notes.put("inc-1", {"ts": "2"})
    notes.close()
    again = Notes(ledger.path, "slack.oncall")
    assert again.get("inc-1") == {"ts": "2"}
    assert Notes(ledger.path, "slack.other").get("inc-1") is None
    again.close()


def test_another_thread_may_use_it_while_the_ledger_is_written(ledger):
    notes, got = Notes(ledger.path, "slack.oncall"), []
    notes.put("inc-1", {"ts": "1"})

    def use():
        got.append(notes.get("inc-1"))

    with ledger.transaction():
        ledger.put_cursor("x", {"v": 1})
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(10)
    assert got == [{"ts": "1"}]
    notes.close()


def test_a_ledger_that_is_held_for_long_is_tried_again(ledger, monkeypatch):
    monkeypatch.setattr("pipeline.ledger.notes._BUSY_SECONDS", 0.05)
    notes = Notes(ledger.path, "slack.oncall")
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RetriableError, match="cannot be used now"):
        notes.put("inc-1", {"ts": "1"})
    other.execute("ROLLBACK")
    other.close()
    notes.put("inc-1", {"ts": "1"})
    notes.close()


def test_threads_that_were_quiet_for_long_are_forgotten(ledger, monkeypatch):
    notes = Notes(ledger.path, "slack.oncall")
    monkeypatch.setattr("pipeline.ledger.notes.time.time", lambda: 1_000)
    notes.put("old", {"ts": "1"})
    monkeypatch.setattr("pipeline.ledger.notes.time.time", lambda: 1_000 + 91 * 86_400)
    notes.put("new", {"ts": "2"})
    assert (notes.get("old"), notes.get("new")) == (None, {"ts": "2"})
    notes.close()
