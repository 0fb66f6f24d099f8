"""Lists of a ledger: each flag and incident once, of one moment, whatever is written meanwhile."""

from __future__ import annotations

import json
import random
import sqlite3
import threading

import pytest

from pipeline.ledger.followed import FollowedLedger
from pipeline.ledger.reading import Reader, Wanted
from pipeline.ledger.store import _STEPS, LEDGER_VERSION, Ledger
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import FatalError, StateError


def incident(name, revision=1, *, raised="2026-03-19T08:00:00Z", **more):
    told = {"incident_id": name, "revision": revision, "raised_at": raised, "state": "open"}
    told |= {"verdict": "service_outage", "clients": ["owa"], "tenants": ["t"], **more}
    return (name, revision, told["tenants"][0], json.dumps(told))


def flag(name, revision=1, **more):
    told = {"flag_id": name, "revision": revision, "raised_at": "2026-03-19T08:00:00Z"}
    told |= {"state": "open", "client": "ews", **more}
    return (name, revision, "t", json.dumps(told))


def at(hour, minute=0):
    return f"2026-03-19T{hour:02}:{minute:02}:00Z"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    held = Ledger(path)
    yield held
    held.close()


@pytest.fixture
def reader(ledger, path):
    held = Reader(path)
    yield held
    held.close()


def names(reader, wanted=None, **more):
    asked = {"as_of": reader.newest_document(), "after": None, "limit": 1000, **more}
    page = reader.page(wanted or Wanted("incident"), **asked)
    return [(d.id, d.revision) for d in page.documents]


def every(reader, as_of, limit, wanted=None):
    found, after = [], None
    while True:
        page = reader.page(wanted or Wanted("incident"), as_of=as_of, after=after, limit=limit)
        found += [(d.id, d.revision) for d in page.documents]
        if page.rest is None:
            return found
        assert page.rest != after
        after = page.rest


def test_the_last_revision_of_each_is_listed_the_newest_first(ledger, reader):
    ledger.add_documents("incident", [incident("a", raised=at(8)), incident("b", raised=at(9))])
    ledger.add_documents("incident", [incident("a", 2, raised=at(8), state="resolved")])
    ledger.add_documents("flag", [flag("f")])
    assert names(reader) == [("b", 1), ("a", 2)]
    assert names(reader, Wanted("flag")) == [("f", 1)]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"states": ("resolved",)}, ["d"]),
        ({"states": ("open", "resolved")}, ["d", "c", "b", "a"]),
        ({"tenants": ("u",)}, ["b"]),
        ({"clients": ("owa",)}, ["c", "a"]),
        ({"clients": ("ews", "owa")}, ["d", "c", "b", "a"]),
        ({"clients": ("ow",)}, []),
        ({"verdicts": ("attack",), "tenants": ("t",)}, ["c"]),
        ({"since": 1_773_910_800}, ["d", "c", "b"]),
        ({"since": 1_773_910_801}, ["d", "c"]),
        ({"tenants": ("t' OR 1=1 --", '"', "%")}, []),
    ],
)
def test_choices_narrow_a_list(ledger, reader, choice, found):
    ledger.add_documents(
        "incident",
        [
            incident("a", raised=at(8)),
            incident("b", raised=at(9), tenants=["u"], clients=["ews", "outlook_ios"]),
            incident("c", raised=at(10), verdict="attack"),
            incident("d", raised=at(11), state="resolved", clients=["ews"]),
        ],
    )
    assert [n for n, _ in names(reader, Wanted("incident", **choice))] == found


def test_a_choice_looks_at_the_last_revision_only(ledger, reader):
    ledger.add_documents("incident", [incident("a"), incident("a", 2, state="resolved")])
    assert names(reader, Wanted("incident", states=("open",))) == []
    assert names(reader, Wanted("incident", states=("open",)), as_of=1) == [("a", 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_hold_everything_once_whatever_their_size(ledger, reader, limit):
    chance = random.Random(limit)
    rows = [incident(f"i{n:02}", raised=at(chance.randrange(24))) for n in range(30)]
    ledger.add_documents("incident", rows)
    whole = names(reader)
    assert len(whole) == 30
    assert every(reader, reader.newest_document(), limit) == whole


def test_pages_are_of_the_moment_of_the_first_while_documents_arrive(ledger, reader):
    ledger.add_documents("incident", [incident(f"i{n}", raised=at(n)) for n in range(20)])
    before, as_of = names(reader), reader.newest_document()
    begun, stop = threading.Event(), threading.Event()

    def write():
        # A connection of its own: a run writes while others read.
        own, number = Ledger(ledger.path), 1
        while not stop.is_set():
            number += 1
            rows = [incident(f"i{n}", number, raised=at(n), state="resolved") for n in range(20)]
            own.add_documents("incident", [*rows, incident(f"new{number}", raised=at(23, 59))])
            begun.set()
        own.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(30)
        for limit in (1, 3, 8):
            assert every(reader, as_of, limit) == before
    finally:
        stop.set()
        thread.join()
    assert names(reader)[0][0].startswith("new")


def test_every_revision_is_found_by_name(ledger, reader):
    ledger.add_documents("incident", [incident("a", 2), incident("a"), incident("b")])
    assert [d.revision for d in reader.revisions("incident", "a")] == [1, 2]
    assert reader.revisions("incident", "a' --") == []
    assert reader.revisions("flag", "a") == []


def test_counts_by_tenant(ledger, reader):
    ledger.add_documents(
        "incident",
        [
            incident("a", raised=at(8)),
            incident("a", 2, raised=at(8), state="resolved"),
            incident("b", raised=at(9), tenants=["u"]),
        ],
    )
    ledger.add_documents("flag", [flag("f"), flag("g")])
    first, second = reader.tenant_counts()
    assert (first.tenant, first.incidents, first.flags) == ("t", {"resolved": 1}, {"open": 2})
    assert (second.tenant, second.incidents, second.flags) == ("u", {"open": 1}, {})


def test_dead_letters_are_counted_by_reason_and_by_what_became_of_them(ledger, reader):
    letters = [DeadLetter(0, n, "t", reason, "d", "p", "k") for n, reason in enumerate("aaab", 1)]
    ledger.bury(letters)
    ledger.mark_replayed(1, 9)
    ledger.mark_replayed(2, 9)
    ledger.queue([2], 10, again=True)
    first, second = reader.dead_counts()
    assert first == ("a", 3, 1, 1, 1, 3)
    assert second == ("b", 1, 0, 0, 4, 4)


def test_what_each_destination_has_not_taken(ledger, reader):
    ledger.add_documents("incident", [incident("a"), incident("b"), incident("c")])
    ledger.put_delivered("ndjson", 1)
    ledger.put_delivered("pager", 3)
    assert reader.deliveries() == {"ndjson": 2, "pager": 0}


def test_a_document_that_comes_again_changes_nothing(ledger, reader):
    assert ledger.add_documents("incident", [incident("a")], again=True) == 1
    assert ledger.add_documents("incident", [incident("a"), incident("b")], again=True) == 1
    assert len(ledger.documents()) == 2
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_documents("incident", [incident("a")])


def test_letters_of_a_topic_are_kept_once_and_forgotten_with_it(tmp_path):
    ledger = FollowedLedger(tmp_path / "followed.sqlite")
    letters = [DeadLetter(n, n, "t", "why", "d", "p", "k", b"body", partition=3) for n in (1, 2, 3)]
    for _ in range(2):
        ledger.bury_followed(letters)
    ledger.replayed_followed([("3/2", 50), ("9/9", 50)])
    held = ledger.dead()
    assert [(d.body, d.replayed) for d in held] == [(None, False), (None, True), (None, False)]
    ledger.forget_letters(3)
    assert len(ledger.dead()) == 1
    ledger.close()


def old_ledger(path, version):
    """A ledger as an older version of the program left it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    for step in range(1, version + 1):
        for statement in _STEPS[step]:
            db.execute(statement)
    db.execute(f"PRAGMA user_version={version}")
    rows = [("incident", *incident("a")), ("incident", *incident("a", 2, state="resolved"))]
    rows.append(("flag", *flag("f")))
    db.executemany(
        "INSERT INTO documents (kind, id, revision, tenant, document) VALUES (?, ?, ?, ?, ?)", rows
    )
    db.execute(
        "INSERT INTO dead (at, tenant, reason, detail, place, kind, body) "
        "VALUES (5, 't', 'why', 'd', 'p', 'record', x'00')"
    )
    db.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_an_older_version_is_brought_to_this_one(path, version):
    old_ledger(path, version)
    with pytest.raises(StateError, match="outrider run"):
        Reader(path)
    Ledger(path).close()
    reader = Reader(path)
    assert names(reader, Wanted("incident", states=("resolved",), clients=("owa",))) == [("a", 2)]
    assert names(reader, Wanted("flag", clients=("ews",))) == [("f", 1)]
    assert reader.dead_counts()[0].letters == 1
    reader.close()
    ledger = Ledger(path)
    ledger.add_documents("incident", [incident("b")])
    assert [d.id for d in ledger.documents()] == ["a", "a", "f", "b"]
    ledger.close()


def test_a_new_ledger_and_one_brought_up_have_the_same_tables(path, tmp_path):
    old_ledger(path, 1)
    Ledger(path).close()
    other = tmp_path / "new.sqlite"
    Ledger(other).close()

    def shape(file):
        db = sqlite3.connect(file)
        found = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        db.close()
        return found

    assert shape(path) == shape(other)


def test_an_upgrade_that_is_cut_off_leaves_the_ledger_as_it_was(path, monkeypatch):
    old_ledger(path, 1)
    broken = (*_STEPS[LEDGER_VERSION], "INSERT INTO nowhere VALUES (1)")
    with monkeypatch.context() as patched:
        patched.setitem(_STEPS, LEDGER_VERSION, broken)
        with pytest.raises(FatalError):
            Ledger(path)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    columns = [row[1] for row in db.execute("PRAGMA table_info(documents)")]
    assert "clients" not in columns
    db.close()
    Ledger(path).close()


def test_a_reader_changes_nothing(ledger, reader):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.put_delivered("x", 1)
