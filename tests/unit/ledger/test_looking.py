"""A look needs no more than to read: in a folder that this user cannot write, and beside a run."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.errors import FatalError
from tests.unwritable import public_folder, unwritable


@pytest.fixture
def folder():
    with public_folder() as made:
        yield made


@pytest.fixture
def ledger(folder):
    held = Ledger(folder / "ledger.sqlite")
    with held.transaction():
        held.put_cursor("files", {"at": 1})
    yield held
    held.close()


def test_a_ledger_at_rest_is_read_where_nothing_can_be_written(ledger):
    path = ledger.path
    ledger.close()
    with unwritable(path.parent):
        reader = Reader(path)
        assert reader.frozen
        assert reader.cursor("files") == {"at": 1}
        reader.close()
    assert [p.name for p in path.parent.iterdir()] == ["ledger.sqlite"]


def test_beside_a_run_the_newest_is_read(ledger):
    ledger.hold()
    with unwritable(ledger.path.parent):
        reader = Reader(ledger.path)
        assert not reader.frozen
        assert reader.cursor("files") == {"at": 1}
    ledger.put_cursor("files", {"at": 2})
    assert reader.cursor("files") == {"at": 2}
    reader.close()


def test_changes_that_are_not_in_the_file_yet_are_not_passed_over(ledger, folder):
    copy = folder / "copy"
    copy.mkdir()
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):  # as a backup of a run that goes on
        shutil.copy(folder / name, copy)
    with unwritable(copy), pytest.raises(FatalError) as told:
        Reader(copy / "ledger.sqlite")
    assert "its last changes still lie in ledger.sqlite-wal" in str(told.value)
    assert "away" not in str(told.value)


def test_a_ledger_that_a_run_holds_is_not_taken_to_rest(ledger, folder):
    path = folder / "ledger.sqlite"
    ledger.hold()
    ledger._db.close()  # between two of its writes nothing else says that it goes on
    with unwritable(folder), pytest.raises(FatalError, match="while another may write it"):
        Reader(path)
    ledger._held.close()


def test_a_file_that_may_not_be_read_is_a_matter_of_permissions(ledger, folder):
    ledger.close()
    ledger.path.chmod(0)
    with unwritable(folder):
        try:
            ledger.path.open("rb").close()
        except PermissionError:
            pass
        else:
            pytest.skip("no permission binds this user")
        with pytest.raises(FatalError) as told:
            Reader(ledger.path)
    text = str(told.value)
    assert "cannot be read by this user, id" in text
    assert "Permission denied" in text
    assert "away" not in text


def test_whoever_wants_to_write_hears_which_permission_is_needed(ledger, folder):
    ledger.close()
    with unwritable(folder), pytest.raises(FatalError) as told:
        Ledger(ledger.path)
    text = str(told.value)
    assert f"let it write the folder {folder} and every file of the ledger" in text
    assert "away" not in text
    with unwritable(folder), pytest.raises(FatalError, match="cannot be written by this user"):
        Ledger(folder / "new.sqlite")


def test_a_reader_that_writes_is_a_fault_of_the_program(ledger):
    reader = Reader(ledger.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.put_cursor("files", {})
    reader.close()
