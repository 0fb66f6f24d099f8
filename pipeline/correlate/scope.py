"""The smallest slices (network, country, version, code) that explain an incident."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.correlate.history import ATTRIBUTES
from pipeline.model.incident import ScopeSlice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.correlate.history import I32, History
    from pipeline.correlate.tally import Affected, Tally
    from pipeline.model.window import Cell

WEEK: Final = 7 * 24
MAX_SLICES: Final = 4
MIN_USERS: Final = 3
EXCESS: Final = 0.15  # a slice has to hold this much more than its usual share
LIFT: Final = 1.5  # and this many times its usual share
SIGMAS: Final = 3.0  # and more than chance gives among some hundred candidate slices
CODE_SHARE: Final = 0.5  # a code is a slice only if most of the failing users met it


@dataclass(frozen=True, slots=True)
class Mix:
    """Usual shares of user-hours by attribute value, of known values only."""

    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    user_hours: int = 0

    def usual(self, dimension: str, value: str) -> float:
        """The usual share of ``value``, 0..1; one pseudo-hour for what was never seen."""
        return self.shares.get(dimension, {}).get(value, 1.0 / (self.user_hours + 2.0))


def normal_mix(history: History, cells: Iterable[Cell], before: int) -> Mix:
    """How the users of ``cells`` were spread in the week before hour ``before``."""
    wanted = sorted(set(cells))
    parts = [
        packed.of(cell)
        for hour, packed in history.hours.items()
        if before - WEEK <= hour < before
        for cell in wanted
        if cell in packed.cells
    ]
    if not parts:
        return Mix()
    shares: dict[str, dict[str, float]] = {}
    for dimension in ATTRIBUTES:
        codes = np.concatenate([p[dimension] for p in parts])
        counts = np.bincount(codes[codes >= 0])
        total = int(counts.sum())
        shares[dimension] = {
            history.name(at): int(counts[at]) / total for at in np.flatnonzero(counts).tolist()
        }
    return Mix(shares, sum(map(len, parts)))


@dataclass(frozen=True, slots=True)
class Concentration:
    """The commonest value of one attribute among the affected users.

    ``known`` is the number of affected users whose value is known, ``values`` the number
    of different values, ``inside`` and ``usual`` the shares of the commonest one.
    """

    value: str
    users: int
    known: int
    values: int
    inside: float
    usual: float


def concentration(
    history: History, rows: Affected, mix: Mix, dimension: str
) -> Concentration | None:
    """The commonest value of ``dimension``, or None if none is known."""
    counts = _counts(history, rows[dimension])
    if not counts:
        return None
    known = sum(counts.values())
    value = min(counts, key=lambda v: (-counts[v], v))
    share = counts[value] / known
    return Concentration(
        value, counts[value], known, len(counts), share, mix.usual(dimension, value)
    )


def _counts(history: History, codes: I32) -> dict[str, int]:
    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    return {history.name(v): c for v, c in zip(values.tolist(), counts.tolist(), strict=True)}


def slices(history: History, tally: Tally, rows: Affected, mix: Mix) -> tuple[ScopeSlice, ...]:
    """Greedy cover of the affected users by over-represented slices; empty = everywhere.

    The next slice is the one whose share differs most from its usual one, measured by
    n KL(inside || usual): of two slices with the same users the smaller one wins.
    """
    found: list[ScopeSlice] = []
    left = rows
    while (
        mix.user_hours and len(left) >= max(MIN_USERS, 0.1 * len(rows)) and len(found) < MAX_SLICES
    ):
        best: tuple[float, str, str] | None = None
        for dimension in ATTRIBUTES:
            counts = _counts(history, left[dimension])
            known = sum(counts.values())
            for value, count in sorted(counts.items()):
                usual = mix.usual(dimension, value)
                if known >= 0.5 * len(left) and _over(count, known, usual):
                    gain = known * _divergence(count / known, usual)
                    if best is None or gain > best[0] + 1e-9:
                        best = (gain, dimension, value)
        if best is None:
            break
        _, dimension, value = best
        code = history.names.index[value]
        total = int((rows[dimension] >= 0).sum())
        users = int((rows[dimension] == code).sum())
        found.append(
            ScopeSlice(
                dimension,
                value,
                share_inside=round(users / total, 4),
                share_normal=round(mix.usual(dimension, value), 4),
                affected_users=users,
            )
        )
        left = left[left[dimension] != code]
    return (*found, *_code_slices(tally))


def _code_slices(tally: Tally) -> list[ScopeSlice]:
    """The one failure code most failing users met, if it is rarer normally."""
    codes, counts = np.unique(tally.code_users["code"], return_counts=True)
    failing = len(np.unique(tally.code_users["user"]))
    if not failing:
        return []
    at = int(np.argmax(counts))
    code, users = int(codes[at]), int(counts[at])
    usual = (tally.code_usual.get(code, 0.0) + 0.5) / (sum(tally.code_usual.values()) + 1.0)
    share = users / failing
    if share < CODE_SHARE or not _over(users, failing, usual):
        return []
    return [ScopeSlice("code", str(code), round(share, 4), round(usual, 4), users)]


def _over(count: int, total: int, usual: float) -> bool:
    inside = count / total
    noise = sqrt(max(usual * (1.0 - usual), 1e-6) / total)
    return (
        count >= MIN_USERS
        and inside >= usual + EXCESS
        and inside >= LIFT * usual
        and inside - usual >= SIGMAS * noise
    )


def _divergence(inside: float, usual: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli shares, in nats."""
    usual = min(max(usual, 1e-6), 1.0 - 1e-6)
    out = inside * log(inside / usual) if inside > 0.0 else 0.0
    rest = 1.0 - inside
    return out + (rest * log(rest / (1.0 - usual)) if rest > 0.0 else 0.0)
