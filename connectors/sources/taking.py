"""Bodies of records that a service answered, to one table of events."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connectors.normalise.intake import Intake
from connectors.sources.json_documents import DocumentReader
from connectors.sources.readable import Memory
from pipeline.model.clock import to_us

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.reject import Reject

_ODD: Final = re.compile(r"[^A-Za-z0-9$_./-]")
_LONGEST_PATH: Final = 250


class Taken:
    """Takes bodies in; received = events + ignored + rejects.

    All go through one intake: making one ready costs as much as reading a hundred records.

    Args:
        settings: of the normaliser.
        name: of the source, for rejects.
    """

    def __init__(self, settings: NormaliseSettings, name: str) -> None:
        self._intake, self._name = Intake(settings, name), name
        self._tables: list[pa.Table] = []
        self._rejects: list[Reject] = []
        self._starts: list[int] = []
        self._paths: list[str] = []
        self._given = self.ignored = 0

    @property
    def received(self) -> int:
        """Records taken."""
        return self._given + self._intake.pending

    def take(self, body: bytes, path: str, arrived: datetime | None = None) -> None:
        """Take the records of a body in.

        Args:
            body: an array or a page of records.
            path: names the body, for rejects.
            arrived: when these records became available, if that is known.
        """
        intake = self._intake
        self._starts.append(self.received)
        self._paths.append(_ODD.sub("", f"{self._name}/{path}")[:_LONGEST_PATH])
        intake.arrived(0 if arrived is None else to_us(arrived))
        for _ in DocumentReader(Memory(body, 0), intake).run():
            if intake.crowded:
                self._portion()

    def finish(self) -> tuple[list[pa.Table], list[Reject]]:
        """All events as one batch, or none; and what was set aside, each with its body."""
        self._portion()
        tables = self._tables
        if tables:
            tables = [pa.concat_tables(tables).unify_dictionaries().combine_chunks()]
        return tables, [self._placed(r) for r in self._rejects]

    def _portion(self) -> None:
        portion = self._intake.portion()
        if portion.table.num_rows:
            self._tables.append(portion.table)
        self._rejects += portion.rejects
        self._given += portion.received
        self.ignored += portion.ignored

    def _placed(self, reject: Reject) -> Reject:
        record = reject.record or 0
        at = bisect_right(self._starts, record) - 1
        return replace(reject, path=self._paths[at], record=record - self._starts[at])
