"""One SQLite file: cursors, records on their way, state, documents, dead letters, deliveries.

Everything that belongs to one step commits in one transaction, so a run that is killed
finds either the whole step or nothing of it. Write-ahead logging lets others read meanwhile.

| table | holds |
|---|---|
| ``cursors`` | by source, where to read on |
| ``journal`` | messages that the stored state does not hold yet, in order |
| ``states``, ``parts`` | by tenant, state with the journal number it stands at |
| ``issued`` | by tenant, what has been told |
| ``documents`` | every revision of every flag and incident, in order of issue |
| ``dead`` | what could not be used, with reason and place (:mod:`pipeline.ledger.dead`) |
| ``deliveries`` | by sink, up to where it has taken the documents |
| ``days`` | by day, how far documents and letters had come (:mod:`pipeline.ledger.keeping`) |
| ``outbox``, ``threads``, ``acks``, ``silences``, ``handed`` | see :mod:`pipeline.ledger.desk` |
| ``newest``, ``hours`` and others | see :mod:`pipeline.ledger.showing_tables` |
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from pipeline.ledger.connecting import open_to_read, open_to_write
from pipeline.ledger.dead import DeadLetters
from pipeline.ledger.desk import Desk
from pipeline.ledger.hold import begins_anew, hold
from pipeline.ledger.keeping import LOG_BYTES, Keeping
from pipeline.ledger.listing import ADD
from pipeline.ledger.trouble import PassingError, at_opening, not_permitted
from pipeline.ledger.versions import LEDGER_VERSION
from pipeline.ledger.versions import STEPS as _STEPS
from pipeline.model.errors import FatalError, RetriableError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


class Stored(NamedTuple):
    """A document as it lies in the ledger: ``kind`` is ``flag`` or ``incident``."""

    seq: int
    kind: str
    id: str
    revision: int
    tenant: str
    document: dict[str, Any]


class Journalled(NamedTuple):
    """A message that the stored state may not hold yet; ``read_at`` in microseconds."""

    seq: int
    tenant: str
    kind: str
    read_at: int | None
    body: bytes


class Ledger(DeadLetters, Desk, Keeping):
    """The store of one embedded run; used by one writer and any number of readers.

    Args:
        path: of the file; made with its folder if it is missing.
        readonly: only look; the file must exist.

    Attributes:
        frozen: the file lies at rest in a folder that cannot be written; what is written to it
            from now on may be missed.

    Raises:
        StateError: the file is of another version.
        DamagedError: it is damaged, or no ledger.
        FatalError: it cannot be opened.
        RetriableError: it cannot be opened now.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._held: sqlite3.Connection | None = None
        try:
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.exists():
                raise FatalError(
                    f"{path}: no ledger here; name the folder that 'outrider run' wrote"
                )
            self._anew = not readonly and begins_anew(path)
            # A reader leaves the file as it is, whoever else works on it.
            db = open_to_read(path) if readonly else open_to_write(path)
        except PermissionError as error:
            raise not_permitted(path, error, readonly=readonly) from error
        except OSError as error:
            raise FatalError(f"{path}: {error.strerror}; choose another --state") from error
        self.frozen = db.frozen
        self._db = db
        try:
            self._prepare(readonly=readonly)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise at_opening(path, error, readonly=readonly) from error
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, readonly: bool) -> None:
        if not readonly:
            # Only a file without a table takes it; the map of pages lets the file shrink.
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
            # NORMAL would lose the last commits with the power, and with them the cursors' truth.
            self._db.execute("PRAGMA synchronous=FULL")
        version = self._version()
        if version > LEDGER_VERSION:
            raise StateError(
                f"{self.path}: ledger of version {version}, needed is {LEDGER_VERSION}; run the "
                "version that wrote it, or name another --state"
            )
        if version == LEDGER_VERSION:
            return
        if readonly:
            raise StateError(
                f"{self.path}: ledger of version {version}, needed is {LEDGER_VERSION}; start "
                "'outrider run' on it once, which makes one of the other"
            )
        self._upgrade()

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _upgrade(self) -> None:
        """Bring the file to the version of this program, or leave it as it was."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            # Another process may have been first.
            for version in range(self._version() + 1, LEDGER_VERSION + 1):
                for statement in _STEPS[version]:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={version}")
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def hold(self) -> None:
        """Be the only run that works on this ledger, until it is closed or the process ends.

        Raises:
            FatalError: another run works on it.
        """
        if self._held is None:
            self._held = hold(self.path)
        if self._anew:
            structlog.get_logger().bind(logger="ledger").warning(
                "ledger",
                outcome="made anew",
                error=f"{self.path}: was empty or missing, though incidents.ndjson beside it is "
                "not: usual levels are learned anew; if that is not meant, stop the run and put a "
                "backup of the folder in its place",
            )
            self._anew = False

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
        if self._held is not None:
            self._held.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing.

        Raises:
            RetriableError: the disk is full or the file is held; nothing was written.
            DamagedError: the file is damaged; so does every method that reads.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except (sqlite3.OperationalError, PassingError) as error:
            self._roll_back()
            self.make_room()
            raise RetriableError(
                f"{self.path}: cannot write ({_cause(error)}); free some space, the run goes on by itself",
                retry_after=10.0,
            ) from error
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read within is of one moment, whatever a run commits meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def cursor(self, source: str) -> dict[str, Any] | None:
        """Where to read a source on; None = from the start."""
        row = self._db.execute("SELECT cursor FROM cursors WHERE source = ?", (source,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put_cursor(self, source: str, cursor: dict[str, Any]) -> None:
        """Remember where to read a source on."""
        self._db.execute(
            "INSERT OR REPLACE INTO cursors VALUES (?, ?)", (source, json.dumps(cursor))
        )

    def journal(self, tenant: str, kind: str, read_at: int | None, body: bytes) -> int:
        """Keep a message until the stored state holds it; its number."""
        found = self._db.execute(
            "INSERT INTO journal (tenant, kind, read_at, body) VALUES (?, ?, ?, ?)",
            (tenant, kind, read_at, body),
        )
        return int(found.lastrowid or 0)

    def journalled(self, tenant: str, after: int) -> Iterator[Journalled]:
        """The messages of a tenant behind a number, in order."""
        rows = self._db.execute(
            "SELECT seq, tenant, kind, read_at, body FROM journal "
            "WHERE tenant = ? AND seq > ? ORDER BY seq",
            (tenant, after),
        )
        return map(Journalled._make, rows)

    def drop_journal(self, tenant: str) -> None:
        """Forget a tenant's messages that no stored state holds."""
        self._db.execute("DELETE FROM journal WHERE tenant = ?", (tenant,))

    def newest(self) -> int:
        """Number of the last message that was ever journalled."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")
        row = found.fetchone()
        return 0 if row is None else int(row[0])

    def tenants(self) -> list[str]:
        """Every tenant there is state or a message of."""
        rows = self._db.execute("SELECT tenant FROM states UNION SELECT tenant FROM journal")
        return sorted(row[0] for row in rows)

    def state(self, tenant: str) -> tuple[int, bytes] | None:
        """The stored state of a tenant and the journal number it stands at."""
        found = self._db.execute("SELECT seq, body FROM states WHERE tenant = ?", (tenant,))
        row = found.fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def parts(self, tenant: str) -> dict[str, bytes]:
        """The parts of a tenant's state, by name."""
        rows = self._db.execute("SELECT name, body FROM parts WHERE tenant = ?", (tenant,))
        return {name: bytes(body) for name, body in rows}

    def put_state(
        self, tenant: str, seq: int, body: bytes, parts: dict[str, bytes], needed: Iterable[str]
    ) -> None:
        """Store a state; messages up to ``seq`` and parts not ``needed`` are dropped."""
        self._db.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (tenant, seq, body))
        self._db.executemany(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?)",
            [(tenant, name, part) for name, part in parts.items()],
        )
        held = self._db.execute("SELECT name FROM parts WHERE tenant = ?", (tenant,))
        gone = {row[0] for row in held} - set(needed)
        self._db.executemany(
            "DELETE FROM parts WHERE tenant = ? AND name = ?", [(tenant, name) for name in gone]
        )
        self._db.execute("DELETE FROM journal WHERE tenant = ? AND seq <= ?", (tenant, seq))

    def issued(self, tenant: str) -> bytes | None:
        """What has been told of a tenant."""
        found = self._db.execute("SELECT body FROM issued WHERE tenant = ?", (tenant,)).fetchone()
        return None if found is None else bytes(found[0])

    def put_issued(self, tenant: str, body: bytes) -> None:
        """Remember what has been told."""
        self._db.execute("INSERT OR REPLACE INTO issued VALUES (?, ?)", (tenant, body))

    def add_documents(
        self, kind: str, rows: Sequence[tuple[str, int, str, str]], *, again: bool = False
    ) -> int:
        """Append documents: (id, revision, tenant, JSON); the number of those that are new.

        Args:
            kind: ``flag`` or ``incident``.
            rows: to append, in order.
            again: whether some may be there already; else the same (id, revision) is an error.
        """
        found = self._db.executemany(
            ADD.format(otherwise="OR IGNORE " if again else ""), [(kind, *row) for row in rows]
        )
        return max(found.rowcount, 0)

    def documents(
        self,
        *,
        after: int = 0,
        kind: str | None = None,
        tenant: str | None = None,
        limit: int = -1,
    ) -> list[Stored]:
        """Documents in order of issue, behind a number."""
        rows = self._db.execute(
            "SELECT seq, kind, id, revision, tenant, document FROM documents WHERE seq > ? "
            "AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR tenant = ?3) ORDER BY seq LIMIT ?4",
            (after, kind, tenant, limit),
        )
        return [Stored(s, k, i, r, t, json.loads(text)) for s, k, i, r, t, text in rows]

    def delivered(self, sink: str) -> int:
        """Number of the last document that a sink has taken."""
        found = self._db.execute("SELECT seq FROM deliveries WHERE sink = ?", (sink,)).fetchone()
        return 0 if found is None else int(found[0])

    def put_delivered(self, sink: str, seq: int) -> None:
        """Remember up to where a sink has taken the documents."""
        self._db.execute("INSERT OR REPLACE INTO deliveries VALUES (?, ?)", (sink, seq))

    def begin_deliveries(self, sinks: Iterable[str]) -> None:
        """Have sinks that are new begin behind the documents that there are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO deliveries SELECT ?, coalesce(max(seq), 0) FROM documents",
            [(name,) for name in sinks],
        )

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        names = ("journal", "states", "documents", "dead")
        return {
            name: self._db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names
        }

    def limit_pages(self, pages: int) -> None:
        """Never grow beyond so many pages of 4 KiB; further writes fail as on a full disk."""
        self._db.execute(f"PRAGMA max_page_count={int(pages)}")

    def size(self) -> int:
        """Pages in use."""
        return int(self._db.execute("PRAGMA page_count").fetchone()[0])


def _cause(error: Exception) -> str:
    """What SQLite said."""
    return str(error.__cause__ if isinstance(error, PassingError) else error)
