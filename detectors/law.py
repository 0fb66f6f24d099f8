"""The laws that a lane's counts are held against: what a sceptic needs to redo the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.model.trace import LawName


@dataclass(frozen=True, slots=True)
class Law:
    """Null and alternatives of some minutes, by lane.

    Attributes:
        name: the formula.
        null: rate or mean count without a change, shape (lanes, minutes); (lanes, 1) if
            it is the same for all minutes.
        alternatives: the same under each change, shape (lanes, alternatives, minutes or 1).
        spread: correlation rho of the beta-binomial, variance over mean phi of the
            negative binomial law, shape (lanes,) or (lanes, minutes).
    """

    name: LawName
    null: NDArray[np.float64]
    alternatives: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one call of ``advance`` was told and how it stood before.

    Attributes:
        first: first minute, since 1970.
        law: what the minutes were held against.
        sums: observed, expected and trials, shape (3, lanes, minutes).
        judged: which minutes counted, shape (lanes, minutes).
        threshold: alarm level of each lane, or of all.
        r, cusum: statistics before the first minute, shape (lanes, alternatives).
    """

    first: int
    law: Law
    sums: NDArray[np.float64]
    judged: NDArray[np.bool_]
    threshold: float | NDArray[np.float64]
    r: NDArray[np.float64]
    cusum: NDArray[np.float64]
