"""The counts of a front page, and what is not over."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.showing import Front
from pipeline.ledger.store import Stored
from pipeline.model.clock import from_us

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

_DAY: Final = 86_400
_OPEN: Final = ("open", "recovering")
# Most pressing first.
_SEVERITIES: Final = ("critical", "high", "medium", "low")


def among(column: str, values: Sequence[str]) -> str:
    """Condition that a column has one of some bound values; none of them = any value.

    >>> among("tenant", ()), among("tenant", ("a", "b"))
    ('TRUE', 'tenant IN (?, ?)')
    """
    return f"{column} IN ({', '.join('?' * len(values))})" if values else "TRUE"


class FrontPage:
    """Part of :class:`pipeline.ledger.reading.Reader`."""

    _db: sqlite3.Connection

    def completeness(self, tenants: Sequence[str] = ()) -> float | None:
        """Least share of any log's records of the last hour that are here; None = not known."""
        row = self._db.execute(
            f"SELECT min(completeness) FROM tenants_now WHERE {among('tenant', tenants)}",
            tuple(tenants),
        ).fetchone()
        return None if row[0] is None else float(row[0])

    def open_incidents(self, tenants: Sequence[str] = (), *, limit: int = 200) -> list[Stored]:
        """The last revisions of incidents that are not over, the most pressing first."""
        ranks = " ".join(f"WHEN '{s}' THEN {n}" for n, s in enumerate(_SEVERITIES))
        rows = self._db.execute(
            "SELECT d.seq, d.kind, d.id, d.revision, d.tenant, d.document FROM newest n "
            "CROSS JOIN documents d USING (seq) WHERE n.kind = 'incident' "
            f"AND {among('n.state', _OPEN)} AND {among('n.tenant', tenants)} "
            f"ORDER BY CASE n.severity {ranks} ELSE {len(_SEVERITIES)} END, n.at DESC, n.id LIMIT ?",
            (*_OPEN, *tenants, limit),
        )
        return [Stored(s, k, i, r, t, json.loads(text)) for s, k, i, r, t, text in rows]

    def front(self, tenants: Sequence[str] = (), *, now: datetime) -> Front:
        """The counts of the front page; ``now`` ends the day that is told of."""
        states: Counter[str] = Counter()
        pressing: Counter[str] = Counter()
        verdicts: Counter[str] = Counter()
        raised = resolved = 0
        since = int(now.timestamp()) - _DAY
        for state, severity, verdict, count, new, over in self._db.execute(
            "SELECT state, severity, verdict, count(*), sum(at >= ?), "
            "coalesce(sum(resolved >= ?), 0) FROM newest WHERE kind = 'incident' "
            f"AND {among('tenant', tenants)} GROUP BY state, severity, verdict",
            (since, since, *tenants),
        ):
            states[state or "unknown"] += count
            if state in _OPEN:
                pressing[severity or "unknown"] += count
                verdicts[verdict or "unknown"] += count
            if state != "retracted":
                raised, resolved = raised + new, resolved + over
        judged = self._judged(tenants)
        return Front(
            open=dict(pressing),
            states=dict(states),
            verdicts=dict(verdicts),
            raised_24h=raised,
            resolved_24h=resolved,
            affecting=self._count(
                "SELECT count(DISTINCT id) FROM impacts WHERE answer = 'yes' AND over != 'yes' "
                f"AND {among('tenant', tenants)}",
                *tenants,
            ),
            # Letters and destinations are of no one tenant.
            dead_waiting=self._count(
                "SELECT count(*) FROM dead WHERE queued IS NULL AND replayed IS NULL"
            ),
            sinks_waiting=self._count(
                "SELECT count(*) FROM (SELECT sink FROM deliveries WHERE seq < "
                "(SELECT coalesce(max(seq), 0) FROM documents) UNION SELECT sink FROM outbox)"
            ),
            **judged,
        )

    def _judged(self, tenants: Sequence[str]) -> dict[str, Any]:
        rows = self._db.execute(
            "SELECT at, states, unwell, completeness FROM tenants_now "
            f"WHERE {among('tenant', tenants)}",
            tuple(tenants),
        ).fetchall()
        cells: Counter[str] = Counter()
        for _, states, _, _ in rows:
            cells.update(json.loads(states))
        return {
            "tenants": len(rows),
            "cells": dict(cells),
            "feeds_unwell": sum(row[2] for row in rows),
            "least_completeness": min((r[3] for r in rows if r[3] is not None), default=None),
            "newest_at": from_us(max(row[0] for row in rows)) if rows else None,
        }

    def _count(self, statement: str, *bound: Any) -> int:
        return int(self._db.execute(statement, bound).fetchone()[0])
