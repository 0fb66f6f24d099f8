"""A ledger that is filled from topics: what comes again changes nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.model.dead_letter import DeadLetter


class FollowedLedger(Ledger):
    """The store of a process that follows topics; used by one writer and any number of readers."""

    def bury_followed(self, letters: Iterable[DeadLetter]) -> None:
        """Keep letters that lie in a topic, without their bodies, each once."""
        self._db.executemany(
            "INSERT OR IGNORE INTO dead (at, tenant, reason, detail, place, kind, sink, origin) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (d.at, d.tenant, d.reason, d.detail, d.place, d.kind, d.sink, d.letter_id)
                for d in letters
            ],
        )

    def replayed_followed(self, marks: Iterable[tuple[str, int]]) -> None:
        """Remember which letters were tried again: (letter_id, microseconds since 1970)."""
        self._db.executemany(
            "UPDATE dead SET replayed = ? WHERE origin = ?", [(at, name) for name, at in marks]
        )

    @contextmanager
    def part(self) -> Iterator[None]:
        """All or nothing of what one message writes, within a transaction."""
        self._db.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # else a full disk has undone all of it
                self._db.execute("ROLLBACK TO part")
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("RELEASE part")

    def forget_letters(self, before: int) -> None:
        """Drop letters from before a moment, microseconds since 1970: the topic has, too."""
        self._db.execute("DELETE FROM dead WHERE at < ?", (before,))
