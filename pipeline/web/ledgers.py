"""Connections to a ledger for many threads, opened when they are first needed."""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.ledger.reading import Reader
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# More would wait for the two or four processors anyway.
_CONNECTIONS: Final = 4
_WAIT_SECONDS: Final = 10.0


class _Held(NamedTuple):
    """A connection, and which file it is to."""

    reader: Reader
    inode: int


class Readers:
    """A few connections, each used by one thread at a time.

    Args:
        path: of the ledger.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: queue.LifoQueue[_Held | None] = queue.LifoQueue()
        for _ in range(_CONNECTIONS):
            self._free.put(None)
        self._closed = threading.Event()

    @contextmanager
    def borrow(self) -> Iterator[Reader]:
        """A connection for the length of the block.

        Raises:
            RetriableError: all are in use for long, or the ledger cannot be read now.
            StateError, FatalError: the ledger cannot be opened.
        """
        try:
            given = self._free.get(timeout=_WAIT_SECONDS)
        except queue.Empty as error:
            raise RetriableError("too many readers at a time", retry_after=5.0) from error
        kept: _Held | None = None
        try:
            held = self._fresh(given)
            try:
                yield held.reader
            except BaseException:
                held.reader.close()  # whatever state it is in
                raise
            if self._closed.is_set():
                held.reader.close()
            else:
                kept = held
        except sqlite3.DatabaseError as error:
            raise RetriableError(
                f"{self._path}: cannot be read ({error})", retry_after=5.0
            ) from error
        finally:
            self._free.put(kept)

    def _fresh(self, held: _Held | None) -> _Held:
        """A connection to the file that has the name now: a run may have begun anew."""
        try:
            inode = self._path.stat().st_ino
        except OSError:
            inode = 0
        if held is not None and held.inode == inode:
            return held
        if held is not None:
            held.reader.close()
        return _Held(Reader(self._path), inode)

    def close(self) -> None:
        """Close what is free now, and the rest when it comes back."""
        self._closed.set()
        for _ in range(_CONNECTIONS):
            try:
                held = self._free.get_nowait()
            except queue.Empty:
                return
            if held is not None:
                held.reader.close()
