"""What an error of SQLite means for whoever has to act: damage, a permission, or only a moment."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FORBIDDEN: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
# The low byte is the kind of an error; the rest says more of it.
_KIND: Final = 0xFF
# A page of random bytes may still be a row; its text is found out here, without a code.
_NO_TEXT: Final = "Could not decode to UTF-8"
# By name of the file: what it costs to begin without it.
_COSTS: Final = {
    "followed.sqlite": "it is filled again from the topics, as far as they reach back",
    "notices.sqlite": "it holds who was told what: what still goes on is told again",
}
_COST: Final = (
    "usual levels are then learned anew from the logs that are still there, what still goes on is "
    "told again, and acknowledgements, silences, dead letters and the dashboard's history are gone"
)


class DamagedError(FatalError):
    """A file of SQLite is damaged; what can still be read of it does not matter to a run."""


class PassingError(RetriableError):
    """The file cannot be used now: it is locked, the disk is full or did not answer."""


def kind_of(error: sqlite3.Error) -> int:
    """The primary result code of SQLite, 0 if Python's own module raised the error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _KIND


def damaged(path: Path, told: str) -> DamagedError:
    """The error of a damaged file.

    Args:
        path: of the file.
        told: what SQLite says of it.
    """
    return DamagedError(
        f"{path}: is damaged or no ledger ({told}); stop whatever works on it and put a backup of "
        "its folder in its place, or move the file away, with -wal and -shm of its name, to start "
        f"anew: {_COSTS.get(path.name, _COST)}"
    )


def trouble(path: Path, error: sqlite3.Error, *, readonly: bool) -> OutriderError | None:
    """What to tell of an error at work on an open file; None = it is the program's own.

    Args:
        path: of the file.
        error: of SQLite.
        readonly: whether the file is only looked at, so that a write is the program's fault.
    """
    kind = kind_of(error)
    if kind in _DAMAGE or str(error).startswith(_NO_TEXT):
        return damaged(path, str(error))
    if kind in _PASSING:
        return PassingError(f"{path}: cannot be used now ({error}); try again", retry_after=10.0)
    if kind in _FORBIDDEN and not readonly:
        return _no_writer(path, str(error))
    return None


def at_opening(path: Path, error: sqlite3.Error, *, readonly: bool) -> OutriderError:
    """What to tell of an error while a file is opened; arguments as for :func:`trouble`."""
    found = trouble(path, error, readonly=False)
    if readonly and kind_of(error) in _FORBIDDEN | {sqlite3.SQLITE_CANTOPEN}:
        return _unreadable(path, error)
    if found is None and kind_of(error) == sqlite3.SQLITE_CANTOPEN:
        return _no_writer(path, str(error))
    return found or FatalError(
        f"{path}: cannot be opened as a ledger ({error}); it is as it was: run the version that "
        "wrote it, or name another folder"
    )


def not_permitted(path: Path, error: OSError, *, readonly: bool) -> FatalError:
    """The error of a file or a folder that the system keeps from this user.

    Args:
        path: of the file.
        error: of the system.
        readonly: whether it is only looked at.
    """
    return (_no_reader if readonly else _no_writer)(path, str(error.strerror))


def _no_writer(path: Path, told: str) -> FatalError:
    return FatalError(
        f"{path}: cannot be written by this user, id {os.geteuid()} ({told}); let it write the "
        f"folder {path.parent} and every file of the ledger in it, or run as the user who owns them"
    )


def _no_reader(path: Path, told: str) -> FatalError:
    return FatalError(
        f"{path}: cannot be read by this user, id {os.geteuid()} ({told}); let it enter the folder "
        "and read the file and those beside it that begin with its name"
    )


def _unreadable(path: Path, error: sqlite3.Error) -> FatalError:
    log = path.with_name(f"{path.name}-wal")
    whose = f"this user, id {os.geteuid()}"
    try:
        with path.open("rb"):
            held = log.stat().st_size if log.exists() else 0
    except OSError as refusal:
        return not_permitted(path, refusal, readonly=True)
    if held:
        return FatalError(
            f"{path}: its last changes still lie in {log.name}, and {whose}, cannot take them in "
            f"({error}); look as the user of the run, or let that one start and stop a run once"
        )
    return FatalError(
        f"{path}: cannot be read by {whose}, while another may write it ({error}); let it read the "
        "file and those beside it that begin with its name, or look as the user of the run"
    )
