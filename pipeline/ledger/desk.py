"""The desk of the people on call: what waits to be told, what was told, and what they answered.

| table | holds |
|---|---|
| ``outbox`` | notices that a destination has not settled yet, in order of decision |
| ``threads`` | what the notify stage remembers, in JSON: incidents, and what each destination knows |
| ``acks``, ``silences`` | the newest of each incident, and each silence |
| ``handed`` | by incident, what was handed to which destination and what came of it |
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.model.clock import parse_rfc3339, to_us
from pipeline.model.documents import from_json, to_line
from pipeline.model.notice import Ack, Silence

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping

ADDED_IN_VERSION_5: Final = (
    """CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, id TEXT NOT NULL,
    revision INTEGER NOT NULL, tenant TEXT NOT NULL, at INTEGER NOT NULL, document TEXT NOT NULL,
    UNIQUE (sink, id, revision))""",
    "CREATE INDEX outbox_sink ON outbox (sink, seq)",
    """CREATE TABLE threads (
    kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, name))""",
    "CREATE TABLE acks (incident TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE silences (id TEXT PRIMARY KEY, until INTEGER NOT NULL, body TEXT NOT NULL)",
    """CREATE TABLE handed (
    incident TEXT NOT NULL, sink TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
    reason TEXT NOT NULL, at INTEGER NOT NULL, settled INTEGER NOT NULL, outcome TEXT NOT NULL,
    PRIMARY KEY (incident, sink, id, revision))""",
    "CREATE INDEX handed_settled ON handed (settled)",
)
ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
# The destination is configured no longer.
DROPPED: Final = "dropped"


class Waiting(NamedTuple):
    """A notice in the outbox; (id, revision) is its key at its sink, ``at`` in microseconds."""

    seq: int
    id: str
    revision: int
    tenant: str
    at: int
    document: dict[str, Any]

    @property
    def kind(self) -> str:
        """``notice``."""
        return "notice"


class Handed(NamedTuple):
    """What came of one notice about an incident.

    ``at`` and ``settled`` in microseconds since 1970: when it was decided, and when the
    destination had taken or refused it. ``outcome`` is accepted, refused or dropped.
    """

    incident: str
    sink: str
    id: str
    revision: int
    reason: str
    at: int
    settled: int
    outcome: str


class Desk:
    """Part of :class:`pipeline.ledger.store.Ledger`."""

    _db: sqlite3.Connection

    def put_notices(self, notices: Iterable[Mapping[str, Any]]) -> None:
        """Queue notices (``outrider.notice/1``); one that is queued already stays as it is."""
        self._db.executemany(
            "INSERT OR IGNORE INTO outbox (sink, id, revision, tenant, at, document) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    n["sink"],
                    n["notice_id"],
                    n["revision"],
                    n["incidents"][0]["incident"]["tenants"][0],
                    to_us(parse_rfc3339(n["at"])),
                    json.dumps(n, ensure_ascii=False, separators=(",", ":")),
                )
                for n in notices
            ],
        )

    def outbox(self, sink: str, limit: int) -> list[Waiting]:
        """The oldest notices that a destination has not settled, in order."""
        rows = self._db.execute(
            "SELECT seq, id, revision, tenant, at, document FROM outbox WHERE sink = ? "
            "ORDER BY seq LIMIT ?",
            (sink, limit),
        )
        return [Waiting(s, i, r, t, at, json.loads(text)) for s, i, r, t, at, text in rows]

    def outbox_counts(self) -> dict[str, int]:
        """By destination, the notices that it has not settled."""
        rows = self._db.execute("SELECT sink, count(*) FROM outbox GROUP BY sink ORDER BY sink")
        return {sink: int(count) for sink, count in rows}

    def settle(self, sink: str, notices: Iterable[tuple[Waiting, str]], at: int) -> None:
        """Move notices from the outbox to ``handed``.

        Args:
            sink: the destination.
            notices: with what came of each: accepted, refused or dropped.
            at: now, microseconds since 1970.
        """
        for notice, outcome in notices:
            self._db.executemany(
                "INSERT OR REPLACE INTO handed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        item["incident"]["incident_id"],
                        sink,
                        notice.id,
                        notice.revision,
                        item["reason"],
                        notice.at,
                        at,
                        outcome,
                    )
                    for item in notice.document["incidents"]
                ],
            )
            self._db.execute("DELETE FROM outbox WHERE seq = ?", (notice.seq,))

    def handed(self, incident: str) -> list[Handed]:
        """What was handed over about an incident, in order."""
        rows = self._db.execute(
            "SELECT incident, sink, id, revision, reason, at, settled, outcome FROM handed "
            "WHERE incident = ? ORDER BY at, sink, id, revision",
            (incident,),
        )
        return [Handed._make(row) for row in rows]

    def threads(self) -> dict[str, dict[str, Any]]:
        """What the notify stage remembers: by kind, by name, one JSON object each."""
        found: dict[str, dict[str, Any]] = {}
        for kind, name, body in self._db.execute("SELECT kind, name, body FROM threads"):
            found.setdefault(kind, {})[name] = json.loads(body)
        return found

    def put_threads(self, kind: str, changed: Mapping[str, Any], gone: Collection[str]) -> None:
        """Remember some of that, and forget some."""
        self._db.executemany(
            "INSERT OR REPLACE INTO threads VALUES (?, ?, ?)",
            [
                (kind, name, json.dumps(body, ensure_ascii=False, separators=(",", ":")))
                for name, body in changed.items()
            ],
        )
        self._db.executemany(
            "DELETE FROM threads WHERE kind = ? AND name = ?", [(kind, name) for name in gone]
        )

    def put_ack(self, ack: Ack) -> None:
        """Keep an acknowledgement; the newest of an incident counts."""
        self._db.execute(
            "INSERT INTO acks VALUES (?, ?, ?) ON CONFLICT (incident) DO UPDATE SET "
            "at = excluded.at, body = excluded.body WHERE excluded.at >= acks.at",
            (ack.incident_id, to_us(ack.at), to_line(ack)),
        )

    def acks(self) -> dict[str, Ack]:
        """The newest acknowledgement of each incident."""
        rows = self._db.execute("SELECT incident, body FROM acks ORDER BY at, incident")
        return {name: from_json(Ack, json.loads(body)) for name, body in rows}

    def put_silence(self, silence: Silence) -> None:
        """Keep a silence, or its new end."""
        self._db.execute(
            "INSERT OR REPLACE INTO silences VALUES (?, ?, ?)",
            (silence.silence_id, to_us(silence.ends_at), to_line(silence)),
        )

    def silences(self, since: int = 0) -> list[Silence]:
        """Silences that end behind a moment (microseconds since 1970), by their end."""
        rows = self._db.execute(
            "SELECT body FROM silences WHERE until > ? ORDER BY until, id", (since,)
        )
        return [from_json(Silence, json.loads(row[0])) for row in rows]

    def incidents_named(self, beginning: str, limit: int) -> list[str]:
        """Ids of incidents that begin so, in order."""
        rows = self._db.execute(
            "SELECT DISTINCT id FROM documents WHERE kind = 'incident' "
            "AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2",
            (beginning, limit),
        )
        return [row[0] for row in rows]

    def newest_revision(self, incident: str) -> dict[str, Any] | None:
        """The newest revision of an incident; None if there is none."""
        row = self._db.execute(
            "SELECT document FROM documents WHERE kind = 'incident' AND id = ? "
            "ORDER BY revision DESC LIMIT 1",
            (incident,),
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def last_document(self) -> int:
        """Number of the newest document, of whatever kind; 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM documents").fetchone()[0])

    def tidy_desk(self, before: int) -> None:
        """Forget what was handed over, acknowledged or silenced before a moment (us)."""
        self._db.execute("DELETE FROM handed WHERE settled < ?", (before,))
        self._db.execute("DELETE FROM acks WHERE at < ?", (before,))
        self._db.execute("DELETE FROM silences WHERE until < ?", (before,))
