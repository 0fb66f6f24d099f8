"""Who is missed: people expected in a cell, by habit and by who is at work at all."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.correlate.history import among, distinct, human
from pipeline.correlate.tally import AUDIT_SPACE, SIGNIN_SPACE, Affected, Hit
from pipeline.correlate.view import (
    DROP,
    ENOUGH_USERS,
    Plan,
    View,
    active_users,
    affected,
    mean,
    ok_rows,
    space_of,
)
from pipeline.model.vocabulary import CLIENT_FAMILIES, Client, same_client

if TYPE_CHECKING:
    from pipeline.correlate.history import I32, U64, Hour
    from pipeline.model.window import Cell

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

SIGMAS: Final = 2.0  # a fall within this is chance
SMALL_PLACE: Final = 5.0  # expected users of a network below which it is not judged alone


def people_at_work(view: View, plan: Plan, numbers: dict[str, float]) -> dict[int, float]:
    """By id space, the share of the usual people who are at work, 0..1.

    Told by the clients that are not in the incident, each log by itself: devices renew
    their sign-ins on holidays too, mail is read by people.

    Args:
        view: the hour and its references.
        plan: what is flagged.
        numbers: gets all_*, other_* and signin_* (see Tally).
    """
    planned = {c.client for c, _ in plan}
    reference = view.reference(min(c.source for c, _ in plan))
    cells = view.human([view.now, *reference])
    attendance: dict[int, tuple[float, float, float]] = {}
    best = (0.0, 0.0, 0.0)
    for space in (SIGNIN_SPACE, AUDIT_SPACE):
        own = [c for c in cells if space_of(c.source) == space]
        expected = mean(active_users(reference, own))
        observed = mean(active_users([view.now], own))
        if space == SIGNIN_SPACE:
            numbers["signin_expected"], numbers["signin_observed"] = expected, observed
        ratio = observed / expected if expected >= ENOUGH_USERS else -1.0
        best = max(best, (ratio, expected, observed))
        rest = [c for c in own if not any(same_client(c.client, p) for p in planned)]
        attendance[space] = _attendance(view, reference, rest)
    numbers["all_expected"], numbers["all_observed"] = best[1], best[2]
    dropped = [space_of(c.source) for c, what in plan if what == DROP]
    own_space = max(dropped, default=SIGNIN_SPACE)
    order = sorted(attendance, key=lambda s: s != own_space)
    told = [s for s in order if attendance[s][1] >= ENOUGH_USERS] or order
    _, numbers["other_expected"], numbers["other_observed"] = attendance[told[0]]
    return {s: attendance[s if s in told else told[0]][0] for s in attendance}


def _attendance(view: View, reference: list[Hour], cells: list[Cell]) -> tuple[float, float, float]:
    """Share of the usual people who are there (1 if too few are usual), expected, observed.

    The median over the networks of these people: on a holiday all of them are empty; one
    site that is cut off is no reason to expect fewer people everywhere.
    """
    held = [h.good(c) for h in reference for c in cells]
    seen = np.concatenate([np.empty(0, np.uint64), *(users for users, _ in held)])
    homes = np.concatenate([np.empty(0, np.int32), *(networks for _, networks in held)])
    # A network that is known goes before none.
    known_first = np.argsort(homes < 0, kind="stable")
    people, first = np.unique(seen[known_first], return_index=True)
    homes = homes[known_first][first]
    shares = np.zeros(len(people))
    for users in active_users(reference, cells):
        shares[among(people, users)] += 1.0 / len(reference)
    now = distinct(view.now.good(c)[0] for c in cells)
    expected = float(shares.sum())
    if expected < ENOUGH_USERS:
        return 1.0, expected, float(len(now))
    here = among(people, now)
    places = np.unique(homes)
    ratios = np.array([here[homes == p].sum() / shares[homes == p].sum() for p in places])
    sizes = np.array([shares[homes == p].sum() for p in places])
    order = np.argsort(ratios, kind="stable")
    middle = np.searchsorted(np.cumsum(sizes[order]), sizes.sum() / 2.0)
    whole = len(now) / expected
    return float(min(1.0, max(whole, ratios[order][middle]))), expected, float(len(now))


def drops(
    view: View,
    plan: Plan,
    at_work: dict[int, float],
    numbers: dict[str, float],
    parts: list[Affected],
    lost: dict[tuple[int, Client], float],
) -> None:
    """Count the cells that dropped: how many are missed, who, and what they use instead.

    Args:
        view: the hour and its references.
        plan: what is flagged.
        at_work: by id space, share of the usual people who are at work at all.
        numbers: gets the sums (see Tally).
        parts: gets the users missed.
        lost: by (id space, client), gets the user-hours lost.
    """
    names = ("expected", "observed", "missing", "missing_present", "missing_sibling")
    for cell in sorted(c for c, what in plan if what == DROP):
        reference = view.reference(cell.source)
        if not reference:
            continue
        usual = np.concatenate([ok_rows(h.of(cell)) for h in reversed(reference)])
        users, first, counts = np.unique(usual["user"], return_index=True, return_counts=True)
        now, _ = view.now.good(cell)
        shares = at_work[space_of(cell.source)] * counts / len(reference)
        shares *= _last_week(reference, cell, view.now.hour, len(usual) / len(reference))
        expected = float(shares.sum())
        deficit = expected - len(now)
        key = (space_of(cell.source), cell.client)
        lost[key] = max(lost.get(key, 0.0), deficit if deficit > _noise(shares) else 0.0)
        present = among(users, _seen(view, cell))
        here = among(users, now)
        gone = _missed(shares, here, usual["network"][first], present, users, deficit)
        present = present[gone]
        hits = np.where(present, Hit.MISSING, Hit.MISSING | Hit.ABSENT).astype(np.uint8)
        parts.append(affected(cell, usual[first[gone]], hits, with_code=False))
        sibling = among(users[gone], _siblings(view, cell, plan))
        values = (expected, len(now), len(gone), present.sum(), sibling.sum())
        for name, value in zip(names, values, strict=True):
            numbers[name] = numbers.get(name, 0.0) + float(value)


def _noise(shares: Floats) -> float:
    """Standard deviation of the number who come, each with the given chance.

    Half a pseudo-user each way keeps "always came, on four days" from being certain.
    """
    chances = np.clip(shares, 0.05, 0.95)
    return float(np.sqrt((chances * (1.0 - chances)).sum()))


def _missed(
    shares: Floats, here: Bools, homes: I32, present: Bools, users: U64, deficit: float
) -> npt.NDArray[np.intp]:
    """Which of the usual users count as missed.

    The deficit says how many; who they are, is told first by the networks that fell
    beyond chance, then by who is at work elsewhere, then by who comes most reliably.

    Args:
        shares: chance of each user to come.
        here: whether they came.
        homes: their usual network; those too small to judge count as one.
        present: whether they are at work in any client.
        users: their ids, to break ties.
        deficit: expected minus observed users of the cell.
    """
    if deficit <= SIGMAS * _noise(shares):
        return np.empty(0, np.intp)
    places, sizes = np.unique(homes, return_inverse=True)
    small = np.bincount(sizes, shares)[sizes] < SMALL_PLACE
    group = np.where(small, len(places), sizes)
    short = {int(g): float((shares[group == g] - here[group == g]).sum()) for g in np.unique(group)}
    fallen = {g: n for g, n in short.items() if n > SIGMAS * _noise(shares[group == g])}
    if not fallen:
        group, fallen = np.zeros_like(group), {0: deficit}
    scale = min(1.0, deficit / sum(fallen.values()))
    picked = []
    for place, number in sorted(fallen.items()):
        gone = np.flatnonzero((group == place) & ~here)
        order = np.lexsort((users[gone], -shares[gone], ~present[gone]))
        picked.append(gone[order[: ceil(scale * number)]])
    return np.concatenate(picked)


def _last_week(reference: list[Hour], cell: Cell, hour: int, usual: float) -> float:
    """Factor, at most 1, where this hour of last week held clearly fewer than other days.

    Monday 02:00 UTC is Sunday evening in America: no other working day is like it.
    """
    same = [h for h in reference if h.hour == hour - 168]
    if not same or not usual:
        return 1.0
    held = len(same[0].good(cell)[0])
    return min(1.0, (held + sqrt(held)) / usual)


def _seen(view: View, cell: Cell) -> U64:
    """Users at work in any client, by the same kind of log."""
    space = space_of(cell.source)
    cells = [c for c in human(view.now.cells, view.tenant) if space_of(c.source) == space]
    return distinct(view.now.of(c)["user"] for c in cells)


def _siblings(view: View, cell: Cell, plan: Plan) -> U64:
    """Users now at work in another client of the same product line that is not flagged."""
    line = {c for clients in CLIENT_FAMILIES.values() if cell.client in clients for c in clients}
    line -= {c.client for c, _ in plan}
    cells = [c for c in human(view.now.cells, view.tenant) if c.client in line]
    kin = [c for c in cells if not same_client(c.client, cell.client)]
    return distinct(view.now.good(c)[0] for c in kin)
