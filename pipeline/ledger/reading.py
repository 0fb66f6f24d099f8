"""Looking into a ledger while a run writes it: lists by page, revisions, and sums.

A list is of one moment: it is told the number of the newest document that counts. Documents
are only ever added, with growing numbers, so that all pages of a list fit together, whatever
is written between them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.ledger.finding import Finding
from pipeline.ledger.front import FrontPage
from pipeline.ledger.showing import Place
from pipeline.ledger.shown import Shown
from pipeline.ledger.store import Ledger, Stored
from pipeline.ledger.told import Told

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS: Final = "d.seq, d.kind, d.id, d.revision, d.tenant, d.document"
# Read from the unique index of documents, one look for each row.
_LAST: Final = (
    "NOT EXISTS (SELECT 1 FROM documents n WHERE n.kind = d.kind AND n.id = d.id "
    "AND n.revision > d.revision AND n.seq <= :as_of)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which flags or incidents are listed; an empty choice takes all.

    Attributes:
        kind: ``flag`` or ``incident``.
        states, tenants, clients, verdicts: one of these; an incident has a client if any of
            its clients is that one.
        since: raised at this moment or later, seconds since 1970.
    """

    kind: str
    states: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    since: int | None = None


class Page(NamedTuple):
    """Newest first; ``rest`` is where the next page begins, None behind the last."""

    documents: list[Stored]
    rest: Place | None


class TenantCounts(NamedTuple):
    """How many flags and incidents of a tenant are in each state; ``raised``: seconds, newest."""

    tenant: str
    flags: dict[str, int]
    incidents: dict[str, int]
    raised: int


class DeadCount(NamedTuple):
    """Dead letters of one reason; ``oldest`` and ``newest`` in microseconds since 1970."""

    reason: str
    letters: int
    queued: int
    replayed: int
    oldest: int
    newest: int


class Reader(FrontPage, Shown, Told, Finding, Ledger):
    """A ledger that is only looked at; used by one thread at a time.

    Args:
        path: of the file, which must exist.

    Raises:
        StateError: the file is of another version.
        FatalError: it is missing or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, readonly=True)

    def newest_document(self) -> int:
        """Number of the newest document, 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM documents").fetchone()[0])

    def page(self, wanted: Wanted, *, as_of: int, after: Place | None, limit: int) -> Page:
        """The last revision of each flag or incident that is wanted.

        Args:
            wanted: which ones.
            as_of: documents with a greater number do not exist.
            after: where the page before ended; None = from the newest on.
            limit: at most so many.
        """
        bound: dict[str, Any] = {"kind": wanted.kind, "as_of": as_of, "limit": limit + 1}
        terms = ["d.kind = :kind", "d.seq <= :as_of"]
        if wanted.since is not None:
            terms.append("d.at >= :since")
            bound["since"] = wanted.since
        if after is not None:
            terms.append("(d.at, d.id) < (:after_at, :after_id)")
            bound |= {"after_at": after.at, "after_id": after.id}
        for column, values in (
            ("state", wanted.states),
            ("tenant", wanted.tenants),
            ("verdict", wanted.verdicts),
        ):
            if values:
                names = _bind(bound, column, values)
                terms.append(f"d.{column} IN ({', '.join(names)})")
        if wanted.clients:
            names = _bind(bound, "client", [f'"{c}"' for c in wanted.clients])
            terms.append("(" + " OR ".join(f"instr(d.clients, {n})" for n in names) + ")")
        # Values are bound; the text is made of the words above alone.
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, d.at FROM documents d INDEXED BY documents_listed "
            f"WHERE {' AND '.join(terms)} AND {_LAST} ORDER BY d.at DESC, d.id DESC LIMIT :limit",
            bound,
        ).fetchall()
        documents = [_stored(row[:6]) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(documents, None if last is None else Place(last[6], last[2]))

    def revisions(self, kind: str, name: str) -> list[Stored]:
        """Every revision of one flag or incident, the first one first; empty if there is none."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM documents d WHERE kind = ? AND id = ? ORDER BY revision",
            (kind, name),
        )
        return [_stored(row) for row in rows]

    def tenant_counts(self) -> list[TenantCounts]:
        """What there is of each tenant, by name."""
        rows = self._db.execute(
            "SELECT tenant, kind, state, count(*), max(at) FROM newest INDEXED BY newest_tenant "
            "GROUP BY tenant, kind, state ORDER BY tenant"
        )
        found: dict[str, TenantCounts] = {}
        for tenant, kind, state, count, raised in rows:
            held = found.get(tenant, TenantCounts(tenant, {}, {}, 0))
            (held.flags if kind == "flag" else held.incidents)[state or "unknown"] = count
            found[tenant] = held._replace(raised=max(held.raised, raised))
        return list(found.values())

    def dead_counts(self) -> list[DeadCount]:
        """Dead letters by reason."""
        rows = self._db.execute(
            "SELECT reason, count(*), count(queued), sum(queued IS NULL AND replayed IS NOT NULL), "
            "min(at), max(at) FROM dead GROUP BY reason ORDER BY reason"
        )
        return [DeadCount._make(row) for row in rows]

    def deliveries(self) -> dict[str, int]:
        """By destination, the documents that it has not settled yet."""
        rows = self._db.execute(
            "SELECT sink, (SELECT count(*) FROM documents WHERE documents.seq > deliveries.seq) "
            "FROM deliveries ORDER BY sink"
        )
        return {sink: int(count) for sink, count in rows}


def _bind(bound: dict[str, Any], name: str, values: tuple[str, ...] | list[str]) -> list[str]:
    names = [f"{name}_{number}" for number in range(len(values))]
    bound.update(zip(names, values, strict=True))
    return [f":{n}" for n in names]


def _stored(row: tuple[int, str, str, int, str, str]) -> Stored:
    return Stored(*row[:5], json.loads(row[5]))
