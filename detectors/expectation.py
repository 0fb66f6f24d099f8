"""What the next value of a series should be: the last one, its level, its day, its week."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
# Errors are compared, and scales learned, over some 200 and 500 rows.
_ERROR_FADE: Final = 0.005
_SCALE_FADE: Final = 0.002
# A forecast is trusted after so many errors were counted.
_TRUSTED: Final = 20


class FadingMean:
    """A plain mean at first, an exponential one later.

    >>> mean = FadingMean(0.1)
    >>> for value in (1.0, 3.0):
    ...     mean.learn(value)
    >>> mean.mean
    2.0
    """

    __slots__ = ("count", "fade", "mean")

    def __init__(self, fade: float) -> None:
        self.fade = fade
        self.count = 0
        self.mean = 0.0

    def learn(self, value: float) -> None:
        """Take one value in."""
        self.count = min(self.count + 1, 1_000_000)
        self.mean += (value - self.mean) * max(1.0 / self.count, self.fade)

    def snapshot(self) -> list[float]:
        """Plain JSON."""
        return [self.count, self.mean]

    def restore(self, state: list[float]) -> None:
        """Take over what :meth:`snapshot` gave."""
        count, mean = state
        self.count, self.mean = int(count), float(mean)


class Season:
    """Mean by place in a period, and how much of a deviation is left one row later."""

    FADE: ClassVar[float] = 0.25  # by visit of a place

    def __init__(self, period: float, slot: float) -> None:
        self.period, self.slot = period, slot
        self.means = [FadingMean(self.FADE) for _ in range(math.ceil(period / slot))]
        self.deviation: float | None = None
        self.product, self.square = FadingMean(_ERROR_FADE), FadingMean(_ERROR_FADE)

    def usual(self, time: float) -> float | None:
        """Mean at that place of the period, None unless it was met twice."""
        place = self._place(time)
        return place.mean if place.count >= 2 else None

    def forecast(self, time: float) -> float | None:
        """The usual value and what is left of the last deviation (AR(1))."""
        usual = self.usual(time)
        if usual is None or self.deviation is None or self.square.mean <= 0.0:
            return usual
        left = min(max(self.product.mean / self.square.mean, 0.0), 1.0)
        return usual + left * self.deviation

    def learn(self, time: float, value: float) -> None:
        """Take one value in."""
        usual = self.usual(time)
        if usual is not None:
            deviation = value - usual
            if self.deviation is not None:
                self.product.learn(deviation * self.deviation)
                self.square.learn(self.deviation**2)
            self.deviation = deviation
        self._place(time).learn(value)

    def _place(self, time: float) -> FadingMean:
        return self.means[int(time % self.period // self.slot) % len(self.means)]

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "means": [m.snapshot() for m in self.means],
            "deviation": self.deviation,
            "product": self.product.snapshot(),
            "square": self.square.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        for mean, told in zip(self.means, state["means"], strict=True):
            mean.restore(told)
        deviation = state["deviation"]
        self.deviation = None if deviation is None else float(deviation)
        self.product.restore(state["product"])
        self.square.restore(state["square"])


class Best:
    """Of several forecasts the one that has been nearest of late, and the scale it misses by."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.errors = {name: FadingMean(_ERROR_FADE) for name in names}
        self.scale = FadingMean(_SCALE_FADE)

    def miss(self, forecasts: Mapping[str, float | None], value: float) -> float:
        """How far ``value`` lies from the best forecast."""
        known = {name: f for name, f in forecasts.items() if f is not None}
        trusted = [n for n in known if self.errors[n].count > _TRUSTED] or list(known)
        best = min(trusted, key=lambda name: self.errors[name].mean)
        return value - known[best]

    def learn(self, forecasts: Mapping[str, float | None], value: float) -> None:
        """Take one value in; a far miss counts as ten usual ones."""
        miss = abs(self.miss(forecasts, value))
        few = self.scale.count <= 10
        self.scale.learn(miss if few else min(miss, 10.0 * self.scale.mean))
        for name, forecast in forecasts.items():
            if forecast is not None:
                self.errors[name].learn(abs(value - forecast))

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON."""
        errors = {name: error.snapshot() for name, error in self.errors.items()}
        return {"errors": errors, "scale": self.scale.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave."""
        for name, error in self.errors.items():
            error.restore(state["errors"][name])
        self.scale.restore(state["scale"])
