"""What a ledger keeps for the dashboard: always the last word, found by its words, forgotten."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.ledger import store
from pipeline.ledger.cells import cells_of, states_of
from pipeline.ledger.finding import expression
from pipeline.ledger.reading import Reader
from pipeline.ledger.showing import CellState
from pipeline.ledger.store import Ledger
from tests.unit.web import large_ledger
from tests.unit.web.large_ledger import NOW, TENANT

DAY_US = 86_400_000_000


@pytest.fixture
def ledger(tmp_path):
    held = Ledger(tmp_path / "ledger.sqlite")
    yield held
    held.close()


def reading(ledger):
    return Reader(ledger.path)


def incident(revision, headline, name="inc-1", **more):
    told = {"incident_id": name, "revision": revision, "headline": headline, "state": "open"}
    told |= {"raised_at": "2026-03-19T08:00:00Z", "severity": "low", **more}
    return (name, revision, "t", json.dumps(told))


def issue(ledger, *rows, again=False):
    with ledger.transaction():
        ledger.add_documents("incident", list(rows), again=again)


def found(ledger, text):
    return [h.id for h in reading(ledger).search(text)]


def test_an_incident_is_found_by_its_last_revision_only(ledger):
    issue(ledger, incident(1, "Outlook for iOS fails in Germany"))
    assert found(ledger, "germ ios") == ["inc-1"]
    issue(ledger, incident(2, "Outlook for iOS fails in France"))
    assert found(ledger, "germany") == []
    assert found(ledger, "FRANCE") == ["inc-1"]
    (held,) = reading(ledger).open_incidents()
    assert held.revision == 2


@pytest.mark.parametrize("again", [False, True])
def test_revisions_that_come_late_or_again_do_not_replace_the_last_one(ledger, again):
    issue(ledger, incident(3, "three", severity="high"), again=again)
    issue(ledger, incident(2, "two"), again=again)
    if again:
        issue(ledger, incident(3, "three"), incident(1, "one"), again=True)
    assert found(ledger, "three") == ["inc-1"]
    assert found(ledger, "two") == []
    assert reading(ledger).front(now=NOW).open == {"high": 1}
    assert [s.id for s in ledger.stale(9)] == ["inc-1"]


def test_what_is_not_over_comes_first_by_severity_then_by_time(ledger):
    ranks = ["low", "critical", "medium", "high", "critical"]
    for n, severity in enumerate(ranks):
        at = f"2026-03-19T08:0{n}:00Z"
        issue(ledger, incident(1, "x", f"inc-{n}", severity=severity, raised_at=at))
    issue(ledger, incident(2, "x", "inc-3", severity="high", state="resolved"))
    listed = [d.id for d in reading(ledger).open_incidents()]
    assert listed == ["inc-4", "inc-1", "inc-2", "inc-0"]


def test_a_forgotten_incident_is_found_no_more(ledger):
    with ledger.transaction():
        ledger.tidy(1000 * DAY_US, keep_days=30, delivered=10**9, limit=100)
    issue(ledger, incident(1, "gone"))
    with ledger.transaction():
        ledger.put_leads(
            "t", incident="inc-1", advisory="", rows=[("", "unmatched_incident", 1, 5, None, "{}")]
        )
        ledger.tidy(1001 * DAY_US, keep_days=30, delivered=10**9, limit=100)
    issue(ledger, incident(1, "kept", "inc-2"))
    with ledger.transaction():
        ledger.tidy(1031 * DAY_US, keep_days=30, delivered=10**9, limit=100)
    assert found(ledger, "gone") == []
    assert found(ledger, "kept") == ["inc-2"]
    assert reading(ledger).leads().leads == []
    assert [s.id for s in ledger.stale(9)] == ["inc-2"]
    assert reading(ledger).front(now=NOW).states == {"open": 1}


def advisory(number, at):
    body = {"id": f"EX{number}", "hash": f"h{number}", "at": at, "words": f"word{number}"}
    return {**body, "document": json.dumps({"advisory_id": f"EX{number}"})}


def test_advisories_are_forgotten_by_when_they_came(ledger):
    with ledger.transaction():
        for number, kept in ((1, 1000), (2, 1040)):
            ledger.put_advisory(advisory(number, 5), kept * DAY_US)
            ledger.put_heard("t", f"EX{number}", f"h{number}", 5)
            ledger.put_impact(
                "t", f"EX{number}", answer="yes", over="no", users=1, document='{"answer": "yes"}'
            )
        ledger.tidy(1050 * DAY_US, keep_days=30, delivered=0, limit=100)
    assert found(ledger, "word1") == []
    assert found(ledger, "word2") == ["EX2"]
    assert [a.advisory_id for a in reading(ledger).advisories().advisories] == ["EX2"]
    for table in ("advisories", "heard", "impacts", "heads"):
        rows = ledger._db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 # our names
        assert len(rows) == 1, table


def test_a_tenant_that_nobody_judges_any_more_is_forgotten(ledger):
    cells = large_ledger.cells_of(2)
    with ledger.transaction():
        for name, kept in (("old", 1000), ("new", 1040)):
            large_ledger.put_hours(ledger, name, cells, 2, 1)
            ledger.put_now(name, large_ledger.running(cells, 1), kept * DAY_US)
    more = True
    while more:
        with ledger.transaction():
            more = ledger.tidy(1050 * DAY_US, keep_days=30, delivered=0, limit=50)
    assert [t.tenant for t in reading(ledger).now()] == ["new"]
    assert reading(ledger).lanes("old") == []
    assert len(reading(ledger).lanes("new")) == 6
    hours = ledger._db.execute("SELECT count(*), count(DISTINCT lane) FROM hours").fetchone()
    assert hours == (6 * 48, 6)


def test_a_newer_version_stands_for_the_advisory_whatever_the_order(ledger):
    with ledger.transaction():
        for number, at in ((1, 50), (2, 90), (3, 70)):
            ledger.put_advisory({**advisory(number, at), "id": "EX1"}, DAY_US)
            ledger.put_heard("t", "EX1", f"h{number}", at)
    (shown,) = reading(ledger).advisories().advisories
    assert (shown.at, shown.versions, shown.document["advisory_id"]) == (90, 3, "EX2")
    assert found(ledger, "word2") == ["EX1"]
    assert found(ledger, "word3") == []
    told = [v["advisory_id"] for v in reading(ledger).advisory("EX1").versions]
    assert told == ["EX1", "EX3", "EX2"]


def test_a_version_that_comes_behind_the_word_of_it_is_worked_out(ledger):
    with ledger.transaction():
        ledger.put_heard("t", "EX1", "h1", 5)
        for what in ledger.stale(9):
            ledger.settle_stale(what)
        ledger.put_advisory(advisory(1, 5), DAY_US)
    assert [(s.kind, s.id) for s in ledger.stale(9)] == [("advisory", "EX1")]


def fifth_version(path):
    """A ledger before anything was shown, with two revisions of an incident."""
    db = sqlite3.connect(path)
    for version in range(1, 6):
        for statement in store._STEPS[version]:
            db.execute(statement)
    for revision, headline in ((1, "first"), (2, "second")):
        db.execute(
            "INSERT INTO documents (kind, id, revision, tenant, document, at, state) "
            "VALUES ('incident', 'inc-1', ?, 't', ?, 7, 'open')",
            (revision, incident(revision, headline)[3]),
        )
    db.execute("PRAGMA user_version=5")
    db.commit()
    db.close()


def test_an_older_ledger_shows_what_it_holds(tmp_path):
    fifth_version(tmp_path / "ledger.sqlite")
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert found(ledger, "second") == ["inc-1"]
    assert found(ledger, "first") == []
    assert [s.id for s in ledger.stale(9)] == ["inc-1"]
    assert [d.revision for d in reading(ledger).open_incidents()] == [2]
    ledger.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ""),
        (" -*^:(){}\"'", ""),
        ("outlook_ios", '"outlook"* AND "ios"*'),
        ("a" * 100, f'"{"a" * 64}"*'),
        (" ".join("abcdefghijk"), " AND ".join(f'"{c}"*' for c in "abcdefgh")),
        ("Störung 故障", '"Störung"* AND "故障"*'),
    ],
)
def test_what_is_typed_becomes_words_and_nothing_else(text, told):
    assert expression(text) == told


def body(hours, **signals):
    """Running hours of one cell: by signal (observed, expected, low, high) of each hour."""
    lanes = [
        ["s", "v", "c", name, *map(list, zip(*rows, strict=True))] for name, rows in signals.items()
    ]
    cells = [["s", "v", "c", [100] * len(hours), [2] * len(hours)]]
    told = {"at": 0, "hours": [3600 * n for n in range(len(hours))], "lanes": lanes}
    return told | {"sources": {"s": hours}, "cells": cells}


USUAL = (50.0, 52.0, 40.0, 64.0)
CALM = (1.0, 1.0, 0.0, 4.0)
UNKNOWN = (50.0, None, None, None)


@pytest.mark.parametrize(
    ("complete", "signals", "state", "hour"),
    [
        ([1.0, 0.95, 0.2], {"active_users": [USUAL] * 3}, CellState.USUAL, 1),
        ([1.0, 0.95, 0.2], {"active_users": [USUAL, (10.0, *USUAL[1:]), USUAL]}, CellState.LOW, 1),
        # An hour that is not whole says nothing of who is missing, and at once who fails.
        ([1.0, 0.95, 0.2], {"active_users": [USUAL, USUAL, (0.0, *USUAL[1:])]}, CellState.USUAL, 1),
        (
            [1.0, 0.95, 0.2],
            {"active_users": [USUAL] * 3, "failure_rate": [CALM, CALM, (9.0, *CALM[1:])]},
            CellState.HIGH,
            1,
        ),
        # More users than usual are no trouble; nor are one or two who fail.
        ([1.0, 1.0, 1.0], {"active_users": [(99.0, *USUAL[1:])] * 3}, CellState.USUAL, 2),
        ([1.0, 1.0], {"failure_rate": [(2.0, 0.1, 0.0, 1.0)] * 2}, CellState.USUAL, 1),
        ([1.0, 1.0], {"active_users": [UNKNOWN] * 2}, CellState.WARMING_UP, 1),
        (
            [1.0, 1.0],
            {"active_users": [UNKNOWN] * 2, "failure_rate": [(9.0, *CALM[1:])] * 2},
            CellState.HIGH,
            1,
        ),
        ([0.01, 0.0, 0.0], {"active_users": [(0.0, *USUAL[1:])] * 3}, CellState.BLIND, 2),
        ([0.5, 0.2, 0.01], {"active_users": [(0.0, *USUAL[1:])] * 3}, CellState.USUAL, 1),
        ([1.0], {}, CellState.USUAL, 0),
    ],
)
def test_a_cell_is_what_its_newest_whole_hour_says(complete, signals, state, hour):
    made = body(complete, **signals)
    (cell,) = cells_of(made)
    assert (cell.state, int(cell.hour.timestamp()) // 3600) == (state, hour)
    assert states_of(made) == {state.value: 1}
    assert cell.failure_rate == (0.02 if "failure_rate" in signals else None)


def test_a_cell_is_warm_once_its_usual_users_are_known():
    known, new = (cells_of(body([1.0], active_users=[n]))[0] for n in (USUAL, UNKNOWN))
    assert (known.warm, new.warm) == (True, False)
    (failing,) = cells_of(body([1.0], failure_rate=[CALM]))
    assert failing.warm


def test_the_timeline_is_bounded_and_leaves_the_last_series_out(tmp_path):
    ledger = large_ledger.small(tmp_path / "ledger.sqlite")
    reader = reading(ledger)
    whole = {"since": NOW - timedelta(days=3), "until": NOW}
    assert [len(s.hour) for s in reader.timeline(TENANT, **whole, limit=2)] == [72, 72]
    # A stretch of a century is cut to what one series may hold.
    (one,) = reader.timeline(TENANT, since=datetime(1970, 1, 1, tzinfo=UTC), until=NOW)
    assert one.hour[-1] == int(NOW.timestamp()) // 3600 * 3600
    assert reader.timeline(TENANT, since=NOW, until=NOW - timedelta(days=1)) == []
    assert reader.timeline("nobody", **whole) == []
    begun = NOW.replace(minute=0)
    (part,) = reader.timeline(
        TENANT, since=begun - timedelta(minutes=90), until=begun + timedelta(minutes=1), limit=1
    )
    assert part.hour == [int(begun.timestamp()) - 3600, int(begun.timestamp())]
    ledger.close()
