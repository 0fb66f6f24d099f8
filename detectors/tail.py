"""How rare a value is among all that came before, from the largest of them alone."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest so many values of each side are kept.
_KEPT: Final = 48
# Values of which one half is forgotten, so that a stream without end stays in the present.
_LIMIT: Final = 20_000.0
# The tail beyond the largest values is fitted to the upper 2 %, to at least 8 values.
_SHARE: Final = 0.02
_FEWEST: Final = 8
# No tail is believed to be thinner than x^-12.5, so that a record of a well-behaved series
# stays comparable with one of a wild series; none to be heavier than x^-0.5.
_INDEX: Final = (0.08, 2.0)
# Within the kept values the rank tells; among the last few of them the fit does.
_RANKED: Final = 4
_SMALLEST: Final = 1e-9


class Tail:
    """One side: evidence that a positive value is larger than usual.

    -ln of the share of values that were as large; beyond the largest by a Pareto law with
    Hill's estimate of its index (Hill 1975).

    >>> tail = Tail()
    >>> for n in range(1000):
    ...     tail.learn(n % 100 / 100)
    >>> tail.evidence(0.5), round(tail.evidence(0.99), 1), round(tail.evidence(20.0), 1)
    (0.0, 4.6, 41.6)
    """

    __slots__ = ("count", "index", "largest", "used")

    def __init__(self) -> None:
        self.count = 0.0
        self.largest: list[float] = []
        # The fit is made anew when the largest values change, and not in between.
        self.used = 0
        self.index = 0.0

    def evidence(self, value: float) -> float:
        """-ln P(as large as ``value``), 0 below the values that are kept."""
        kept = len(self.largest)
        if kept < _FEWEST or value <= self.largest[0]:
            return 0.0
        above = kept - bisect_left(self.largest, value)
        ranked = math.log((self.count + 1.0) / (above + 0.5))
        if above >= _RANKED:
            return ranked
        over = math.log(max(value, _SMALLEST) / max(self.largest[-self.used], _SMALLEST))
        fitted = math.log((self.count + 1.0) / self.used) + over / self.index
        return max(fitted, ranked if above else 0.0)

    def learn(self, value: float) -> None:
        """Take one value in; values at or below 0 belong to the other side."""
        self.count += 1.0
        if len(self.largest) < _KEPT or value > self.largest[0]:
            insort(self.largest, value)
            del self.largest[:-_KEPT]
            self._fit(max(_FEWEST, int(self.count * _SHARE)))
        if self.count >= _LIMIT:
            self.count /= 2.0
            # Every second of the largest, the largest among them.
            self.largest = self.largest[-1::-2][::-1]
            self._fit(self.used)

    def _fit(self, used: int) -> None:
        self.used = min(used, len(self.largest))
        logs = [math.log(max(x, _SMALLEST)) for x in self.largest[-self.used :]]
        mean = (math.fsum(logs) - self.used * logs[0]) / max(self.used - 1, 1)
        self.index = min(max(mean, _INDEX[0]), _INDEX[1])

    def snapshot(self) -> list[float]:
        """Plain JSON."""
        return [self.count, self.used, *self.largest]

    def restore(self, state: list[float]) -> None:
        """Take over what :meth:`snapshot` gave."""
        count, used, *largest = state
        self.count, self.largest = float(count), [float(x) for x in largest]
        if self.largest:
            self._fit(int(used))


class TwoTails:
    """Both sides of a statistic that is 0 where nothing is unusual."""

    __slots__ = ("above", "below")

    def __init__(self) -> None:
        self.above, self.below = Tail(), Tail()

    def evidence(self, value: float) -> float:
        """Evidence that ``value`` is too high, or too low."""
        return self.above.evidence(value) if value > 0.0 else self.below.evidence(-value)

    def learn(self, value: float) -> None:
        """Take one value in."""
        self.above.learn(max(value, 0.0))
        self.below.learn(max(-value, 0.0))

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"above": self.above.snapshot(), "below": self.below.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        self.above.restore(state["above"])
        self.below.restore(state["below"])
