"""Who was affected in one hour: failing, missing and pressing users of the flagged cells."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.correlate.history import BLIND, FAMILIES, U64, History, Hour, Rows, distinct, human
from pipeline.correlate.tally import (
    AFFECTED,
    AUDIT_SPACE,
    CODE_USER,
    FAMILY_HITS,
    SIGNIN_SPACE,
    Affected,
    Hit,
    Tally,
    merge_rows,
)
from pipeline.model.vocabulary import (
    CLIENT_FAMILIES,
    FINER_CLIENTS,
    Client,
    OutcomeFamily,
    Source,
    same_client,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.window import Cell

DROP = "drop"
RETRY = "retry"
Plan: TypeAlias = "frozenset[tuple[Cell, str]]"
"""What to count in an hour: (cell, family of failures | DROP | RETRY)."""

ENOUGH_USERS = 10.0  # expected users below which a ratio of users says nothing
_CREDENTIAL = FAMILIES.index(OutcomeFamily.CREDENTIAL)


def space_of(source: Source) -> int:
    """Which kind of user id a source carries."""
    return AUDIT_SPACE if source is Source.EXCHANGE_AUDIT else SIGNIN_SPACE


@dataclass(frozen=True, slots=True)
class _View:
    """One hour of one tenant beside the hours it is compared with."""

    history: History
    tenant: str
    now: Hour
    before: int

    def reference(self, source: Source) -> list[Hour]:
        return self.history.reference(self.now.hour, self.before, self.tenant, source)

    def human(self, hours: Iterable[Hour]) -> list[Cell]:
        """Cells of persons whose feed tells enough of the present hour."""
        found = {c for hour in hours for c in human(hour.cells, self.tenant)}
        told = self.now.completeness
        return sorted(c for c in found if told.get((c.tenant, c.source), 1.0) >= BLIND)


def tally_hour(
    history: History, tenant: str, plan: Plan, hour: int, before: int, press: int
) -> Tally:
    """Count one flagged hour.

    Args:
        history: user-hours; an hour it no longer holds counts nothing.
        tenant: whose incident it is.
        plan: what is flagged in this hour.
        hour: hour since 1970.
        before: first hour of the incident; never taken as a reference.
        press: attempts in an hour from which a user counts as pressing.
    """
    now = history.hours.get(hour)
    if now is None or not plan:
        return Tally()
    view = _View(history, tenant, now, before)
    numbers: dict[str, float] = {}
    parts: list[Affected] = []
    lost: dict[tuple[int, Client], float] = {}
    others = _others(view, plan, numbers)
    _drops(view, plan, others, numbers, parts, lost)
    failing, usual = _failures(view, plan, numbers, parts, lost)
    _pressing(view, plan, press, numbers, parts)
    codes, codes_usual = _codes(view, plan)
    _feeds(view, plan, numbers)
    return Tally(
        rows=merge_rows(parts),
        code_users=codes,
        code_usual=codes_usual,
        failing=failing,
        failing_usual=usual,
        lost_minutes=60.0 * _lost(lost),
        **numbers,
    )


def _ok(rows: Rows) -> Rows:
    return rows[rows["ok"] > 0]


def _active_users(hours: Iterable[Hour], cells: Iterable[Cell]) -> list[U64]:
    cells = list(cells)
    return [distinct(_ok(h.of(c))["user"] for c in cells) for h in hours]


def _mean(parts: list[U64]) -> float:
    return sum(map(len, parts)) / len(parts) if parts else 0.0


def _others(view: _View, plan: Plan, numbers: dict[str, float]) -> float:
    """Share of the usual people who are at work, by clients that are not in the incident."""
    planned = {c.client for c, _ in plan}
    source = min(c.source for c, _ in plan)
    reference = view.reference(source)
    cells = view.human([view.now, *reference])
    best = (0.0, 0.0, 0.0)
    for space in (SIGNIN_SPACE, AUDIT_SPACE):
        own = [c for c in cells if space_of(c.source) == space]
        expected = _mean(_active_users(reference, own))
        observed = _mean(_active_users([view.now], own))
        ratio = observed / expected if expected >= ENOUGH_USERS else -1.0
        best = max(best, (ratio, expected, observed))
    numbers["all_expected"], numbers["all_observed"] = best[1], best[2]
    rest = [c for c in cells if not any(same_client(c.client, p) for p in planned)]
    expected = _mean(_active_users(reference, rest))
    observed = _mean(_active_users([view.now], rest))
    numbers["other_expected"], numbers["other_observed"] = expected, observed
    return min(1.0, observed / expected) if expected >= ENOUGH_USERS else 1.0


def _drops(
    view: _View,
    plan: Plan,
    at_work: float,
    numbers: dict[str, float],
    parts: list[Affected],
    lost: dict[tuple[int, Client], float],
) -> None:
    seen = distinct(view.now.of(c)["user"] for c in human(view.now.cells, view.tenant))
    names = ("expected", "observed", "missing", "missing_present", "missing_sibling")
    for cell in sorted(c for c, what in plan if what == DROP):
        reference = view.reference(cell.source)
        if not reference:
            continue
        usual = np.concatenate([_ok(h.of(cell)) for h in reversed(reference)])
        users, first, counts = np.unique(usual["user"], return_index=True, return_counts=True)
        expected = at_work * len(usual) / len(reference)
        now = _ok(view.now.of(cell))["user"]
        deficit = expected - len(now)
        key = (space_of(cell.source), cell.client)
        lost[key] = max(lost.get(key, 0.0), deficit)
        gone = np.flatnonzero(~np.isin(users, now))
        present = np.isin(users[gone], seen)
        # The deficit says how many are missed; who they are, is told by habit: those who
        # are at work elsewhere first, then those who come most reliably.
        order = np.lexsort((users[gone], -counts[gone], ~present))[: max(0, ceil(deficit))]
        gone, present = gone[order], present[order]
        hits = np.where(present, Hit.MISSING, Hit.MISSING | Hit.ABSENT).astype(np.uint8)
        parts.append(_affected(cell, usual[first[gone]], hits, with_code=False))
        sibling = np.isin(users[gone], _siblings(view, cell, plan))
        values = (expected, len(now), len(gone), present.sum(), sibling.sum())
        for name, value in zip(names, values, strict=True):
            numbers[name] = numbers.get(name, 0.0) + float(value)


def _siblings(view: _View, cell: Cell, plan: Plan) -> U64:
    """Users now at work in another client of the same product line that is not flagged."""
    line = {c for clients in CLIENT_FAMILIES.values() if cell.client in clients for c in clients}
    line -= {c.client for c, _ in plan}
    cells = [c for c in human(view.now.cells, view.tenant) if c.client in line]
    kin = [c for c in cells if not same_client(c.client, cell.client)]
    return distinct(_ok(view.now.of(c))["user"] for c in kin)


def _failures(
    view: _View,
    plan: Plan,
    numbers: dict[str, float],
    parts: list[Affected],
    lost: dict[tuple[int, Client], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    now = [0.0] * len(FAMILIES)
    usual = [0.0] * len(FAMILIES)
    numbers["active"] = numbers["credential"] = numbers["foreign"] = 0.0
    for cell in _signin_cells(plan):
        rows = view.now.of(cell)
        reference = view.reference(cell.source)
        numbers["active"] += len(rows)
        for at, family in enumerate(FAMILIES):
            failed = rows["failed"][:, at] > 0
            now[at] += int(failed.sum())
            before = [h.of(cell) for h in reference]
            usual[at] += _mean([b["user"][b["failed"][:, at] > 0] for b in before])
            if (cell, family) not in plan:
                continue
            hits = np.full(int(failed.sum()), FAMILY_HITS[family], np.uint8)
            parts.append(_affected(cell, rows[failed], hits, with_code=True))
            locked = int((failed & (rows["ok"] == 0)).sum())
            normally = _mean([b["user"][(b["failed"][:, at] > 0) & (b["ok"] == 0)] for b in before])
            key = (SIGNIN_SPACE, cell.client)
            lost[key] = max(lost.get(key, 0.0), locked - normally)
        refused = rows[(rows["failed"][:, _CREDENTIAL] > 0) & (rows["network"] >= 0)]
        numbers["credential"] += len(refused)
        numbers["foreign"] += float((~view.history.seen_good(refused)).sum())
    return tuple(now), tuple(usual)


def _pressing(
    view: _View, plan: Plan, press: int, numbers: dict[str, float], parts: list[Affected]
) -> None:
    numbers["pressing"] = numbers["pressing_usual"] = 0.0
    for cell in _signin_cells(plan):
        rows = view.now.of(cell)
        rows = rows[rows["attempts"] >= press]
        before = [h.of(cell) for h in view.reference(cell.source)]
        habit = [b["user"][b["attempts"] >= press] for b in before]
        usual = _mean(habit)
        numbers["pressing"] += len(rows)
        numbers["pressing_usual"] += usual
        if (cell, RETRY) not in plan:
            continue
        often = np.isin(rows["user"], distinct(habit))
        excess = max(0, ceil(len(rows) - usual))
        picked = rows[np.lexsort((rows["user"], -rows["attempts"].astype(int), often))[:excess]]
        hits = np.full(len(picked), Hit.PRESSING, np.uint8)
        parts.append(_affected(cell, picked, hits, with_code=False))


def _codes(view: _View, plan: Plan) -> tuple[Affected, dict[int, float]]:
    found: list[Affected] = []
    usual: dict[int, float] = {}
    for cell in _signin_cells(plan):
        rows = view.now.of(cell)
        rows = rows[(rows["code"] > 0) & rows["failed"].any(axis=1)]
        pairs = np.empty(len(rows), CODE_USER)
        pairs["code"], pairs["user"] = rows["code"], rows["user"]
        found.append(pairs)
        reference = view.reference(cell.source)
        for hour in reference:
            before = hour.of(cell)
            codes = before["code"][(before["code"] > 0) & before["failed"].any(axis=1)]
            for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
                usual[int(code)] = usual.get(int(code), 0.0) + int(count) / len(reference)
    return np.unique(np.concatenate([np.empty(0, CODE_USER), *found])), usual


def _feeds(view: _View, plan: Plan, numbers: dict[str, float]) -> None:
    """How complete the member feeds are, and whether server-side traffic goes on."""
    numbers["seen"] = numbers["told"] = 0.0
    numbers["system_expected"] = numbers["system_observed"] = 0.0
    for source in sorted({c.source for c, _ in plan}):
        numbers["seen"] += 1.0
        numbers["told"] += view.now.completeness.get((view.tenant, source), 1.0)
        if not any(c.source is source and what == DROP for c, what in plan):
            continue
        reference = view.reference(source)
        cells = {c for h in [view.now, *reference] for c in h.cells}
        for cell in sorted(cells):
            if (cell.tenant, cell.source, cell.client) != (view.tenant, source, Client.SYSTEM):
                continue
            held = [float(h.of(cell)["attempts"].sum()) for h in reference]
            numbers["system_expected"] += sum(held) / len(held) if held else 0.0
            numbers["system_observed"] += float(view.now.of(cell)["attempts"].sum())


def _signin_cells(plan: Plan) -> list[Cell]:
    return sorted({c for c, _ in plan if space_of(c.source) == SIGNIN_SPACE})


def _affected(cell: Cell, rows: Rows, hits: npt.NDArray[np.uint8], *, with_code: bool) -> Affected:
    out = np.empty(len(rows), AFFECTED)
    out["space"] = space_of(cell.source)
    out["hit"] = hits
    for name in ("user", "country", "network", "client_version"):
        out[name] = rows[name]
    out["code"] = rows["code"] if with_code else -1
    return out


def _lost(lost: dict[tuple[int, Client], float]) -> float:
    """User-hours lost: a client counts once, by the source that tells most of it."""
    coarse = {fine: c for c, finer in FINER_CLIENTS.items() for fine in finer}
    told: dict[Client, dict[int, float]] = {}
    for (space, client), value in lost.items():
        by_space = told.setdefault(coarse.get(client, client), {})
        by_space[space] = by_space.get(space, 0.0) + max(0.0, value)
    return sum(max(by_space.values()) for by_space in told.values())
