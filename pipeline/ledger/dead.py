"""The dead letters of a ledger: buried by the run, looked at and queued by a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pipeline.model.dead_letter import DOCUMENT, DeadLetter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator

# Version 1 of the ledger had neither; the index keeps the look of each step at nothing short.
ADDED_IN_VERSION_2: Final = (
    "ALTER TABLE dead ADD COLUMN sink TEXT",
    "ALTER TABLE dead ADD COLUMN headers TEXT",
    "ALTER TABLE dead ADD COLUMN queued INTEGER",
    "CREATE INDEX dead_queued ON dead (seq) WHERE queued IS NOT NULL",
)
_COLUMNS: Final = (
    "seq, at, tenant, reason, detail, place, kind, {}, sink, headers, queued, replayed"
)


class DeadLetters:
    """Part of :class:`pipeline.ledger.store.Ledger`; ``keeping`` forgets what is old."""

    _db: sqlite3.Connection

    def bury(self, letters: Iterable[DeadLetter]) -> None:
        """Keep what could not be used."""
        self._db.executemany(
            "INSERT INTO dead (at, tenant, reason, detail, place, kind, body, sink, headers) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (d.at, d.tenant, d.reason, d.detail, d.place, d.kind, d.body, d.sink, _text(d))
                for d in letters
            ],
        )

    def dead(self) -> list[DeadLetter]:
        """The dead letters with their bodies, the newest last."""
        rows = self._db.execute(f"SELECT {_COLUMNS.format('body')} FROM dead ORDER BY seq")
        return [_letter(row, bodies=True) for row in rows]

    def dead_letters(self) -> Iterator[DeadLetter]:
        """The dead letters without their bodies, one by one, the newest last."""
        rows = self._db.execute(f"SELECT {_COLUMNS.format('length(body)')} FROM dead ORDER BY seq")
        return (_letter(row, bodies=False) for row in rows)

    def dead_letter(self, seq: int) -> DeadLetter | None:
        """One letter with its body; None if there is none of that number."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS.format('body')} FROM dead WHERE seq = ?",
            (seq,),
        )
        row = rows.fetchone()
        return None if row is None else _letter(row, bodies=True)

    def queue(self, seqs: Iterable[int], at: int, *, again: bool = False) -> None:
        """Have letters tried again by the run that works on this ledger, now or when it starts.

        Those that are queued already stay so, and those that were replayed too unless ``again``.
        """
        self._db.executemany(
            "UPDATE dead SET queued = ? WHERE seq = ? AND queued IS NULL "
            "AND (replayed IS NULL OR ?)",
            [(at, seq, again) for seq in seqs],
        )

    def queued(self, sinks: Collection[str], *, messages: bool, limit: int) -> list[DeadLetter]:
        """The oldest letters that are queued, with their bodies.

        Args:
            sinks: refused by any of these.
            messages: whether messages are meant too.
            limit: at most so many.
        """
        names = ", ".join("?" * len(sinks))
        rows = self._db.execute(
            f"SELECT {_COLUMNS.format('body')} FROM dead WHERE queued IS NOT NULL "
            f"AND ((kind = ? AND sink IN ({names})) OR (kind != ? AND ?)) ORDER BY seq LIMIT ?",
            (DOCUMENT, *sinks, DOCUMENT, messages, limit),
        )
        return [_letter(row, bodies=True) for row in rows]

    def mark_replayed(self, seq: int, at: int) -> None:
        """Remember that a letter was tried again; it is queued no longer."""
        self._db.execute("UPDATE dead SET replayed = ?, queued = NULL WHERE seq = ?", (at, seq))


def _text(letter: DeadLetter) -> str | None:
    """The headers as JSON; any bytes are text in Latin-1."""
    if not letter.headers:
        return None
    return json.dumps([[name, value.decode("latin-1")] for name, value in letter.headers])


def _letter(row: tuple, *, bodies: bool) -> DeadLetter:  # type: ignore[type-arg] # of a dozen columns
    seq, at, tenant, reason, detail, place, kind, body, sink, headers, queued, replayed = row
    told = [] if headers is None else json.loads(headers)
    return DeadLetter(
        seq,
        at,
        tenant,
        reason,
        detail,
        place,
        kind,
        body if bodies else None,
        sink,
        tuple((name, value.encode("latin-1")) for name, value in told),
        queued,
        replayed,
        size=None if bodies else body,
    )
