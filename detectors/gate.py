"""When a lane may learn: never from a change, never for ever from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.evidence import Evidence

# e^4: the change is 55 times likelier than none. A lane in doubt does not learn.
SUSPICIOUS: Final = 4.0
# An intermittent outage comes back within half a day; its pauses are no normal hours.
SHY_HOURS: Final = 12.0


@dataclass(slots=True)
class LearningGate(LaneArrays):
    """Per lane: hours it has refused to learn, hours since a flag, doubt in this hour."""

    refused: NDArray[np.float64]
    shy: NDArray[np.float64]
    doubted: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> LearningGate:
        """No lane yet."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0, bool))

    def watch(self, evidence: Evidence, changed: list[int], suspicious: float = SUSPICIOUS) -> None:
        """Note which lanes are open, have just changed or are in doubt (a score above ``suspicious``)."""
        self.shy[evidence.is_open] = SHY_HOURS
        self.shy[changed] = SHY_HOURS
        self.doubted |= evidence.peak > np.exp(suspicious)

    def close_hour(
        self, quiet: NDArray[np.bool_], doubt_hours: float, freeze_hours: float
    ) -> NDArray[np.bool_]:
        """Which lanes may learn the hour that ends; ``quiet`` lanes hold a special day.

        A refusal ends after ``doubt_hours`` of mere doubt, after ``freeze_hours`` of an
        open flag or a special day: then the new level is accepted.
        """
        strong = (self.shy > 0.0) | quiet
        refuse = strong | self.doubted
        learns = ~refuse | (self.refused >= np.where(strong, freeze_hours, doubt_hours))
        self.refused = np.where(refuse, self.refused + 1.0, 0.0)
        self.shy = np.maximum(self.shy - 1.0, 0.0)
        self.doubted = np.zeros(len(self.doubted), bool)
        return learns
