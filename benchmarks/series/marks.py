"""Marks for scores of labelled series: event F1, and the standard profile of NAB.

Both take the one threshold over all series that gives the best mark, as NAB does itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.series.made import Series

    Scores = NDArray[np.float64]

PROBATION = 0.15
# An alarm counts for a window from so many rows before it to so many after.
SLACK = 7
# An alarm that lasts costs again after so many rows.
LASTING = 24
# The standard profile of NAB (Lavin and Ahmad 2015, section 2).
FALSE_ALARM = 0.11
_CANDIDATES = 150


@dataclass(frozen=True, slots=True)
class Mark:
    """The best mark, and the threshold that gives it."""

    value: float
    precision: float
    recall: float
    threshold: float


def probation(rows: int) -> int:
    """Rows at the beginning that are not marked: 15 %, of 5,000 at most (NAB)."""
    return int(PROBATION * min(rows, 5000))


def thresholds(scores: Sequence[Scores]) -> NDArray[np.float64]:
    """Candidates: few alarms to many, of all rows that are marked."""
    every = np.concatenate([s[probation(len(s)) :] for s in scores])
    shares = 1.0 - np.geomspace(0.5 / len(every), 0.2, _CANDIDATES)
    return np.unique(np.quantile(every, shares))


def event_f1(series: Sequence[Series], scores: Sequence[Scores]) -> Mark:
    """F1 of events: a window is found if an alarm begins in it, give or take 7 rows.

    Every alarm elsewhere is false, and so are every 24 of its rows beyond the first.
    """
    best = Mark(0.0, 0.0, 0.0, np.inf)
    for level in thresholds(scores):
        found = false = labelled = 0
        for one, score in zip(series, scores, strict=True):
            a, b, c = _events(one, score, float(level))
            found, false, labelled = found + a, false + b, labelled + c
        precision = found / max(found + false, 1)
        recall = found / max(labelled, 1)
        value = 2 * precision * recall / max(precision + recall, 1e-12)
        if value > best.value:
            best = Mark(value, precision, recall, float(level))
    return best


def _events(one: Series, score: Scores, level: float) -> tuple[int, int, int]:
    """Windows found, false alarms, windows."""
    start = probation(len(score))
    alarm = score >= level
    alarm[:start] = False
    begins = np.flatnonzero(alarm & ~np.append(False, alarm[:-1]))
    ends = np.flatnonzero(alarm & ~np.append(alarm[1:], False)) + 1
    windows = [w for w in one.windows if w[1] >= start]
    good = np.zeros(len(begins), bool)
    found = 0
    for first, last in windows:
        inside = (begins >= first - SLACK) & (begins <= last + SLACK)
        found += bool(inside.any())
        good |= inside
    lengths = (ends - begins)[~good]
    return found, int((1 + (lengths - 1) // LASTING).sum()), len(windows)


def window_score(series: Sequence[Series], scores: Sequence[Scores]) -> Mark:
    """The standard profile of NAB: early in the window is better, 0 = no alarm, 100 = best."""
    best = Mark(0.0, 0.0, 0.0, np.inf)
    rewards = [_rewards(one) for one in series]
    windows = sum(len(_marked(one)) for one in series)
    for level in thresholds(scores):
        total = 0.0
        for one, score, (inside, outside) in zip(series, scores, rewards, strict=True):
            alarm = score >= level
            alarm[: probation(len(score))] = False
            total += outside[alarm].sum()
            for first, last in _marked(one):
                hit = np.flatnonzero(alarm[first : last + 1])
                total += inside[first + hit[0]] if len(hit) else -1.0
        value = 100.0 * (total + windows) / (2.0 * windows)
        if value > best.value:
            best = Mark(value, 0.0, 0.0, float(level))
    return best


def _marked(one: Series) -> list[tuple[int, int]]:
    return [w for w in one.windows if w[1] >= probation(len(one.value))]


def _sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2.0 / (1.0 + np.exp(5.0 * np.minimum(y, 50.0))) - 1.0)


def _rewards(one: Series) -> tuple[Scores, Scores]:
    """What an alarm at each row earns inside its window, and costs outside of all."""
    rows = np.arange(len(one.value), dtype=float)
    inside, cost = np.zeros(len(rows)), np.full(len(rows), -1.0)
    for first, last in one.windows:
        width = last - first + 1
        span = slice(first, last + 1)
        inside[span] = _sigmoid(-(last - rows[span] + 1) / width) / _sigmoid(np.array(-1.0))
        after = rows[last + 1 :]
        cost[last + 1 :] = _sigmoid((after - last) / max(width - 1, 1))
        cost[span] = 0.0
    return inside, FALSE_ALARM * cost
