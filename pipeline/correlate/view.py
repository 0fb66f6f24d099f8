"""One hour of one tenant beside the hours it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.correlate.history import BLIND, U64, History, Hour, Rows, distinct, human
from pipeline.correlate.tally import AFFECTED, AUDIT_SPACE, SIGNIN_SPACE, Affected
from pipeline.model.vocabulary import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.window import Cell

DROP = "drop"
RETRY = "retry"
Plan: TypeAlias = "frozenset[tuple[Cell, str]]"
"""What to count in an hour: (cell, family of failures | DROP | RETRY)."""

ENOUGH_USERS = 10.0  # expected users below which a ratio of users says nothing


def space_of(source: Source) -> int:
    """Which kind of user id a source carries."""
    return AUDIT_SPACE if source is Source.EXCHANGE_AUDIT else SIGNIN_SPACE


@dataclass(frozen=True, slots=True)
class View:
    """One hour of one tenant beside the hours it is compared with."""

    history: History
    tenant: str
    now: Hour
    before: int

    def reference(self, source: Source) -> list[Hour]:
        """The same hour of earlier days, as far as ``source`` saw it."""
        return self.history.reference(self.now.hour, self.before, self.tenant, source)

    def human(self, hours: Iterable[Hour]) -> list[Cell]:
        """Cells of persons whose feed tells enough of the present hour."""
        found = {c for hour in hours for c in human(hour.cells, self.tenant)}
        told = self.now.completeness
        return sorted(c for c in found if told.get((c.tenant, c.source), 1.0) >= BLIND)


def ok_rows(rows: Rows) -> Rows:
    """The rows with at least one success."""
    return rows[rows["ok"] > 0]


def active_users(hours: Iterable[Hour], cells: Iterable[Cell]) -> list[U64]:
    """For each hour the distinct users who succeed in any of ``cells``."""
    cells = list(cells)
    return [distinct(h.good(c)[0] for c in cells) for h in hours]


def mean(parts: list[U64]) -> float:
    """Mean length of several arrays; 0 if there are none."""
    return sum(map(len, parts)) / len(parts) if parts else 0.0


def affected(cell: Cell, rows: Rows, hits: npt.NDArray[np.uint8], *, with_code: bool) -> Affected:
    """User-hours as affected users of one cell, each with its kind of hit."""
    out = np.empty(len(rows), AFFECTED)
    out["space"] = space_of(cell.source)
    out["hit"] = hits
    for name in ("user", "country", "network", "client_version"):
        out[name] = rows[name]
    out["code"] = rows["code"] if with_code else -1
    return out
