"""One run at a time on a ledger: two would tell the same incidents twice."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    from pathlib import Path


def hold(ledger: Path) -> sqlite3.Connection:
    """Lock a ledger against other runs until the connection is closed or the process ends.

    The lock is that of an empty SQLite file beside it: the system lets go of it however the
    process ends, and the ledger itself stays free for readers and short writes.

    Raises:
        FatalError: another run holds it, or the file cannot be made.
    """
    path = ledger.with_name(f"{ledger.name}.held")
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise FatalError(
                f"{ledger}: another 'outrider run' works on it; stop that one first"
            ) from error
        raise FatalError(f"{path}: {error}; check the folder and its permissions") from error
    return db
