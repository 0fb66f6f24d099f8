"""The laws that a lane's counts are held against: what a sceptic needs to redo the sum."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LawName(StrEnum):
    """Which formula of ``detectors.likelihood`` the ratios come from."""

    BETA_BINOMIAL = "beta_binomial"
    NEGATIVE_BINOMIAL = "negative_binomial"


@dataclass(frozen=True, slots=True)
class Law:
    """Null and alternatives of some minutes, by lane.

    Attributes:
        name: the formula.
        null: rate or mean count without a change, shape (lanes, minutes).
        alternatives: the same under each change, shape (lanes, alternatives, minutes).
        spread: correlation rho of the beta-binomial, variance over mean phi of the
            negative binomial law, shape (lanes,).
    """

    name: LawName
    null: NDArray[np.float64]
    alternatives: NDArray[np.float64]
    spread: NDArray[np.float64]
