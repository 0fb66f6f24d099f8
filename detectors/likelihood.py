"""Log-likelihood ratios of one minute's counts; all arguments broadcast as numpy arrays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _log_gammas(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-gamma of each value; within two units in the last place of scipy's, as fast.

    Importing scipy for this one function took 0.15 s of every process.
    """
    out = np.empty_like(values)
    for at in range(len(values)):
        out[at] = math.lgamma(values[at])
    return out


def _log_gamma(values: Any) -> Any:
    array = np.asarray(values, np.float64)
    return _log_gammas(array.ravel()).reshape(array.shape)


def _log_beta(a: Any, b: Any) -> Any:
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def beta_binomial_ratio(failing: Any, users: Any, p1: Any, p0: Any, rho: Any) -> Any:
    """Log of BB(failing | users, p1, rho) / BB(failing | users, p0, rho).

    BB is the beta-binomial law with mean ``p`` and intra-class correlation ``rho``
    (variance n p (1-p) (1 + (n-1) rho); Skellam 1948), i.e. a = p (1/rho - 1),
    b = (1-p) (1/rho - 1). The binomial coefficient cancels. 0 where ``users`` is 0.
    """
    size = 1.0 / rho - 1.0
    a1, b1 = p1 * size, (1.0 - p1) * size
    a0, b0 = p0 * size, (1.0 - p0) * size
    good = users - failing
    return (
        _log_beta(failing + a1, good + b1)
        - _log_beta(a1, b1)
        - _log_beta(failing + a0, good + b0)
        + _log_beta(a0, b0)
    )


def negative_binomial_ratio(count: Any, mean: Any, remains: Any, phi: Any) -> Any:
    """Log of NB(count | remains * mean) / NB(count | mean), both of the size the null has.

    The null has variance ``phi * mean`` (phi > 1), so its size is k = mean / (phi - 1);
    with k fixed the ratio has a closed form and no gamma function. 0 where ``mean`` is 0.
    """
    mean = np.maximum(mean, 1e-12)
    size = mean / (phi - 1.0)
    shrink = np.log((size + mean) / (size + remains * mean))
    return count * (np.log(remains) + shrink) + size * shrink
