"""Looking at advisories with what they mean for us, and at who was first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.front import among
from pipeline.ledger.showing import (
    AdvisoryHistory,
    AdvisoryPage,
    AdvisoryShown,
    Impacts,
    LeadPage,
    LeadSummary,
    Place,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_MOST: Final = 200
# The worst first; the same tenant first where several are hit alike.
_WORST: Final = "answer != 'yes', over = 'yes', users DESC, answer != 'no_sign', tenant"


class Told:
    """Part of :class:`pipeline.ledger.reading.Reader`."""

    _db: sqlite3.Connection

    def advisories(
        self,
        tenants: Sequence[str] = (),
        *,
        answers: Sequence[str] = (),
        after: Place | None = None,
        limit: int = 50,
    ) -> AdvisoryPage:
        """The newest version of each advisory, by its last word, the newest first.

        Args:
            tenants: that one of these was told; none = all there are.
            answers: that mean this for one of the tenants; none = whatever they mean.
            after: where the page before ended.
            limit: at most so many.
        """
        terms, bound = ["TRUE"], []
        if after is not None:
            terms.append("(h.at, h.id) < (?, ?)")
            bound += [after.at, after.id]
        if tenants:
            terms.append(
                f"EXISTS (SELECT 1 FROM heard e WHERE {among('e.tenant', tenants)} AND e.id = h.id)"
            )
            bound += tenants
        if answers:
            terms.append(
                "EXISTS (SELECT 1 FROM impacts i WHERE i.id = h.id AND "
                f"{among('i.answer', answers)} AND {among('i.tenant', tenants)})"
            )
            bound += [*answers, *tenants]
        rows = self._db.execute(
            "SELECT h.id, h.at, a.document, (SELECT count(*) FROM advisories v WHERE v.id = h.id) "
            "FROM heads h INDEXED BY heads_at CROSS JOIN advisories a USING (version) "
            f"WHERE {' AND '.join(terms)} ORDER BY h.at DESC, h.id DESC LIMIT ?",
            (*bound, limit + 1),
        ).fetchall()
        shown = [self._shown(n, at, d, count, tenants) for n, at, d, count in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return AdvisoryPage(shown, None if last is None else Place(last[1], last[0]))

    def _shown(
        self, name: str, at: int, document: str, versions: int, tenants: Sequence[str]
    ) -> AdvisoryShown:
        among_them = among("tenant", tenants)
        counted = dict(
            self._db.execute(
                f"SELECT answer, count(*) FROM impacts WHERE id = ? AND {among_them} "
                "GROUP BY answer",
                (name, *tenants),
            ).fetchall()
        )
        worst = self._db.execute(
            f"SELECT tenant, document FROM impacts WHERE id = ? AND {among_them} "
            f"ORDER BY {_WORST} LIMIT 1",
            (name, *tenants),
        ).fetchone()
        return AdvisoryShown(
            name,
            at,
            json.loads(document),
            versions,
            Impacts(*(counted.get(answer, 0) for answer in Impacts._fields)),
            None if worst is None else json.loads(worst[1]),
            None if worst is None else worst[0],
        )

    def advisory(self, name: str, tenants: Sequence[str] = ()) -> AdvisoryHistory | None:
        """All of one advisory; None if there is none of this id."""
        rows = self._db.execute(
            "SELECT document FROM (SELECT document, at, version FROM advisories WHERE id = ? "
            "ORDER BY at DESC, version DESC LIMIT ?) ORDER BY at, version",
            (name, _MOST),
        )
        versions = [json.loads(row[0]) for row in rows]
        if not versions:
            return None
        impacts = self._db.execute(
            f"SELECT tenant, document FROM impacts WHERE id = ? AND {among('tenant', tenants)} "
            f"ORDER BY {_WORST} LIMIT ?",
            (name, *tenants, _MOST),
        )
        leads = self._db.execute(
            f"SELECT document FROM leads WHERE advisory = ? AND {among('tenant', tenants)} "
            "ORDER BY at DESC, seq DESC LIMIT ?",
            (name, *tenants, _MOST),
        )
        return AdvisoryHistory(
            name,
            versions,
            [(tenant, json.loads(document)) for tenant, document in impacts],
            [json.loads(row[0]) for row in leads],
        )

    def leads(
        self,
        tenants: Sequence[str] = (),
        *,
        kinds: Sequence[str] = (),
        after: Place | None = None,
        limit: int = 50,
    ) -> LeadPage:
        """Rows of the lead-time ledger, by the earlier of flag and first post, newest first.

        Args:
            tenants: of these; none = of all.
            kinds: of these; none = of all.
            after: where the page before ended.
            limit: at most so many.
        """
        behind, bound = "TRUE", []
        if after is not None:
            behind = "(at, seq) < (?, CAST(? AS INTEGER))"
            bound = [after.at, after.id]
        rows = self._db.execute(
            "SELECT at, seq, document FROM leads INDEXED BY leads_at "
            f"WHERE {behind} AND {among('kind', kinds)} AND {among('tenant', tenants)} "
            "ORDER BY at DESC, seq DESC LIMIT ?",
            (*bound, *kinds, *tenants, limit + 1),
        ).fetchall()
        last = rows[limit - 1] if len(rows) > limit else None
        found = [json.loads(row[2]) for row in rows[:limit]]
        return LeadPage(found, None if last is None else Place(last[0], str(last[1])))

    def lead_summary(self, tenants: Sequence[str] = ()) -> LeadSummary:
        """The lead-time ledger in numbers."""
        where = f"{among('tenant', tenants)}"
        counted = self._db.execute(
            f"SELECT kind, count(*) FROM leads WHERE in_scope AND {where} GROUP BY kind",
            tuple(tenants),
        )
        kinds: dict[str, int] = dict(counted.fetchall())
        (outside,) = self._db.execute(
            f"SELECT count(*) FROM leads WHERE NOT in_scope AND {where}",
            tuple(tenants),
        ).fetchone()
        held = self._db.execute(
            f"SELECT lead FROM leads WHERE in_scope AND lead IS NOT NULL AND {where} ORDER BY lead",
            tuple(tenants),
        ).fetchall()
        return LeadSummary(kinds, _median([row[0] for row in held]), int(outside))

    def leads_of(self, incident: str) -> list[dict[str, Any]]:
        """The rows of one incident: one for each advisory beside it, or one without any."""
        rows = self._db.execute(
            "SELECT document FROM leads WHERE incident = ? ORDER BY advisory", (incident,)
        )
        return [json.loads(row[0]) for row in rows]


def _median(values: list[float]) -> float | None:
    """Of values in order.

    >>> _median([]), _median([1.0, 2.0, 5.0]), _median([1.0, 2.0])
    (None, 2.0, 1.5)
    """
    middle = len(values) // 2
    if not values:
        return None
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
