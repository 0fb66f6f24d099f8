"""What is usual for the lanes of the drop signals, by hour: season, pattern and spread in one.

It changes when an hour is learned and not in between, so all of it is worked out once an
hour, not for every minute that is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from detectors.frozen import Frozen
from detectors.pattern import HourPattern
from detectors.season import SeasonBaseline, Usual
from detectors.spread import Figures, Spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

# Share of an hour's error that one minute adds to the level.
_MINUTELY: Final = 1.0 / 45.0


@dataclass(frozen=True, slots=True)
class Learned(Frozen):
    """What the hours up to the last tell; all of shape (lanes,).

    Attributes:
        hourly: mean usual count of an hour over the week.
        hours: hours learned.
        follows: which lanes follow people's day.
        spread: the three figures of their spread.
    """

    hourly: NDArray[np.float64]
    hours: NDArray[np.float64]
    follows: NDArray[np.bool_]
    spread: Figures


@dataclass(frozen=True, slots=True)
class Ahead(Frozen):
    """What is usual in one hour.

    Attributes:
        hour: since 1970.
        usual: by the season alone.
        minutes: usual counts of the minutes in their pattern, shape (lanes, 60).
        spread, wander: relative variance of the level at rest, and what a minute adds to it;
            beside the lane's own they hold what is not known of the expectation, shape (lanes,).
    """

    hour: int
    usual: Usual
    minutes: NDArray[np.float64]
    spread: NDArray[np.float64]
    wander: NDArray[np.float64]


class UsualCounts:
    """Season, pattern and spread of all lanes.

    Args:
        bursts: variance over mean of an hour's count, until a lane has shown its own.
        novelty: relative standard deviation of a whole day of a kind met once.
    """

    def __init__(self, bursts: float, novelty: float) -> None:
        self.season = SeasonBaseline.empty()
        self.pattern = HourPattern.empty()
        self.spread = Spread.empty()
        self._bursts, self._novelty = bursts, novelty
        self._learned: Learned | None = None
        self._ahead: Ahead | None = None

    def grow(self, lanes: int) -> None:
        """Add cold lanes until there are ``lanes``."""
        self._changed()
        for part in (self.season, self.pattern, self.spread):
            part.grow(lanes)

    def learned(self) -> Learned:
        """What the hours up to the last tell."""
        if self._learned is None:
            self._learned = Learned(
                hourly=self.season.hourly(),
                hours=self.season.hours.copy(),
                follows=self.season.follows(),
                spread=self.spread.figures(self._bursts),
            )
        return self._learned

    def ahead(self, hour: int) -> Ahead:
        """What is usual in an hour; ``hour`` since 1970."""
        if self._ahead is None or self._ahead.hour != hour:
            known = self.learned().spread
            usual = self.season.usual(hour, known)
            # An hour's error is made up for by the next hour's, a new kind of day's over the day.
            novel = self._novelty**2 * usual.novel
            self._ahead = Ahead(
                hour=hour,
                usual=usual,
                minutes=self.pattern.bend(hour, usual.minutes, known),
                spread=known.level + usual.unsure + novel,
                wander=known.wander + _MINUTELY * (usual.unsure + novel / 8.0),
            )
        return self._ahead

    def learn(
        self,
        hour: int,
        counts: NDArray[np.float64],
        expected: NDArray[np.float64],
        common: NDArray[np.float64],
        calm: NDArray[np.bool_],
        back: NDArray[np.bool_],
    ) -> None:
        """Take one finished hour over.

        Args:
            hour: since 1970.
            counts: observed counts by minute, shape (lanes, minutes).
            expected: expected counts, same shape; they include the common factor.
            common: mean common factor of the hour, shape (lanes,).
            calm: which lanes learn season and spread, shape (lanes,).
            back: which learn the pattern, if the hour is whole, shape (lanes,).
        """
        usual = self.ahead(hour).usual
        self.season.learn(hour, counts, expected, usual.hourly, common, calm)
        self.spread.learn(counts, expected, calm & self.season.settled(), self._bursts)
        if counts.shape == usual.minutes.shape:
            self.pattern.learn(hour, counts, usual.minutes, back)
        self._changed()

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "baseline": self.season.snapshot(),
            "pattern": self.pattern.snapshot(),
            "spread": self.spread.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave; what else the state holds is left alone.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        self._changed()
        self.season.restore(state["baseline"])
        self.pattern.restore(state["pattern"])
        self.spread.restore(state["spread"])

    def _changed(self) -> None:
        self._learned = self._ahead = None
