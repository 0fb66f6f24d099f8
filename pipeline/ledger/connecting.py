"""Connections to files of SQLite whose errors say what to do, and the ways to open one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final, Self

from pipeline.ledger.hold import is_held
from pipeline.ledger.trouble import at_opening, kind_of, trouble
from pipeline.model.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Another process may hold the file for the length of one commit, never for this long.
BUSY_SECONDS: Final = 30.0
# What a look into a folder comes to that this user cannot write.
_NO_FOLDER: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


class Cursor(sqlite3.Cursor):
    """Rows; one that lies on a damaged page is found out only when it is fetched."""

    def execute(self, *given: Any) -> Self:
        """Run a statement."""
        self._try(super().execute, *given)
        return self

    def executemany(self, *given: Any) -> Self:
        """Run a statement for each of some rows."""
        self._try(super().executemany, *given)
        return self

    def fetchone(self) -> Any:
        """The next row, None behind the last."""
        return self._try(super().fetchone)

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        rows: list[Any] = self._try(super().fetchall)
        return rows

    def __next__(self) -> Any:
        """The next row."""
        try:
            return super().__next__()
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _try(self, do: Callable[..., Any], *given: Any) -> Any:
        try:
            return do(*given)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        held = self.connection
        assert isinstance(held, Connection)  # noqa: S101 # for the types
        return trouble(held.path, error, readonly=held.readonly) or error


class Connection(sqlite3.Connection):
    """A connection that raises what helps.

    Attributes:
        path: of the file, for the words.
        readonly: whether it is only looked at.
        frozen: the file is taken to change no more, so that what is written later may be missed.
    """

    path: Path
    readonly: bool
    frozen: bool = False

    def cursor(self, factory: Any = Cursor) -> Any:
        """A cursor whose errors say what to do.

        Raises:
            DamagedError: the file is damaged; its cursors raise this and the next two.
            PassingError: it is locked, or the disk is full or does not answer.
            FatalError: this user may not write it.
        """
        return super().cursor(factory)

    def execute(self, *given: Any) -> Any:
        """Run a statement on a cursor of its own."""
        return self.cursor().execute(*given)

    def executemany(self, *given: Any) -> Any:
        """Run a statement for each of some rows."""
        return self.cursor().executemany(*given)


def open_to_write(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Connection:
    """A connection that may write; the file is made if it is missing.

    Args:
        path: of the file; its folder exists.
        busy_seconds: how long another writer is waited for.

    Raises:
        FatalError: it cannot be opened.
    """
    try:
        return _connect(path, str(path), busy_seconds)
    except sqlite3.DatabaseError as error:
        raise at_opening(path, error, readonly=False) from error


def open_to_read(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Connection:
    """A connection that only looks, and needs no more than to read the file.

    SQLite wants to make a file for its locks beside one with a write-ahead log, also to look.
    Where it may not, a file that nobody works on is read as it lies there.

    Args:
        path: of the file, which exists.
        busy_seconds: how long a writer is waited for.

    Raises:
        DamagedError, FatalError: it cannot be opened.
        PassingError: it cannot be read now.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        try:
            return _looked(_connect(path, uri, busy_seconds, readonly=True))
        except sqlite3.DatabaseError as error:
            if kind_of(error) not in _NO_FOLDER or not _rests(path):
                raise
        db = _connect(path, f"{uri}&immutable=1", busy_seconds, readonly=True)
        db.frozen = True
        return _looked(db)
    except sqlite3.DatabaseError as error:
        raise at_opening(path, error, readonly=True) from error


def _connect(path: Path, where: str, busy_seconds: float, *, readonly: bool = False) -> Connection:
    db = sqlite3.connect(
        where,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        uri=readonly,
    )
    db.path, db.readonly = path, readonly
    return db


def _looked(db: Connection) -> Connection:
    """The same; SQLite opens a file when it is first asked for something."""
    try:
        # Past our cursor: who opens it decides what an error means.
        db.cursor(sqlite3.Cursor).execute("PRAGMA user_version").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _rests(path: Path) -> bool:
    """Whether nobody works on a file, and all that was written is in it."""
    try:
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return False
    except FileNotFoundError:
        pass
    except OSError:
        return False
    try:
        return not is_held(path)
    except (FatalError, OSError):
        return False  # who cannot look at the lock does not know
