"""Advisories, what they mean and who was first, as the ledger keeps them between two answers.

All of it is called in a transaction; :mod:`pipeline.runtime.live.answering` works the answers out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

# A working day's users are told from the last ten days with users.
_EXPOSED_DAYS: Final = 10
_VERSIONS: Final = 200
_REVISIONS: Final = 500


class Stale(NamedTuple):
    """What is to be worked out anew; ``kind`` is ``incident`` or ``advisory``."""

    tenant: str
    kind: str
    id: str


class Exposed(NamedTuple):
    """Users of a client on each of the last days, the oldest first; effect None = not watched."""

    service: str
    client: str
    users: list[int]
    effect: float | None


class Answers:
    """Part of :class:`pipeline.ledger.store.Ledger`."""

    _db: sqlite3.Connection

    def put_advisory(self, body: Mapping[str, Any], kept: int) -> None:
        """Keep one version of an advisory, if it is new.

        Args:
            body: its id, hash, document (``outrider.advisory/1`` as JSON), the words that it is
                found by, and the time of its last word in seconds since 1970.
            kept: now, in microseconds since 1970.
        """
        name, at = str(body["id"]), int(body["at"])
        made = self._db.execute(
            "INSERT OR IGNORE INTO advisories (hash, id, at, document) VALUES (?, ?, ?, ?)",
            (body["hash"], name, at, body["document"]),
        )
        if not made.rowcount:
            return
        version = int(made.lastrowid or 0)
        self._db.execute(
            "INSERT OR IGNORE INTO stale SELECT tenant, 'advisory', id FROM heard "
            "WHERE id = ? AND hash = ?",
            (name, body["hash"]),
        )
        row = self._db.execute("SELECT at, version FROM heads WHERE id = ?", (name,)).fetchone()
        if row is None or at >= row[0]:
            self._db.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", (name, at, version, kept)
            )
            if row is not None:
                self._db.execute("DELETE FROM search WHERE rowid = ?", (-row[1],))
            # The advisories stand behind the incidents, all tenants' being the same.
            self._db.execute(
                "INSERT INTO search (rowid, told, named, tenant) VALUES (?, ?, ?, '')",
                (-version, body["words"], name),
            )

    def put_heard(self, tenant: str, name: str, hashed: str, at: int) -> None:
        """Remember that a tenant was told a version; what it means is to be worked out."""
        made = self._db.execute(
            "INSERT OR IGNORE INTO heard VALUES (?, ?, ?, ?)", (tenant, name, hashed, at)
        )
        if made.rowcount:
            beside = self.leads_with(tenant, advisory=name)
            self.mark_stale([Stale(tenant, "advisory", name)])
            self.mark_stale(Stale(tenant, "incident", i) for i in sorted(beside))

    def mark_stale(self, what: Iterable[Stale]) -> None:
        """Have impacts and leads worked out anew."""
        self._db.executemany("INSERT OR IGNORE INTO stale VALUES (?, ?, ?)", what)

    def stale(self, limit: int) -> list[Stale]:
        """Some of what is to be worked out anew, incidents first."""
        rows = self._db.execute(
            "SELECT tenant, kind, id FROM stale ORDER BY kind = 'advisory', tenant, id LIMIT ?",
            (limit,),
        )
        return [Stale._make(row) for row in rows]

    def settle_stale(self, what: Stale) -> None:
        """Take notice that something is worked out."""
        self._db.execute("DELETE FROM stale WHERE tenant = ? AND kind = ? AND id = ?", what)

    def chain(self, incident: str) -> list[dict[str, Any]]:
        """The revisions of an incident, the first one first: the first 500 and the last."""
        rows = self._db.execute(
            "SELECT document FROM documents WHERE kind = 'incident' AND id = ?1 AND (revision <= ?2 "
            "OR revision = (SELECT revision FROM newest WHERE kind = 'incident' AND id = ?1)) "
            "ORDER BY revision",
            (incident, _REVISIONS),
        )
        return [json.loads(row[0]) for row in rows]

    def last_revision(self, incident: str) -> dict[str, Any] | None:
        """The newest revision of an incident."""
        row = self._db.execute(
            "SELECT document FROM documents JOIN newest USING (seq) "
            "WHERE newest.kind = 'incident' AND newest.id = ?",
            (incident,),
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def versions(self, name: str, tenant: str) -> list[dict[str, Any]]:
        """The newest 200 versions of an advisory that a tenant was told, the oldest first."""
        rows = self._db.execute(
            "SELECT document FROM (SELECT a.document, a.at, a.version FROM heard JOIN advisories a "
            "USING (hash) WHERE heard.tenant = ? AND heard.id = ? ORDER BY a.at DESC, "
            "a.version DESC LIMIT ?) ORDER BY at, version",
            (tenant, name, _VERSIONS),
        )
        return [json.loads(row[0]) for row in rows]

    def exposed(self, tenant: str) -> list[Exposed]:
        """Who is watched, and how well."""
        days: dict[tuple[str, str], list[int]] = {}
        rows = self._db.execute(
            "SELECT service, client, users FROM user_days WHERE tenant = ? "
            "ORDER BY service, client, day",
            (tenant,),
        )
        for service, client, users in rows:
            days.setdefault((service, client), []).append(users)
        effects = {(s, c): e for s, c, e in self.effects(tenant)}
        return [
            Exposed(*pair, held[-_EXPOSED_DAYS:], effects.get(pair)) for pair, held in days.items()
        ]

    def leads_with(self, tenant: str, *, incident: str = "", advisory: str = "") -> set[str]:
        """The other side of a tenant's leads: advisories of an incident, or incidents of one."""
        mine, other = ("incident", "advisory") if incident else ("advisory", "incident")
        rows = self._db.execute(
            f"SELECT {other} FROM leads WHERE {mine} = ? AND tenant = ? AND {other} != ''",
            (incident or advisory, tenant),
        )
        return {row[0] for row in rows}

    def put_leads(
        self, tenant: str, *, incident: str, advisory: str, rows: Sequence[Sequence[Any]]
    ) -> None:
        """Replace the leads of an incident, or the one of an advisory that stands alone.

        Args:
            tenant: of them.
            incident: its id, or empty.
            advisory: its id, or empty; one of the two is.
            rows: (advisory or "", kind, in_scope, seconds since 1970, lead or None, JSON).
        """
        self._db.execute(
            "DELETE FROM leads WHERE tenant = ? AND incident = ? AND (incident != '' OR advisory = ?)",
            (tenant, incident, advisory),
        )
        self._db.executemany(
            "INSERT INTO leads (tenant, incident, advisory, kind, in_scope, at, lead, document) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(tenant, incident, *row) for row in rows],
        )

    def put_impact(
        self, tenant: str, name: str, *, answer: str, over: str, users: int, document: str
    ) -> None:
        """Keep what an advisory means for a tenant."""
        self._db.execute(
            "INSERT OR REPLACE INTO impacts VALUES (?, ?, ?, ?, ?, ?)",
            (name, tenant, answer, over, users, document),
        )

    def effects(self, tenant: str) -> list[tuple[str, str, float]]:
        """The smallest effects that would show: service, client, share of the users."""
        rows = self._db.execute(
            "SELECT service, client, effect FROM watched WHERE tenant = ?", (tenant,)
        )
        return rows.fetchall()
