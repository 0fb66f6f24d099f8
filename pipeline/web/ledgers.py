"""Connections to a ledger for many threads, opened when they are first needed."""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.ledger.checking import check_pages
from pipeline.ledger.reading import Reader
from pipeline.ledger.trouble import DamagedError
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# More would wait for the two or four processors anyway.
_CONNECTIONS: Final = 4
_WAIT_SECONDS: Final = 10.0
# A quarter of a second reads 500 MB that lie in memory; whoever looks must not wait for more.
_LOOK_SECONDS: Final = 2.0


class _Held(NamedTuple):
    """A connection, and which file it is to."""

    reader: Reader
    inode: int


class Readers:
    """A few connections, each used by one thread at a time.

    Args:
        path: of the ledger.

    Attributes:
        damage: what is wrong with the ledger for good, as far as anybody has met it; else None.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage: str | None = None
        self._free: queue.LifoQueue[_Held | None] = queue.LifoQueue()
        for _ in range(_CONNECTIONS):
            self._free.put(None)
        self._closed = threading.Event()

    @contextmanager
    def borrow(self) -> Iterator[Reader]:
        """A connection for the length of the block.

        Raises:
            RetriableError: all are in use for long, or the ledger cannot be read now.
            DamagedError: the ledger is damaged.
            StateError, FatalError: it cannot be opened.
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
        except DamagedError as error:
            self.damage = str(error)
            raise
        except sqlite3.DatabaseError as error:
            raise RetriableError(
                f"{self._path}: cannot be read ({error})", retry_after=5.0
            ) from error
        finally:
            self._free.put(kept)

    def look(self, *, thorough: bool) -> None:
        """Find out whether the ledger can be read, before anybody asks for something of it.

        Args:
            thorough: look at all pages, for two seconds at most; else at what a first page
                shows. Damage that is known is looked after thoroughly: it may be mended.

        Raises:
            OutriderError: as from :meth:`borrow`.
        """
        if thorough or self.damage is not None:
            try:
                check_pages(self._path, _LOOK_SECONDS)
            except DamagedError as error:
                self.damage = str(error)
                raise
        with self.borrow() as reader:
            reader.front(now=datetime.now(UTC))
            reader.open_incidents(limit=1)
        self.damage = None

    def _fresh(self, held: _Held | None) -> _Held:
        """A connection to the file that has the name now: a run may have begun anew.

        One to a file that was at rest is good for one look: a run may have started since.
        """
        try:
            inode = self._path.stat().st_ino
        except OSError:
            inode = 0
        if held is not None and held.inode == inode and not held.reader.frozen:
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
