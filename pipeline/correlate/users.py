"""Who was affected in one hour: failing, missing and pressing users of the flagged cells."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pipeline.correlate.history import FAMILIES, History, among, distinct
from pipeline.correlate.missing import drops, people_at_work
from pipeline.correlate.tally import (
    CODE_USER,
    FAMILY_HITS,
    SIGNIN_SPACE,
    Affected,
    Hit,
    Tally,
    merge_rows,
)
from pipeline.correlate.view import DROP, RETRY, Plan, View, affected, mean, space_of
from pipeline.model.vocabulary import FINER_CLIENTS, Client, OutcomeFamily

if TYPE_CHECKING:
    from pipeline.model.window import Cell

_CREDENTIAL = FAMILIES.index(OutcomeFamily.CREDENTIAL)


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
    view = View(history, tenant, now, before)
    numbers: dict[str, float] = {}
    parts: list[Affected] = []
    lost: dict[tuple[int, Client], float] = {}
    at_work = people_at_work(view, plan, numbers)
    drops(view, plan, at_work, numbers, parts, lost)
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


def _failures(
    view: View,
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
            usual[at] += mean([b["user"][b["failed"][:, at] > 0] for b in before])
            if (cell, family) not in plan:
                continue
            hits = np.full(int(failed.sum()), FAMILY_HITS[family], np.uint8)
            parts.append(affected(cell, rows[failed], hits, with_code=True))
            locked = int((failed & (rows["ok"] == 0)).sum())
            normally = mean([b["user"][(b["failed"][:, at] > 0) & (b["ok"] == 0)] for b in before])
            key = (SIGNIN_SPACE, cell.client)
            lost[key] = max(lost.get(key, 0.0), locked - normally)
        refused = rows[(rows["failed"][:, _CREDENTIAL] > 0) & (rows["network"] >= 0)]
        numbers["credential"] += len(refused)
        numbers["foreign"] += float((~view.history.seen_good(refused)).sum())
    return tuple(now), tuple(usual)


def _pressing(
    view: View, plan: Plan, press: int, numbers: dict[str, float], parts: list[Affected]
) -> None:
    numbers["pressing"] = numbers["pressing_usual"] = 0.0
    for cell in _signin_cells(plan):
        rows = view.now.of(cell)
        rows = rows[rows["attempts"] >= press]
        before = [h.of(cell) for h in view.reference(cell.source)]
        habit = [b["user"][b["attempts"] >= press] for b in before]
        usual = mean(habit)
        numbers["pressing"] += len(rows)
        numbers["pressing_usual"] += usual
        if (cell, RETRY) not in plan:
            continue
        often = among(rows["user"], distinct(habit))
        excess = max(0, ceil(len(rows) - usual))
        picked = rows[np.lexsort((rows["user"], -rows["attempts"].astype(int), often))[:excess]]
        hits = np.full(len(picked), Hit.PRESSING, np.uint8)
        parts.append(affected(cell, picked, hits, with_code=False))


def _codes(view: View, plan: Plan) -> tuple[Affected, dict[int, float]]:
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


def _feeds(view: View, plan: Plan, numbers: dict[str, float]) -> None:
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


def _lost(lost: dict[tuple[int, Client], float]) -> float:
    """User-hours lost: a client counts once, by the source that tells most of it."""
    coarse = {fine: c for c, finer in FINER_CLIENTS.items() for fine in finer}
    told: dict[Client, dict[int, float]] = {}
    for (space, client), value in lost.items():
        by_space = told.setdefault(coarse.get(client, client), {})
        by_space[space] = by_space.get(space, 0.0) + max(0.0, value)
    return sum(max(by_space.values()) for by_space in told.values())
