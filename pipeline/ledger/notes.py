"""What destinations have to know again after a restart: by thread, one JSON object each.

A destination may be asked on another thread than the one that writes the ledger, so that this
has a connection of its own; each note commits by itself.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.connecting import open_to_write
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ADDED_FOR_NOTES: Final = (
    """CREATE TABLE notes (
    sink TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (sink, id))""",
)
# Another writer holds the ledger for the length of a commit.
_BUSY_SECONDS: Final = 30.0
# A thread that was quiet for so long begins anew.
_KEPT_SECONDS: Final = 90 * 86_400


class Notes:
    """The notes of one destination; used by one thread at a time.

    Args:
        ledger: file of the ledger, which exists.
        sink: the destination, as it is called in the configuration.
    """

    def __init__(self, ledger: Path, sink: str) -> None:
        self._ledger, self._sink = ledger, sink
        self._opened: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_to_write(self._ledger, busy_seconds=_BUSY_SECONDS)
            self._opened.execute("PRAGMA synchronous=FULL")
        return self._opened

    def get(self, notice_id: str) -> Mapping[str, Any] | None:
        """What was put last under a thread, None if nothing was.

        Raises:
            RetriableError: the ledger cannot be read now.
            DamagedError: it is damaged.
        """
        try:
            found = self._db.execute(
                "SELECT body FROM notes WHERE sink = ? AND id = ?", (self._sink, notice_id)
            ).fetchone()
        except sqlite3.OperationalError as error:
            raise self._busy(error) from error
        return None if found is None else dict(json.loads(found[0]))

    def put(self, notice_id: str, note: Mapping[str, Any]) -> None:
        """Keep a note in place of what was there; on return it outlives a crash.

        Raises:
            RetriableError: the ledger cannot be written now.
            DamagedError: it is damaged.
        """
        now = int(time.time())
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)",
                (self._sink, notice_id, now, json.dumps(dict(note))),
            )
            self._db.execute(
                "DELETE FROM notes WHERE sink = ? AND at < ?", (self._sink, now - _KEPT_SECONDS)
            )
        except sqlite3.OperationalError as error:
            raise self._busy(error) from error

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _busy(self, error: sqlite3.Error) -> RetriableError:
        return RetriableError(f"{self._ledger}: cannot be used now ({error})", retry_after=10.0)
