"""Any series of values as a River estimator: score in, evidence out, both directions.

Four statistics, each standardised: how far the value lies from the best of several
forecasts; how far the mean of the last 8 rows does; how far the value, and the mean of
the last 48 rows, lie from the mean of all rows. Each is ranked among its own past
(``detectors.tail``), so that spikes which are usual here are no evidence, and one scale
holds for all series. The score is the largest of the four, and 0 unless it exceeds every
evidence of the last ``rest`` rows: a long anomaly is told once.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from river.base import AnomalyDetector

from detectors.expectation import DAY, WEEK, Best, FadingMean, Season
from detectors.tail import TwoTails
from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_SHORT, _LONG = 8, 48  # rows
# Weights of the evidence by statistic: means over rows are ranked among neighbours that
# are nearly the same, which flatters them.
_WEIGHTS: Final = {"value": 1.0, "short": 0.8, "level": 1.0, "long": 0.9}
_FAST, _SLOW = 0.3, 0.01  # fading of the two levels, by row
_FORGET: Final = 1 / 20_000  # by row, of the mean of all rows
_CLIP: Final = 6.0  # one row moves the mean of a few by this at most
_FARTHEST: Final = 1e6
_SCALED: Final = 15  # rows
_LARGEST: Final = 1e100  # squares of it are still numbers
_FORECASTS: Final = ("last", "fast", "day", "week")
_PROFILES: Final = ("slow", "day", "week")


class _Look(NamedTuple):
    """What one value says, before anything is learned from it."""

    near: dict[str, float | None]
    profiles: dict[str, float | None]
    clipped: float
    statistics: dict[str, float]


class SeriesChange(AnomalyDetector):
    """Spikes, dips, level shifts and odd days of any series, regular or not.

    Not for counts with a denominator: :class:`detectors.single.FailureSpike` knows more.

    Parameters:
        warm: rows before anything is scored.
        rest: rows over which only a larger evidence is told again.

    Samples: ``time`` in seconds since 1970 and ``value``; a value that is no finite number
    is missing, scores 0 and is not learned.

    Examples:
        >>> import random
        >>> dice, detector = random.Random(1), SeriesChange()
        >>> for hour in range(400):
        ...     detector.learn_one({"time": 3600.0 * hour, "value": dice.gauss(20, 1)})
        >>> round(detector.score_one({"time": 3600.0 * 400, "value": 20.4}), 1)
        0.0
        >>> round(detector.score_one({"time": 3600.0 * 400, "value": 30.0}), 1)
        23.2
    """

    VERSION: ClassVar[str] = "1"

    def __init__(self, warm: int = 100, rest: int = 100) -> None:
        self.warm = warm
        self.rest = rest
        self.row = 0
        self.mean, self.square = 0.0, 0.0
        self.last: float | None = None
        self.fast, self.slow = FadingMean(_FAST), FadingMean(_SLOW)
        self.day, self.week = Season(DAY, 900.0), Season(WEEK, 3600.0)
        self.near, self.profile = Best(_FORECASTS), Best(_PROFILES)
        self.misses: deque[float] = deque(maxlen=_SHORT)
        self.values: deque[float] = deque(maxlen=_LONG)
        self.tails = {name: TwoTails() for name in _WEIGHTS}
        # Rows and evidence of the last ``rest`` rows that no later row exceeds.
        self.recent: deque[tuple[int, float]] = deque()

    @property
    def warming_up(self) -> bool:
        """Whether too few rows were seen to judge by."""
        return self.row < self.warm

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Evidence in nats that this value is unusual, at least 0; changes nothing."""
        value = float(x["value"])
        if self.warming_up or not math.isfinite(value):
            return 0.0
        evidence = self._evidence(self._look(float(x["time"]), value))
        lately = next((e for row, e in self.recent if row >= self.row - self.rest), 0.0)
        return evidence if evidence > lately else 0.0

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take one row in."""
        time, value = float(x["time"]), float(x["value"])
        if not math.isfinite(value):
            return
        value = min(max(value, -_LARGEST), _LARGEST)
        if self.last is not None:
            look = self._look(time, value)
            # The first scales are those of two or three rows: what they make of a value
            # would stand among the largest for ever.
            if self.row > _SCALED:
                self._remember(self._evidence(look))
                for name, statistic in look.statistics.items():
                    self.tails[name].learn(statistic)
            self.near.learn(look.near, value)
            self.profile.learn(look.profiles, value)
            self.misses.append(look.clipped)
        self.values.append(value)
        self.row += 1
        step, share = value - self.mean, max(1.0 / self.row, _FORGET)
        self.mean += step * share
        self.square += (step * (value - self.mean) - self.square) * share
        self.fast.learn(value)
        self.slow.learn(value)
        self.last = value
        self.day.learn(time, value)
        self.week.learn(time, value)

    def _look(self, time: float, value: float) -> _Look:
        value = min(max(value, -_LARGEST), _LARGEST)
        near: dict[str, float | None] = {
            "last": self.last,
            "fast": self.fast.mean,
            "day": self.day.forecast(time),
            "week": self.week.forecast(time),
        }
        profiles: dict[str, float | None] = {
            "slow": self.slow.mean,
            "day": self.day.usual(time),
            "week": self.week.usual(time),
        }
        # Rounding of a constant series is no change.
        least = 1e-9 * abs(self.mean) + 1e-12
        away = _times(self.profile.miss(profiles, value), self.profile.scale.mean + least)
        clipped = min(max(away, -_CLIP), _CLIP)
        spread = math.sqrt(self.square) + least
        recent = [*self.values, value][-_LONG:]
        misses = [*self.misses, clipped][-_SHORT:]
        return _Look(
            near,
            profiles,
            clipped,
            {
                "value": _times(self.near.miss(near, value), self.near.scale.mean + least),
                "short": math.fsum(misses) / len(misses),
                "level": _times(value - self.mean, spread),
                "long": _times(math.fsum(recent) / len(recent) - self.mean, spread),
            },
        )

    def _evidence(self, look: _Look) -> float:
        return max(
            weight * self.tails[name].evidence(look.statistics[name])
            for name, weight in _WEIGHTS.items()
        )

    def _remember(self, evidence: float) -> None:
        """Keep the evidence of this row for as long as it may hold a later one back."""
        while self.recent and self.recent[0][0] < self.row - self.rest:
            self.recent.popleft()
        while self.recent and self.recent[-1][1] <= evidence:
            self.recent.pop()
        self.recent.append((self.row, evidence))

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as plain JSON."""
        state = {name: getattr(self, name).snapshot() for name in self._parts()}
        return state | {
            "detector": type(self).__name__,
            "version": self.VERSION,
            "row": self.row,
            "moments": [self.mean, self.square, self.last],
            "tails": {name: tail.snapshot() for name, tail in self.tails.items()},
            "misses": list(self.misses),
            "values": list(self.values),
            "recent": [list(pair) for pair in self.recent],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state that :meth:`snapshot` gave.

        Raises:
            StateError: the state is of another detector, version or shape.
        """
        mine = (type(self).__name__, self.VERSION)
        if (state.get("detector"), state.get("version")) != mine:
            raise StateError(
                f"snapshot is not of detector {mine[0]} version {mine[1]}: start it cold"
            )
        fresh = self.clone()
        try:
            fresh._take(state)  # noqa: SLF001 # one of our own
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"snapshot of {mine[0]} is damaged: start it cold") from error
        self.__dict__.update(copy.copy(fresh.__dict__))

    def _take(self, state: Mapping[str, Any]) -> None:
        for name in self._parts():
            getattr(self, name).restore(state[name])
        for name, tail in self.tails.items():
            tail.restore(state["tails"][name])
        self.row = int(state["row"])
        mean, square, last = state["moments"]
        self.mean, self.square = float(mean), float(square)
        self.last = None if last is None else float(last)
        self.misses.extend(float(v) for v in state["misses"])
        self.values.extend(float(v) for v in state["values"])
        self.recent.extend((int(row), float(evidence)) for row, evidence in state["recent"])

    @staticmethod
    def _parts() -> tuple[str, ...]:
        return ("fast", "slow", "day", "week", "near", "profile")


def _times(distance: float, scale: float) -> float:
    """``distance`` in units of ``scale``, within bounds."""
    return min(max(distance / scale, -_FARTHEST), _FARTHEST)
