"""How long a ledger keeps its history, and how its file gives space back."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Final

from pipeline.ledger.show import Showing
from pipeline.ledger.trouble import PassingError

DAY_US: Final = 86_400_000_000
# A document tells when its trouble was, not when it was issued: old logs may be followed
# today. So each day notes how far the numbers had come when it began.
ADDED_IN_VERSION_4: Final = (
    "CREATE TABLE days (day INTEGER PRIMARY KEY, document INTEGER NOT NULL, letter INTEGER NOT NULL)",
)
# Pages of 4 KiB that may lie free: the next states fill them again. Beyond, the file shrinks.
FREE_PAGES: Final = 2048
_FREED_AT_ONCE: Final = 1024
# A write-ahead log that one large commit has stretched is cut back to this.
LOG_BYTES: Final = 16 * 2**20


class Keeping(Showing):
    """Part of :class:`pipeline.ledger.store.Ledger`: forgets what is old."""

    _db: sqlite3.Connection

    def tidy(self, now: int, *, keep_days: int, delivered: int, limit: int) -> bool:
        """Forget some of what is older than ``keep_days``; whether there may be more to do.

        Letters that are queued to be tried again stay, and so do documents that a
        destination has not taken. Called inside a transaction, at least once a day.

        Args:
            now: microseconds since 1970.
            keep_days: whole days that documents and dead letters are kept.
            delivered: number up to which every destination has taken the documents.
            limit: rows of each table that go at once.
        """
        today = now // DAY_US
        cutoff = today - keep_days
        self._db.execute(
            "INSERT OR IGNORE INTO days SELECT ?, "
            "coalesce(max(seq) FILTER (WHERE name = 'documents'), 0), "
            "coalesce(max(seq) FILTER (WHERE name = 'dead'), 0) FROM sqlite_sequence",
            (today,),
        )
        # The days since must agree: a clock that was wrong for a while makes nothing old.
        day, document, letter = self._db.execute(
            "SELECT max(day) FILTER (WHERE day <= ?1), min(document), min(letter) FROM days "
            "WHERE day <= ?2 AND day >= (SELECT max(day) FROM days WHERE day <= ?1)",
            (cutoff, today),
        ).fetchone()
        gone = 0
        if day is not None:
            self._db.execute("DELETE FROM days WHERE day < ?", (day,))
            gone = max(
                self._forget("documents", min(document, delivered), "TRUE", limit),
                self._forget("dead", letter, "queued IS NULL", limit),
            )
        gone = max(gone, self.tidy_shown(now, keep_days=keep_days, limit=limit))
        return self._shrink() or gone == limit

    def _forget(self, table: str, until: int, which: str, limit: int) -> int:
        found = self._db.execute(
            f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} "
            f"WHERE seq <= ? AND {which} ORDER BY seq LIMIT ?)",
            (until, limit),
        )
        return found.rowcount

    def _shrink(self) -> bool:
        """Give some free pages back; whether there are more to give.

        A ledger made before version 4 has no map of its pages and fills them again instead.
        """
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        more = int(free) - FREE_PAGES
        (kind,) = self._db.execute("PRAGMA auto_vacuum").fetchone()
        if more <= 0 or kind != 2:
            return False
        for _ in range(min(more, _FREED_AT_ONCE)):
            # Whatever number it is given, the statement frees a page each time it is stepped,
            # and a statement without columns is stepped once.
            self._db.execute("PRAGMA incremental_vacuum(1)")
        return more > _FREED_AT_ONCE

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file and cut it off, when no reader needs it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def make_room(self) -> None:
        """Where nothing can be written: let the write-ahead log begin anew, if it can.

        The log grows to some MiB before it is moved into the file by itself; on a small disk
        that may be all the space there is.
        """
        with suppress(sqlite3.OperationalError, PassingError):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
