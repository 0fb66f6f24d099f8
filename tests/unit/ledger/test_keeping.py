"""What a ledger forgets, and that its file gives the space back."""

from __future__ import annotations

import sqlite3

import pytest

from pipeline.ledger.keeping import DAY_US, FREE_PAGES
from pipeline.ledger.store import _STEPS, Ledger
from pipeline.model.dead_letter import DeadLetter

TODAY = 20_000
KEEP = 30


@pytest.fixture
def ledger(tmp_path):
    with_file = Ledger(tmp_path / "ledger.sqlite")
    yield with_file
    with_file.close()


def tidy(ledger, day, *, delivered=10**9, limit=100):
    with ledger.transaction():
        return ledger.tidy(day * DAY_US + 5, keep_days=KEEP, delivered=delivered, limit=limit)


def issue(ledger, *revisions, size=10):
    rows = [("inc-1", r, "t", f'{{"text": "{"x" * size}"}}') for r in revisions]
    with ledger.transaction():
        ledger.add_documents("incident", rows)


def bury(ledger, seqs, *, queued=()):
    letters = [DeadLetter(0, 5, "t", "why", "help", "place", "record", b"x") for _ in seqs]
    with ledger.transaction():
        ledger.bury(letters)
        ledger.queue(queued, 7)


def left(ledger):
    return [d.revision for d in ledger.documents()]


def test_documents_and_dead_letters_go_after_their_days(ledger):
    tidy(ledger, TODAY)
    issue(ledger, 1, 2)
    bury(ledger, [1])
    tidy(ledger, TODAY + 1)
    issue(ledger, 3)
    bury(ledger, [2])
    tidy(ledger, TODAY + KEEP)
    assert left(ledger) == [1, 2, 3]
    tidy(ledger, TODAY + KEEP + 1)
    assert left(ledger) == [3]
    assert [d.seq for d in ledger.dead()] == [2]
    tidy(ledger, TODAY + KEEP + 50)
    assert left(ledger) == []
    assert ledger.dead() == []


def test_what_a_destination_has_not_taken_stays(ledger):
    tidy(ledger, TODAY)
    issue(ledger, 1, 2, 3)
    tidy(ledger, TODAY + 1)
    tidy(ledger, TODAY + KEEP + 1, delivered=2)
    assert left(ledger) == [3]
    tidy(ledger, TODAY + KEEP + 1, delivered=3)
    assert left(ledger) == []


def test_a_letter_that_waits_for_its_turn_stays(ledger):
    tidy(ledger, TODAY)
    bury(ledger, [1, 2], queued=[2])
    tidy(ledger, TODAY + 1)
    tidy(ledger, TODAY + KEEP + 1)
    assert [d.seq for d in ledger.dead()] == [2]


def test_it_forgets_in_small_portions_and_says_whether_there_is_more(ledger):
    tidy(ledger, TODAY)
    issue(ledger, *range(1, 6))
    tidy(ledger, TODAY + 1)
    assert tidy(ledger, TODAY + KEEP + 1, limit=2)
    assert left(ledger) == [3, 4, 5]
    assert tidy(ledger, TODAY + KEEP + 1, limit=2)
    assert not tidy(ledger, TODAY + KEEP + 1, limit=2)
    assert left(ledger) == []


@pytest.mark.parametrize("wrong", [0, TODAY - 100, TODAY + 99_999])
def test_a_clock_that_is_wrong_for_a_moment_makes_nothing_old(ledger, wrong):
    for day in range(3):
        tidy(ledger, TODAY + day)
        issue(ledger, day + 1)
    if wrong < TODAY:
        tidy(ledger, wrong)
    else:  # whoever believes in it forgets, but not for ever
        with ledger.transaction():
            ledger._db.execute("INSERT INTO days VALUES (?, 3, 0)", (wrong,))
    issue(ledger, 4)
    for day in range(3, KEEP + 1):
        tidy(ledger, TODAY + day)
        assert left(ledger) == [1, 2, 3, 4]
    tidy(ledger, TODAY + KEEP + 1)
    assert left(ledger) == [2, 3, 4]


def test_what_is_issued_before_the_first_look_of_a_day_is_not_of_the_day_before(ledger):
    tidy(ledger, TODAY)
    issue(ledger, 1)
    issue(ledger, 2)  # after a pause of months, and before the next look
    tidy(ledger, TODAY + 200)
    assert left(ledger) == [1, 2]


def test_numbers_are_never_given_twice(ledger):
    tidy(ledger, TODAY)
    issue(ledger, 1, 2)
    tidy(ledger, TODAY + 1)
    tidy(ledger, TODAY + KEEP + 1)
    issue(ledger, 3)
    assert [d.seq for d in ledger.documents()] == [3]


def test_the_file_gives_its_space_back(tmp_path, ledger):
    path = tmp_path / "ledger.sqlite"
    tidy(ledger, TODAY)
    issue(ledger, *range(1, 4001), size=5000)
    tidy(ledger, TODAY + 1)
    ledger.checkpoint()
    full = path.stat().st_size
    while tidy(ledger, TODAY + KEEP + 1):
        pass
    ledger.checkpoint()
    assert path.stat().st_size < 4096 * (FREE_PAGES + 200) < full / 2


def test_a_ledger_made_before_keeps_what_it_has(tmp_path):
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        for statement in (s for version in (1, 2, 3) for s in _STEPS[version]):
            db.execute(statement)
        db.executemany(
            "INSERT INTO documents (kind, id, revision, tenant, document) VALUES (?, ?, ?, ?, ?)",
            [("incident", "inc-1", n, "t", "{}") for n in (1, 2)],
        )
        db.execute("PRAGMA user_version=3")
    db.close()
    ledger = Ledger(path)
    tidy(ledger, TODAY)
    assert left(ledger) == [1, 2]
    tidy(ledger, TODAY + KEEP)
    assert left(ledger) == []
    ledger.close()
