"""Searching incidents and advisories, and what became of an incident at each destination."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.desk import ACCEPTED
from pipeline.ledger.front import among
from pipeline.ledger.showing import Handed, Hit, SinkLag
from pipeline.model.clock import from_us
from pipeline.model.dead_letter import DOCUMENT, REFUSED_BY_SINK

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

# Whatever else somebody types, no more than this is looked for.
_WORDS: Final = 8
_LONGEST: Final = 64
_TYPED: Final = 1_000
_SNIPPET_WORDS: Final = 16
_REVISIONS: Final = 500
_NOTICES: Final = 500
# The words of the index: what is no letter and no digit parts them.
_WORD: Final = re.compile(r"[^\W_]+")


def expression(text: str) -> str:
    """What is typed as an expression of the index: each word quoted, as a beginning.

    No sign of the index's own language passes; the words are looked for in all order.

    >>> expression('owa "NEAR(')
    '"owa"* AND "NEAR"*'
    >>> expression("EX1256020 -* ^")
    '"EX1256020"*'
    """
    words = _WORD.findall(text[:_TYPED])[:_WORDS]
    return " AND ".join(f'"{word[:_LONGEST]}"*' for word in words)


class Finding:
    """Part of :class:`pipeline.ledger.reading.Reader`."""

    _db: sqlite3.Connection

    def search(
        self,
        text: str,
        *,
        kinds: Sequence[str] = (),
        tenants: Sequence[str] = (),
        limit: int = 20,
    ) -> list[Hit]:
        """What holds all words of a text, or words that begin like them; newest first.

        Args:
            text: what somebody typed; only letters and digits count, the first 1,000 signs
                and eight words of it.
            kinds: ``incident`` or ``advisory``; none = both.
            tenants: incidents of these, advisories that one of them was told; none = of all.
            limit: at most so many of each kind.

        Returns:
            The incidents changed last and the advisories that came last, by time.
        """
        wanted = expression(text)
        if not wanted:
            return []
        wanted = f"{{told named}} : ({wanted})"
        found: list[Hit] = []
        if not kinds or "incident" in kinds:
            found += self._incidents(wanted, tenants, limit)
        if not kinds or "advisory" in kinds:
            found += self._advisories(wanted, tenants, limit)
        return sorted(found, key=lambda h: (-h.at, h.id))[:limit]

    def _incidents(self, wanted: str, tenants: Sequence[str], limit: int) -> Iterator[Hit]:
        names = [_phrase(t) for t in tenants if _WORD.search(t)]
        if names:
            wanted = f"{wanted} AND tenant : ({' OR '.join(names)})"
        rows = self._db.execute(
            "SELECT s.rowid, n.id, n.tenant, n.at, n.state, "
            f"snippet(search, 0, '', '', '...', {_SNIPPET_WORDS}) FROM search s "
            "CROSS JOIN documents d ON d.seq = s.rowid "
            "CROSS JOIN newest n ON n.kind = 'incident' AND n.id = d.id AND n.seq = s.rowid "
            f"WHERE search MATCH ? AND s.rowid > 0 AND {among('n.tenant', tenants)} "
            "ORDER BY s.rowid DESC LIMIT ?",
            (wanted, *tenants, limit),
        ).fetchall()
        for seq, name, tenant, at, state, snippet in rows:
            (title,) = self._db.execute(
                "SELECT json_extract(document, '$.headline') FROM documents WHERE seq = ?", (seq,)
            ).fetchone()
            yield Hit("incident", name, tenant, at, str(title or ""), state or "", snippet)

    def _advisories(self, wanted: str, tenants: Sequence[str], limit: int) -> Iterator[Hit]:
        heard = "TRUE"
        if tenants:
            heard = (
                f"EXISTS (SELECT 1 FROM heard e WHERE {among('e.tenant', tenants)} AND e.id = a.id)"
            )
        rows = self._db.execute(
            "SELECT a.id, a.at, json_extract(a.document, '$.title'), "
            "json_extract(a.document, '$.status'), "
            f"snippet(search, 0, '', '', '...', {_SNIPPET_WORDS}) FROM search s "
            "CROSS JOIN advisories a ON a.version = -s.rowid "
            f"WHERE search MATCH ? AND s.rowid < 0 AND {heard} ORDER BY s.rowid LIMIT ?",
            (wanted, *tenants, limit),
        )
        for name, at, title, status, snippet in rows:
            yield Hit("advisory", name, None, at, str(title or ""), str(status or ""), snippet)

    def deliveries_of(self, incident: str) -> list[Handed]:
        """What became of each revision of an incident, by destination."""
        return sorted(
            [*self._records(incident), *self._notices(incident)],
            key=lambda h: (h.sink, h.revision, h.kind, h.reason),
        )

    def _records(self, incident: str) -> Iterator[Handed]:
        revisions = self._db.execute(
            "SELECT revision, seq FROM documents WHERE kind = 'incident' AND id = ? "
            "ORDER BY revision DESC LIMIT ?",
            (incident, _REVISIONS),
        ).fetchall()
        refused = {
            (sink, revision): (at, detail)
            for sink, revision, at, detail in self._db.execute(
                "SELECT sink, json_extract(CAST(body AS TEXT), '$.revision'), at, detail FROM dead "
                "WHERE reason = ? AND kind = ? AND instr(detail, ?) AND json_valid(CAST(body AS TEXT))",
                (REFUSED_BY_SINK, DOCUMENT, incident),
            )
        }
        for sink, taken in self._db.execute("SELECT sink, seq FROM deliveries ORDER BY sink"):
            for revision, seq in revisions:
                at, detail = refused.get((sink, revision), (None, ""))
                state = "refused" if at is not None else "handed" if seq <= taken else "waiting"
                when = None if at is None else from_us(at)
                yield Handed(sink, "records", revision, state, when, detail)

    def _notices(self, incident: str) -> Iterator[Handed]:
        rows = self._db.execute(
            "SELECT sink, revision, reason, settled, outcome FROM handed WHERE incident = ? "
            "ORDER BY settled DESC LIMIT ?",
            (incident, _NOTICES),
        )
        for sink, revision, reason, settled, outcome in rows:
            state = "handed" if outcome == ACCEPTED else outcome
            yield Handed(sink, "notices", revision, state, from_us(settled), reason)
        waiting = self._db.execute(
            "SELECT sink, revision, document FROM outbox WHERE instr(document, ?) "
            "ORDER BY seq DESC LIMIT ?",
            (json.dumps(incident), _NOTICES),
        )
        for sink, revision, document in waiting:
            for item in json.loads(document)["incidents"]:
                if item["incident"]["incident_id"] == incident:
                    yield Handed(sink, "notices", revision, "waiting", None, item["reason"])

    def sink_lags(self) -> list[SinkLag]:
        """What each destination has not settled, and since when, as far as that is known."""
        newest = "(SELECT coalesce(max(seq), 0) FROM documents)"
        records = self._db.execute(
            "SELECT sink, (SELECT count(*) FROM documents d WHERE d.seq > s.seq), "
            "(SELECT at FROM documents d WHERE d.seq > s.seq ORDER BY d.seq LIMIT 1), "
            f"s.seq < {newest} FROM deliveries s ORDER BY sink"
        )
        found = [
            SinkLag(sink, "records", int(count), _seconds(at) if behind else None)
            for sink, count, at, behind in records
        ]
        notices = self._db.execute(
            "SELECT sink, count(*), min(at) FROM outbox GROUP BY sink ORDER BY sink"
        )
        return found + [
            SinkLag(sink, "notices", int(count), from_us(at)) for sink, count, at in notices
        ]


def _phrase(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def _seconds(at: Any) -> Any:
    return None if at is None else from_us(int(at) * 1_000_000)
