"""How late each source's records come: learned from (event time, received time) pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.vocabulary import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Declared (median, p95) delays in seconds, used while a source tells no arrival times.
# Sign-ins: 1-4 min seen, 2-8 min by diagnostic settings. Audit: 60-90 min is typical.
DECLARED: Final[dict[Source, tuple[float, float]]] = {
    Source.ENTRA_SIGNIN: (150.0, 420.0),
    Source.ENTRA_SIGNIN_NONINTERACTIVE: (150.0, 420.0),
    Source.EXCHANGE_AUDIT: (4500.0, 5400.0),
    Source.ENTRA_DIRECTORY_AUDIT: (300.0, 900.0),
}
# Later than this is counted as late. Sign-ins are fully joined within 2 h (Entra FAQ); the
# Activity API states no bound, so a day.
LATE_AFTER: Final[dict[Source, float]] = {
    Source.ENTRA_SIGNIN: 7200.0,
    Source.ENTRA_SIGNIN_NONINTERACTIVE: 7200.0,
    Source.EXCHANGE_AUDIT: 86400.0,
    Source.ENTRA_DIRECTORY_AUDIT: 86400.0,
}
# Edges of the delay histogram: 40 bins per factor of ten from 1 s to 11 days.
_EDGES: Final = np.logspace(0, 6, 241)
_DECAY_A_DAY: Final = 0.8
_ENOUGH: Final = 200.0


@dataclass(slots=True)
class Arrival:
    """Decayed histogram of one source's delays; ``declared`` stands in until it is filled."""

    source: Source
    declared: tuple[float, float] = (0.0, 0.0)
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(_EDGES) + 1))

    def learn(self, delays_seconds: NDArray[np.float64], days: float) -> None:
        """Take delays over, after forgetting for ``days`` days."""
        self.counts *= _DECAY_A_DAY**days
        at = np.searchsorted(_EDGES, delays_seconds)
        self.counts += np.bincount(at, minlength=len(self.counts))

    @property
    def measured(self) -> bool:
        """Whether enough arrival times were seen to prefer them to the declared delay."""
        return float(self.counts.sum()) >= _ENOUGH

    def quantile(self, share: float) -> float:
        """Delay in seconds within which ``share`` of the records have come."""
        cumulative = np.cumsum(self.counts)
        at = int(np.searchsorted(cumulative, share * cumulative[-1]))
        return float(_EDGES[min(at, len(_EDGES) - 1)])

    def settle(self) -> tuple[float, float]:
        """Median and 95 % delay in seconds: measured, else declared."""
        if not self.measured:
            return self.declared
        return self.quantile(0.5), self.quantile(0.95)
