"""One run at a time on a ledger: two would tell the same incidents twice."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pipeline.ledger.trouble import kind_of
from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    from pathlib import Path


def hold(ledger: Path) -> sqlite3.Connection:
    """Lock a ledger against other runs until the connection is closed or the process ends.

    The lock is that of an empty SQLite file beside it: the system lets go of it however the
    process ends, and the ledger itself stays free for readers and short writes.

    Raises:
        FatalError: another run holds it, or the file cannot be made or is none.
    """
    path = lock_of(ledger)
    try:
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.DatabaseError as error:
        raise _no_lock(path, error) from error
    try:
        db.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        db.close()
        if kind_of(error) == sqlite3.SQLITE_BUSY:
            raise FatalError(
                f"{ledger}: another 'outrider run' works on it; stop that one first"
            ) from error
        raise _no_lock(path, error) from error
    return db


def is_held(ledger: Path) -> bool:
    """Whether a run works on a ledger now; nothing is written.

    Raises:
        FatalError: the file of the lock cannot be read, or is none.
    """
    path = lock_of(ledger)
    if not path.exists():
        return False
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=0, uri=True)
    except sqlite3.DatabaseError as error:
        raise _no_lock(path, error) from error
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if kind_of(error) == sqlite3.SQLITE_BUSY:
            return True
        raise _no_lock(path, error) from error
    finally:
        db.close()
    return False


def lock_of(ledger: Path) -> Path:
    """The file whose lock says that a run works on a ledger."""
    return ledger.with_name(f"{ledger.name}.held")


def _no_lock(path: Path, error: sqlite3.Error) -> FatalError:
    if kind_of(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return FatalError(
            f"{path}: is not the empty file that tells that a run goes on ({error}); make sure "
            "that none does, and delete this file: it holds nothing, and the next start makes it"
        )
    return FatalError(f"{path}: {error}; check the folder and its permissions")


def begins_anew(ledger: Path) -> bool:
    """Whether a ledger is missing or empty, though something was told from its folder before."""
    told = ledger.with_name("incidents.ndjson")
    return _size(told) > 0 and _size(ledger) == 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
