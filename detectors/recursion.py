"""The recursions of ``detectors.evidence``, lane by lane and minute by minute, compiled.

One pass in the order of the minutes is all they need, so a compiled loop costs a tenth of
the same in whole arrays, and has no second form for calm hours that could differ.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Beyond the alarm level more evidence only delays the recovery; 3 nats keep a margin.
HEADROOM: Final = math.exp(3.0)
# One minute undoes at most 10 nats: with 60 of them a statistic stays within a double's
# range, and after a minute like that it is below 1e-4 in any case.
LEAST: Final = -10.0

_FEW_FAILING: Final = 4
_FEW_USERS: Final = 64

_compiled: Final = compiler([Path(__file__)])


@_compiled
def walk(
    first: int,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    llr: NDArray[np.float64],
    counts: NDArray[np.float64],
    judged: NDArray[np.bool_],
    levels: NDArray[np.float64],
    r: NDArray[np.float64],
    peak: NDArray[np.float64],
    cusum: NDArray[np.float64],
    onset: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Take each lane over its minutes, up to the one that raises its alarm; tell which did.

    ``first`` is the minute since 1970 at index 0. ``begin`` and ``end`` are the minutes to
    take, as indices, shape (lanes,); where an alarm is raised, ``end`` becomes the index
    behind it. ``levels`` holds the mean R that is an alarm, shape (lanes,). The minutes
    (``llr``, ``counts``, ``judged``) are as in :class:`detectors.evidence.Minutes`, and the
    statistics, which are changed, as in :class:`detectors.evidence.Evidence`.
    """
    alarm = np.zeros(len(begin), np.bool_)
    lanes, alternatives = r.shape
    for lane in range(lanes):
        most = levels[lane] * HEADROOM
        for at in range(begin[lane], end[lane]):
            if not judged[lane, at]:
                continue
            mean = 0.0
            empty = counts[0, lane, at] == counts[1, lane, at] == counts[2, lane, at] == 0.0
            for j in range(alternatives):
                ratio = max(llr[lane, j, at], LEAST)
                if cusum[lane, j] <= 0.0:
                    onset[lane, j] = first + at
                    sums[lane, j, :] = 0.0
                if not empty:
                    for k in range(3):
                        sums[lane, j, k] += counts[k, lane, at]
                grown = 1.0 + r[lane, j]
                if ratio != 0.0:  # as most minutes of most lanes say nothing
                    grown *= math.exp(ratio)
                    cusum[lane, j] = max(cusum[lane, j] + ratio, 0.0)
                r[lane, j] = min(grown, most)
                mean += r[lane, j]
            mean /= alternatives
            peak[lane] = max(peak[lane], mean)
            if mean >= levels[lane]:
                alarm[lane] = True
                end[lane] = at + 1
                break
    return alarm


@_compiled
def _log_rising(a: float, n: float) -> float:
    """Log of a (a + 1) ... (a + n - 1)."""
    return math.lgamma(a + n) - math.lgamma(a) if n > 0.0 else 0.0


@_compiled
def beta_binomial_minutes(
    failing: NDArray[np.float64],
    users: NDArray[np.float64],
    p1: NDArray[np.float64],
    p0: NDArray[np.float64],
    rho: NDArray[np.float64],
) -> NDArray[np.float64]:
    """:func:`detectors.likelihood.beta_binomial_ratio` of lanes whose law holds for all minutes.

    Counts have shape (lanes, minutes), ``p1`` (lanes, alternatives), ``p0`` and ``rho``
    (lanes,); returns shape (lanes, alternatives, minutes). What depends on the number of
    users alone cancels, and a minute like an earlier one of its lane, as most are, takes
    that one's ratios.
    """
    lanes, minutes = users.shape
    alternatives = p1.shape[1]
    out = np.zeros((lanes, alternatives, minutes))
    for lane in range(lanes):
        alike = np.full((_FEW_FAILING, _FEW_USERS), -1)
        size = 1.0 / rho[lane] - 1.0
        for at in range(minutes):
            n, f = users[lane, at], failing[lane, at]
            if n <= 0.0:
                continue
            few = n < _FEW_USERS and f < _FEW_FAILING
            if few and alike[int(f), int(n)] >= 0:
                out[lane, :, at] = out[lane, :, alike[int(f), int(n)]]
                continue
            usual = _log_rising(p0[lane] * size, f) + _log_rising((1.0 - p0[lane]) * size, n - f)
            for j in range(alternatives):
                p = p1[lane, j]
                raised = _log_rising(p * size, f) + _log_rising((1.0 - p) * size, n - f)
                out[lane, j, at] = raised - usual
            if few:
                alike[int(f), int(n)] = at
    return out
