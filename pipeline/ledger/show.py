"""Writing what a dashboard shows: whatever comes again changes nothing.

The bodies are plain JSON objects, as :mod:`pipeline.runtime.live.showing` makes them; the
tables are described in :mod:`pipeline.ledger.showing_tables`.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.answers import Answers
from pipeline.ledger.cells import states_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The hourly timeline reaches back so far from the newest judgement of its tenant.
SHOWN_DAYS: Final = 90
_DAY: Final = 86_400
_DAY_US: Final = 86_400_000_000
_HOUR: Final = 3_600
# What an advisory of the last month means may change with what is watched.
_RECENT_DAYS: Final = 30


class Showing(Answers):
    """Part of :class:`pipeline.ledger.store.Ledger`; all of it is called in a transaction."""

    def put_now(self, tenant: str, body: Mapping[str, Any], kept: int) -> None:
        """Keep how a tenant does by its last judgement; one of an earlier moment is left out.

        Args:
            tenant: of it.
            body: its running hours, feeds and logs.
            kept: now, in microseconds since 1970.
        """
        at = int(body["at"])
        before = self._db.execute("SELECT at FROM tenants_now WHERE tenant = ?", (tenant,))
        held = before.fetchone()
        if held is not None and held[0] > at:
            return
        states = states_of(body)
        unwell = sum(f["state"] != "working" for f in body["feeds"])
        unwell += sum("notice" in log for log in body["logs"].values())
        least = min(body["completeness"].values(), default=None)
        packed = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)
        self._db.execute(
            "INSERT OR REPLACE INTO tenants_now VALUES (?, ?, ?, ?, ?, ?, ?)",
            (tenant, at, kept, json.dumps(states), unwell, least, packed),
        )
        if held is not None and held[0] // _DAY_US != at // _DAY_US:
            self._forget_days(tenant, at // _DAY_US - SHOWN_DAYS)

    def _forget_days(self, tenant: str, day: int) -> None:
        """Drop a tenant's hours of the days before one; once a day, some thousand rows."""
        self._db.execute(
            "DELETE FROM hours WHERE day < ? AND lane IN (SELECT lane FROM lanes WHERE tenant = ?)",
            (day, tenant),
        )
        self._db.execute("DELETE FROM gaps WHERE tenant = ? AND hour < ?", (tenant, day * _DAY))
        self._db.execute("DELETE FROM user_days WHERE tenant = ? AND day < ?", (tenant, day))

    def put_hour(self, tenant: str, body: Mapping[str, Any]) -> None:
        """Keep one hour of the timeline as it was judged last, and the gaps that end in it."""
        hour = int(body["hour"])
        day, place = hour // _DAY, hour % _DAY // _HOUR
        lanes = self._lanes(tenant, [lane for *lane, _ in body["lanes"]])
        self._db.executemany(
            "INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET observed = excluded.observed, expected = excluded.expected, "
            "low = excluded.low, high = excluded.high, completeness = excluded.completeness "
            "WHERE (observed, expected, low, high, completeness) IS NOT (excluded.observed, "
            "excluded.expected, excluded.low, excluded.high, excluded.completeness)",
            [
                (day, lane, place, *numbers)
                for lane, (*_, numbers) in zip(lanes, body["lanes"], strict=True)
            ],
        )
        self._db.execute("DELETE FROM gaps WHERE tenant = ? AND hour = ?", (tenant, hour))
        self._db.executemany(
            "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
            [(tenant, hour, *gap) for gap in body["gaps"]],
        )

    def _lanes(self, tenant: str, lanes: Sequence[Sequence[str]]) -> list[int]:
        """The numbers of lanes, given to those that are new."""
        held = {
            tuple(names): lane
            for lane, *names in self._db.execute(
                "SELECT lane, source, service, client, signal FROM lanes WHERE tenant = ?",
                (tenant,),
            )
        }
        for names in {tuple(lane): None for lane in lanes}:
            if names not in held:
                made = self._db.execute(
                    "INSERT INTO lanes (tenant, source, service, client, signal) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (tenant, *names),
                )
                held[names] = int(made.lastrowid or 0)
        return [held[tuple(lane)] for lane in lanes]

    def put_day(self, tenant: str, body: Mapping[str, Any]) -> None:
        """Keep how many users each client had on one day."""
        day = int(body["day"])
        rows = [(tenant, s, c, day, users) for s, c, users in body["users"]]
        held = self._db.execute(
            "SELECT * FROM user_days WHERE tenant = ? AND day = ?", (tenant, day)
        )
        if set(rows) != set(held):
            self._db.executemany("INSERT OR REPLACE INTO user_days VALUES (?, ?, ?, ?, ?)", rows)
            self._ask_again(tenant, day)

    def put_watched(self, tenant: str, body: Mapping[str, Any]) -> None:
        """Keep the smallest effect on each client that would show.

        If anything has changed, what recent advisories mean is to be told anew.
        """
        rows = {(s, c): e for s, c, e in body["effects"]}
        held = {(s, c): e for s, c, e in self.effects(tenant)}
        if rows == held:
            return
        self._db.execute("DELETE FROM watched WHERE tenant = ?", (tenant,))
        self._db.executemany(
            "INSERT INTO watched VALUES (?, ?, ?, ?)",
            [(tenant, s, c, effect) for (s, c), effect in rows.items()],
        )
        self._ask_again(tenant, int(body["day"]))

    def _ask_again(self, tenant: str, day: int) -> None:
        """Have told anew what recent advisories mean."""
        self._db.execute(
            "INSERT OR IGNORE INTO stale SELECT DISTINCT tenant, 'advisory', id FROM heard "
            "WHERE tenant = ? AND at >= ?",
            (tenant, (day - _RECENT_DAYS) * _DAY),
        )

    def tidy_shown(self, now: int, *, keep_days: int, limit: int) -> int:
        """Forget some advisories, and tenants that nobody has judged, older than ``keep_days``.

        The number of rows gone from the largest of the tables.
        """
        before = now - keep_days * _DAY_US
        gone = self._db.execute(
            "SELECT id, version FROM heads WHERE kept < ? ORDER BY kept LIMIT ?", (before, limit)
        ).fetchall()
        for name, version in gone:
            self._db.execute("DELETE FROM search WHERE rowid = ?", (-version,))
            for table in ("advisories", "heard", "impacts", "heads"):
                self._db.execute(f"DELETE FROM {table} WHERE id = ?", (name,))
            self._db.execute("DELETE FROM leads WHERE advisory = ? AND incident = ''", (name,))
        return max(len(gone), self._forget_tenants(before, limit))

    def _forget_tenants(self, before: int, limit: int) -> int:
        quiet = self._db.execute(
            "SELECT tenant FROM tenants_now WHERE kept < ? LIMIT 1", (before,)
        ).fetchone()
        if quiet is None:
            return 0
        found = self._db.execute(
            "DELETE FROM hours WHERE (day, lane, hour) IN (SELECT day, lane, hour FROM hours "
            "WHERE lane IN (SELECT lane FROM lanes WHERE tenant = ?) LIMIT ?)",
            (*quiet, limit),
        )
        if found.rowcount < limit:
            for table in ("tenants_now", "lanes", "gaps", "user_days", "watched", "heard"):
                self._db.execute(f"DELETE FROM {table} WHERE tenant = ?", quiet)
            self._db.execute("DELETE FROM impacts WHERE tenant = ?", quiet)
        return limit
