"""A ledger that is damaged says so, names itself and tells what to do; what passes is tried again."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest
import structlog

from pipeline.ledger.hold import is_held
from pipeline.ledger.known import KnownAdvisories
from pipeline.ledger.notes import Notes
from pipeline.ledger.periods import PeriodReader
from pipeline.ledger.reading import Reader, Wanted
from pipeline.ledger.store import Ledger
from pipeline.ledger.trouble import DamagedError
from pipeline.model.errors import FatalError, RetriableError
from tests.damaged import damage, fill_pages

LOOKS = {
    "cursor": lambda r: r.cursor("files"),
    "documents": lambda r: r.documents(),
    "dead": lambda r: r.dead(),
    "dead letters": lambda r: list(r.dead_letters()),
    "queued": lambda r: r.queued((), messages=True, limit=9),
    "stale": lambda r: r.stale(9),
    "journal": lambda r: list(r.journalled("t", 0)),
    "page": lambda r: r.page(Wanted("incident"), as_of=10**6, after=None, limit=500),
    "tenants": lambda r: r.tenants(),
    "all of a report": lambda r: list(r.last_incidents()),
}


@pytest.fixture
def path(tmp_path):
    return fill_pages(tmp_path / "ledger.sqlite")


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_at_a_damaged_ledger_names_it_and_says_what_to_do(path, look):
    damage(path)
    reader = PeriodReader(path)
    with pytest.raises(DamagedError) as told:
        LOOKS[look](reader)
    text = str(told.value)
    assert text.startswith(f"{path}: is damaged")
    assert "malformed" in text
    for word in ("backup", "-wal", "start anew", "acknowledgements", "learned anew"):
        assert word in text
    with pytest.raises(DamagedError), reader.reading():
        LOOKS[look](reader)
    reader.close()


def test_a_write_to_a_damaged_ledger_says_so_and_is_not_tried_again(path):
    damage(path, pages=range(80, 300))
    ledger = Ledger(path)
    row = ("inc-5", 1, "t", "{}")
    with pytest.raises(DamagedError, match="sqlite: is damaged"), ledger.transaction():
        ledger.add_documents("incident", [row], again=True)
    assert not ledger._db.in_transaction
    with ledger.transaction():
        ledger.put_cursor("files", {"at": 1})
    ledger.close()
    damage(path)
    with pytest.raises(DamagedError):
        Ledger(path)


def test_one_damaged_page_harms_what_lies_on_it_alone(path):
    damage(path, pages=range(100, 101))
    reader = Reader(path)
    assert reader.cursor("files") == {"at": 0}
    with pytest.raises(DamagedError):
        reader.documents()
    reader.close()


def test_what_is_no_ledger_at_all_says_so(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(random.Random(1).randbytes(20_000))
    for opened in (Ledger, Reader):
        with pytest.raises(DamagedError, match="file is not a database"):
            opened(path)


def test_a_ledger_of_topics_is_filled_again(tmp_path):
    path = fill_pages(tmp_path / "followed.sqlite")
    damage(path)
    with pytest.raises(DamagedError, match="filled again from the topics"):
        Reader(path).documents()


def test_destinations_know_no_advisory_of_a_damaged_ledger_and_hear_of_their_notes(path):
    damage(path)
    known = KnownAdvisories(path)
    assert len(known) == 0
    assert "EX1" not in known
    with pytest.raises(DamagedError):
        Notes(path, "slack.team").put("n", {})


def test_what_passes_is_tried_again(path):
    ledger = Ledger(path)
    ledger._db.execute("PRAGMA busy_timeout=10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told = r"cannot write \(database is locked\)"
    with pytest.raises(RetriableError, match=told), ledger.transaction():
        raise AssertionError
    with pytest.raises(RetriableError, match="locked"):
        ledger.put_cursor("files", {})
    other.execute("ROLLBACK")
    other.close()
    ledger.limit_pages(ledger.size())
    with pytest.raises(RetriableError, match="full"), ledger.transaction():
        ledger.journal("t", "events", 1, bytes(100_000))
    with ledger.transaction():
        ledger.put_cursor("files", {})
    ledger.close()


def test_a_lock_that_is_none_is_named_and_may_be_deleted(path):
    lock = path.with_name("ledger.sqlite.held")
    lock.write_bytes(random.Random(2).randbytes(9_000))
    ledger = Ledger(path)
    with pytest.raises(FatalError, match=r"ledger\.sqlite\.held: is not the empty file.*delete"):
        ledger.hold()
    with pytest.raises(FatalError, match="delete this file"):
        is_held(path)
    lock.unlink()
    ledger.hold()
    assert is_held(path)
    ledger.close()
    assert not is_held(path)


def test_words_that_are_no_text_any_more_are_damage(path):
    ledger = Ledger(path)
    ledger._db.execute("UPDATE documents SET document = CAST(x'fffe80' AS TEXT) WHERE seq = 1")
    with pytest.raises(DamagedError):
        ledger.documents()
    ledger.close()


def test_the_rest_of_the_ledger_is_as_it_was(path):
    reader = Reader(path)
    assert len(reader.documents()) == 400
    assert json.loads(json.dumps(reader.counts()))["documents"] == 400
    reader.close()


def test_an_empty_ledger_beside_what_was_told_is_not_taken_for_new_in_silence(tmp_path):
    path = tmp_path / "ledger.sqlite"

    def started():
        with structlog.testing.capture_logs() as logs:
            ledger = Ledger(path)
            ledger.hold()
            ledger.close()
        return logs

    assert started() == []
    (tmp_path / "incidents.ndjson").write_text("{}\n")
    assert started() == []
    path.write_bytes(b"")
    (told,) = started()
    assert (told["log_level"], told["outcome"]) == ("warning", "made anew")
    assert f"{path}: was empty or missing" in told["error"]
    assert started() == []
