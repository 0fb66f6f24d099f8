"""Whether the pages of a ledger hang together, looked at for a while only."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from pipeline.ledger.connecting import open_to_read
from pipeline.ledger.trouble import damaged

if TYPE_CHECKING:
    from pathlib import Path


def check_pages(path: Path, seconds: float) -> bool:
    """Look at every page of a ledger; False = the time was over before the last one.

    A look at 1 GB takes about a second from memory and as long as the disk needs to read it else;
    the run goes on meanwhile.

    Args:
        path: of the ledger.
        seconds: to look for at most.

    Raises:
        DamagedError: pages are damaged.
        FatalError, RetriableError: it cannot be read, or not now.
    """
    over = threading.Event()
    with closing(open_to_read(path)) as db:

        def stop() -> None:
            over.set()
            db.interrupt()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            # One fault is enough to know; to count them takes as long as to look at all.
            rows = db.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError:
            if not over.is_set():
                raise
            return False
        finally:
            timer.cancel()
            timer.join()  # it must not touch the connection any more
    # Told to stop, the look leaves pages out and takes them to be lost.
    if over.is_set():
        return False
    if rows != [("ok",)]:
        # Of the words of SQLite the last line names the page; a colon would part our own.
        raise damaged(path, str(rows[0][0]).splitlines()[-1].replace(":", ","))
    return True


def version_of(path: Path) -> int:
    """The version of a ledger, 0 = nobody has made one of the file yet.

    Args:
        path: of the ledger.

    Raises:
        FatalError, RetriableError: it cannot be read, or not now.
    """
    with closing(open_to_read(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
