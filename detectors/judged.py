"""What the drop detector makes of some minutes, put together from lanes judged apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.law import Law
from pipeline.model.trace import LawName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.evidence import Change
    from detectors.level import Told


@dataclass(slots=True)
class Judged:
    """The laws of some minutes, what they rest on and what they led to.

    Attributes:
        law: what the counts were held against.
        llr: log-likelihood ratios, shape (lanes, alternatives, minutes).
        common: level that the siblings tell, shape (lanes, minutes).
        expected: usual counts times it, same shape.
        changes: what opened and closed.
    """

    law: Law
    llr: NDArray[np.float64]
    common: NDArray[np.float64]
    expected: NDArray[np.float64]
    changes: list[Change]

    @classmethod
    def calm(cls, told: Told, expected: NDArray[np.float64]) -> Judged:
        """Of all lanes, none of which turned."""
        law = Law(LawName.NEGATIVE_BINOMIAL, told.null, told.alternatives, told.spread)
        return cls(law, told.llr, told.common, expected, [])

    @classmethod
    def empty(cls, lanes: int, alternatives: int, minutes: int) -> Judged:
        """Nothing told yet."""
        narrow, wide = (lanes, minutes), (lanes, alternatives, minutes)
        law = Law(LawName.NEGATIVE_BINOMIAL, np.zeros(narrow), np.zeros(wide), np.ones(narrow))
        return cls(law, np.zeros(wide), np.ones(narrow), np.zeros(narrow), [])

    def take(
        self, lanes: NDArray[np.int64], span: slice, told: Told, expected: NDArray[np.float64]
    ) -> None:
        """Write down what some lanes were told in some minutes."""
        self.law.null[lanes, span] = told.null
        self.law.alternatives[lanes, :, span] = told.alternatives
        self.law.spread[lanes, span] = told.spread
        self.llr[lanes, :, span] = told.llr
        self.common[lanes, span] = told.common
        self.expected[lanes, span] = expected
