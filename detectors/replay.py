"""The minutes of a flag once more, one by one, through the statistics that raised it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.evidence import Evidence, Minutes
from detectors.likelihood import beta_binomial_ratio, negative_binomial_ratio
from detectors.recursion import LEAST
from pipeline.model.trace import LawName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.evidence import Change


@dataclass(frozen=True, slots=True)
class Replay:
    """How the evidence grew; arrays of shape (minutes, alternatives) or (minutes,).

    Attributes:
        r, cusum: R and W after each minute.
        score: log of the mean R, at least 0.
        winner: the alternative that won, if the flag is raised again.
        raised: the change as it is found again, or None.
    """

    r: NDArray[np.float64]
    cusum: NDArray[np.float64]
    score: NDArray[np.float64]
    winner: int
    raised: Change | None


def ratios(
    law: LawName,
    observed: NDArray[np.float64],
    trials: NDArray[np.float64],
    null: NDArray[np.float64],
    alternatives: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Log-likelihood ratios as they are summed, at least -10, shape (minutes, alternatives).

    The arguments are columns of TRACE_SCHEMA.
    """
    seen, m0, wide = observed[:, None], null[:, None], spread[:, None]
    if law is LawName.BETA_BINOMIAL:
        llr = beta_binomial_ratio(seen, trials[:, None], alternatives, m0, wide)
    else:
        remains = alternatives / np.where(m0 > 0.0, m0, 1.0)
        remains = np.where(m0 > 0.0, remains, 1.0)
        llr = negative_binomial_ratio(seen, m0, remains, wide)
    return np.asarray(np.maximum(llr, LEAST))


def replay(
    first: int,
    llr: NDArray[np.float64],
    judged: NDArray[np.bool_],
    threshold: NDArray[np.float64],
    carried: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Replay:
    """Take minutes up to an alarm over again.

    Args:
        first: first minute, since 1970.
        llr: log-likelihood ratios, shape (minutes, alternatives).
        judged: which minutes counted, shape (minutes,).
        threshold: alarm level of each minute, shape (minutes,).
        carried: R and W of each alternative before the first minute.
    """
    evidence = Evidence.empty(llr.shape[1])
    evidence.grow(1)
    evidence.r[0], evidence.cusum[0] = carried
    r, cusum, score = np.zeros(llr.shape), np.zeros(llr.shape), np.zeros(len(llr))
    raised = None
    for at in range(len(llr)):
        minute = Minutes(
            first + at, llr[at][None, :, None], np.zeros((3, 1, 1)), judged[at].reshape(1, 1)
        )
        for change in evidence.advance(minute, threshold[at : at + 1]):
            raised = raised or change
        r[at], cusum[at], score[at] = evidence.r[0], evidence.cusum[0], evidence.score()[0]
    winner = int(evidence.winner[0]) if raised else int(np.argmax(r[-1]))
    return Replay(r, cusum, score, winner, raised)
