"""The advisories of a ledger by id, for whoever words a message on a thread of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from pipeline.ledger.connecting import open_to_read
from pipeline.model.advisory import Advisory
from pipeline.model.documents import from_json
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS: Final = 5.0


class KnownAdvisories(Mapping[str, Advisory]):
    """The newest version of each; one that cannot be read now is not known.

    Args:
        ledger: file of the ledger; it is opened for each look, of which there are few.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger

    def _ask(self, question: str, *values: str) -> list[tuple[str]]:
        try:
            db = open_to_read(self._ledger, busy_seconds=_BUSY_SECONDS)
        except OutriderError:
            return []
        try:
            found: list[tuple[str]] = db.execute(question, values).fetchall()
        except (sqlite3.OperationalError, OutriderError):
            return []
        else:
            return found
        finally:
            db.close()

    def __getitem__(self, name: str) -> Advisory:
        """The newest version of one."""
        found = self._ask(
            "SELECT document FROM advisories WHERE id = ? ORDER BY at DESC, version DESC LIMIT 1",
            name,
        )
        if not found:
            raise KeyError(name)
        try:
            return from_json(Advisory, json.loads(found[0][0]))
        except (TypeError, ValueError) as error:
            raise KeyError(name) from error

    def __iter__(self) -> Iterator[str]:
        """Their ids."""
        return iter([row[0] for row in self._ask("SELECT DISTINCT id FROM advisories ORDER BY id")])

    def __len__(self) -> int:
        """How many there are."""
        return len(list(iter(self)))

    def __bool__(self) -> bool:
        """Whether it can be asked: always."""
        return True
