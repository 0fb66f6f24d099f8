"""The floor: a CUSUM that knows everything but when.

It is given the true rate and level of every minute, the dispersion and the size of the
outage it waits for, and forgets each outage the minute it ends. The CUSUM with known
parameters is exactly minimax (Moustakides 1986), so nothing that is calibrated to the same
false-alarm rate can do better on average; and nothing real knows the hidden level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import gammaln

from benchmarks.detection.alarms import Trace
from benchmarks.detection.plan import DROPS, FAILURES, OUTAGE_MINUTES
from benchmarks.detection.streams import DISPERSION, RHO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.detection.streams import Streams

    Floats = NDArray[np.float64]

# Far above any threshold in use; keeps a dead minute of a large stream finite.
_MOST: Final = 1e3


def oracle(streams: Streams, kind: str) -> Trace:
    """The CUSUM that waits for outages of one kind."""
    if kind in FAILURES:
        llr = failure_ratio(streams.failing_users, streams.users, FAILURES[kind], streams.rate, RHO)
    else:
        llr = drop_ratio(streams.accesses, streams.mean, 1.0 - DROPS[kind], DISPERSION)
    forget = np.zeros(llr.shape, bool)
    for outage in streams.outages:
        end = outage.start + OUTAGE_MINUTES
        if outage.kind != kind:
            llr[outage.lane, outage.start : end] = 0.0
        forget[outage.lane, end : end + 1] = True
    return Trace(cusum(llr, forget))


def cusum(llr: Floats, forget: NDArray[np.bool_]) -> Floats:
    """W_t = max(0, W_{t-1} + llr_t), begun anew where ``forget``; shape (lanes, minutes)."""
    steps = np.ascontiguousarray(np.clip(llr, -_MOST, _MOST).T)
    keep = np.ascontiguousarray(~forget.T).astype(float)
    walk = np.zeros(steps.shape[1])
    for at in range(len(steps)):
        walk = np.minimum(np.maximum(walk * keep[at] + steps[at], 0.0), _MOST)
        steps[at] = walk
    return np.ascontiguousarray(steps.T)


def failure_ratio(failing: Floats, users: Floats, p1: float, p0: Floats, rho: float) -> Floats:
    """Log of BB(failing | users, p1, rho) / BB(failing | users, p0, rho); rho 0 = binomial."""
    good = users - failing
    if rho == 0.0:
        return np.asarray(failing * np.log(p1 / p0) + good * np.log((1.0 - p1) / (1.0 - p0)))
    weight = 1.0 / rho - 1.0
    a0, b0, a1, b1 = p0 * weight, (1.0 - p0) * weight, p1 * weight, (1.0 - p1) * weight
    ratio = gammaln(failing + a1) - gammaln(a1) + gammaln(good + b1) - gammaln(b1)
    return np.asarray(
        ratio - gammaln(failing + a0) + gammaln(a0) - gammaln(good + b0) + gammaln(b0)
    )


def drop_ratio(count: Floats, mean: Floats, remains: float, dispersion: float) -> Floats:
    """Log of NB(count | remains * mean) / NB(count | mean), variance dispersion * mean."""
    if remains == 0.0:
        nothing = mean * np.log(dispersion) / (dispersion - 1.0)
        return np.where(count > 0, -_MOST, nothing)
    size0 = mean / (dispersion - 1.0)
    size1 = remains * size0
    return np.asarray(
        gammaln(count + size1)
        - gammaln(size1)
        - gammaln(count + size0)
        + gammaln(size0)
        + (size0 - size1) * np.log(dispersion)
    )
