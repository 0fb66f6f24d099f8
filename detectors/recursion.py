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

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Bools = NDArray[np.bool_]

# Beyond the alarm level more evidence only delays the recovery; 3 nats keep a margin.
HEADROOM: Final = math.exp(3.0)
# One minute undoes at most 10 nats: with 60 of them a statistic stays within a double's
# range, and after a minute like that it is below 1e-4 in any case.
LEAST: Final = -10.0
# A recovery is believed at likelihood ratio 1000 against the change.
RECOVERED: Final = 6.9

_FEW_FAILING: Final = 4
_FEW_USERS: Final = 64

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _take(
    lane: int,
    at: int,
    minute: int,
    most: float,
    llr: _Floats,
    counts: _Floats,
    r: _Floats,
    cusum: _Floats,
    onset: _Ints,
    sums: _Floats,
) -> float:
    """Take one minute of a lane in, and tell the mean of R behind it."""
    alternatives: int = r.shape[1]
    mean = 0.0
    empty = counts[0, lane, at] == counts[1, lane, at] == counts[2, lane, at] == 0.0
    for j in range(alternatives):
        ratio = max(llr[lane, j, at], LEAST)
        if cusum[lane, j] <= 0.0:
            onset[lane, j] = minute
            for k in range(3):
                sums[lane, j, k] = 0.0
        if not empty:
            for k in range(3):
                sums[lane, j, k] += counts[k, lane, at]
        grown = 1.0 + r[lane, j]
        if ratio != 0.0:  # as most minutes of most lanes say nothing
            grown *= math.exp(ratio)
            cusum[lane, j] = max(cusum[lane, j] + ratio, 0.0)
        r[lane, j] = min(grown, most)
        mean += r[lane, j]
    return mean / alternatives


@_compiled
def _recovers(
    lane: int,
    at: int,
    minute: int,
    llr: _Floats,
    counts: _Floats,
    winner: _Ints,
    flag_sums: _Floats,
    recovery: _Floats,
    recovery_from: _Ints,
    recovery_sums: _Floats,
) -> bool:
    """Whether the change is over; what the flag sums stops where the recovery began."""
    if recovery[lane] <= 0.0:
        recovery_from[lane] = minute
        for k in range(3):
            flag_sums[lane, k] += recovery_sums[lane, k]
            recovery_sums[lane, k] = 0.0
    for k in range(3):
        recovery_sums[lane, k] += counts[k, lane, at]
    ratio = max(llr[lane, winner[lane], at], LEAST)
    recovery[lane] = max(recovery[lane] - ratio, 0.0)
    return bool(recovery[lane] >= RECOVERED)


@_compiled
def walk(
    first: int,
    begin: _Ints,
    end: _Ints,
    minutes: tuple[_Floats, _Floats, _Bools],
    levels: _Floats,
    calm: tuple[_Floats, _Floats, _Floats, _Ints, _Floats],
    flags: tuple[_Bools, _Ints, _Floats, _Floats, _Floats, _Ints, _Floats],
) -> _Bools:
    """Take each lane over its minutes, up to the one in which its flag turns; tell which did.

    A lane turns where it raises its alarm, and where its flag is open and the change is over.

    Args:
        first: the minute since 1970 at index 0.
        begin: first minute to take, as an index, shape (lanes,).
        end: the index behind the last, same shape; where a lane turns, the one behind that.
        minutes: ratios, sums and what is judged, as in :class:`detectors.evidence.Minutes`.
        levels: mean R that is an alarm, shape (lanes,).
        calm: r, peak, cusum, onset and sums, as in :class:`detectors.evidence.Evidence`;
            they are changed, as are those of the open flags.
        flags: is_open, winner, flag_score, flag_sums, recovery, recovery_from and
            recovery_sums, as there.
    """
    llr, counts, judged = minutes
    r, peak, cusum, onset, sums = calm
    is_open, winner, score, flag_sums, recovery, recovery_from, recovery_sums = flags
    turned = np.zeros(len(begin), np.bool_)
    for lane in range(len(begin)):
        most = levels[lane] * HEADROOM
        for at in range(begin[lane], end[lane]):
            if not judged[lane, at]:
                continue
            minute = first + at
            mean = _take(lane, at, minute, most, llr, counts, r, cusum, onset, sums)
            peak[lane] = max(peak[lane], mean)
            if is_open[lane]:
                score[lane] = max(score[lane], math.log(max(mean, 1.0)))
                recovered = (winner, flag_sums, recovery, recovery_from, recovery_sums)
                turned[lane] = _recovers(lane, at, minute, llr, counts, *recovered)
            else:
                turned[lane] = mean >= levels[lane]
            if turned[lane]:
                end[lane] = at + 1
                break
    return turned


@_compiled
def _log_rising(a: float, n: float) -> float:
    """Log of a (a + 1) ... (a + n - 1)."""
    return math.lgamma(a + n) - math.lgamma(a) if n > 0.0 else 0.0


@_compiled
def beta_binomial_minutes(
    failing: _Floats,
    users: _Floats,
    p1: _Floats,
    p0: _Floats,
    rho: _Floats,
) -> _Floats:
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
        alike = np.zeros((_FEW_FAILING, _FEW_USERS), np.int64)  # 1 + an earlier minute
        size = 1.0 / rho[lane] - 1.0
        for at in range(minutes):
            n, f = users[lane, at], failing[lane, at]
            if n <= 0.0:
                continue
            few = n < _FEW_USERS and f < _FEW_FAILING
            if few and alike[int(f), int(n)] > 0:
                for j in range(alternatives):
                    out[lane, j, at] = out[lane, j, alike[int(f), int(n)] - 1]
                continue
            usual = _log_rising(p0[lane] * size, f) + _log_rising((1.0 - p0[lane]) * size, n - f)
            for j in range(alternatives):
                p = p1[lane, j]
                raised = _log_rising(p * size, f) + _log_rising((1.0 - p) * size, n - f)
                out[lane, j, at] = raised - usual
            if few:
                alike[int(f), int(n)] = at + 1
    return out
