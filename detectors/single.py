"""The detectors as River estimators: one lane of the bank, one minute (or hour) at a time.

They are the reference of the bank: the same numbers, minute by minute, to rounding.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from river.base import AnomalyDetector

from detectors.drop import DropLanes, DropSettings
from detectors.failure import FailureLanes, FailureSettings
from detectors.habits import BANDS
from detectors.shift import ShiftLanes, ShiftSettings
from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from detectors.evidence import Change

# e^10.67 minutes are a month: one false alarm a month and lane.
A_MONTH = 10.67


class _OneLane(AnomalyDetector):
    """What all detectors share: one lane, its snapshot, the flag it holds open."""

    VERSION: ClassVar[str] = "1"
    lanes: FailureLanes | DropLanes | ShiftLanes

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.changes: list[Change] = []

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Log e-value with this sample taken in; changes nothing."""
        lanes = copy.deepcopy(self.lanes)
        self._take(lanes, x)
        return float(lanes.evidence.score()[0])

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take one minute in."""
        self.changes = self._take(self.lanes, x)

    @property
    def warming_up(self) -> bool:
        """Whether the baseline is too thin to judge by."""
        return not bool(self.lanes.warm()[0])

    @property
    def is_open(self) -> bool:
        """Whether a change has been flagged and has not ended."""
        return bool(self.lanes.evidence.is_open[0])

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as plain JSON."""
        return {
            "detector": type(self).__name__,
            "version": self.VERSION,
            "lanes": self.lanes.snapshot(),
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
        fresh = self._new_lanes()
        try:
            fresh.restore(state["lanes"])
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"snapshot of {mine[0]} is damaged: start it cold") from error
        if fresh.lanes != 1:
            raise StateError(f"snapshot of {mine[0]} holds {fresh.lanes} lanes, not one")
        self.lanes = fresh

    @abstractmethod
    def _new_lanes(self) -> Any:
        """Cold lanes of this detector's kind."""

    @abstractmethod
    def _take(self, lanes: Any, x: dict[Hashable, Any]) -> list[Change]:
        """Hand one sample to the given lanes."""


class FailureSpike(_OneLane):
    """Users who newly fail, against those who could: an outage, a bad change or an attack.

    Beta-binomial Shiryaev-Roberts mixture over multiples of the usual odds; see
    ``detectors.evidence`` and ``detectors.rate``. Not for lanes in which most users fail
    all the time: the odds saturate.

    Parameters:
        threshold: alarm level of the score; exp(threshold) bounds the mean number of
            minutes between false alarms from below.
        settings: what kind of failure is watched.

    Samples: ``t`` minutes since 1970, ``n`` eligible users of the minute, ``f`` newly
    failing users, optional ``judged`` (False on blind minutes).

    Examples:
        >>> detector = FailureSpike()
        >>> for t in range(3 * 1440):
        ...     detector.learn_one({"t": t, "n": 10, "f": int(t % 40 == 0)})
        >>> detector.warming_up
        False
        >>> round(detector.score_one({"t": 4320, "n": 10, "f": 0}), 1) < 3
        True
        >>> for t in range(4320, 4326):
        ...     detector.learn_one({"t": t, "n": 10, "f": 4})
        >>> detector.is_open
        True
    """

    def __init__(self, threshold: float = A_MONTH, settings: FailureSettings | None = None) -> None:
        super().__init__(threshold)
        self.settings = settings
        self.lanes: FailureLanes = self._new_lanes()
        self.lanes.grow(1)

    def _new_lanes(self) -> FailureLanes:
        return FailureLanes(self.settings or self._default())

    def _default(self) -> FailureSettings:
        return FailureSettings()

    def _take(self, lanes: FailureLanes, x: dict[Hashable, Any]) -> list[Change]:
        n, f = (np.array([[max(float(x[k]), 0.0)]]) for k in ("n", "f"))
        judged = np.array([[bool(x.get("judged", True))]])
        return lanes.advance(int(x["t"]), n, f, judged, self.threshold)


RETRY_SETTINGS = FailureSettings(prior=0.02, prior_failures=2.0, floor=0.005)
NEW_ERROR_SETTINGS = FailureSettings(
    odds=(30.0, 100.0, 300.0), prior=1e-4, prior_failures=0.2, floor=1e-3, warm_users=300.0
)


class RetryPressure(FailureSpike):
    """Users whose client begins to try again and again, against those it has not yet.

    The same test as :class:`FailureSpike`; a single device in a storm is one user.

    Examples:
        >>> detector = RetryPressure()
        >>> for t in range(3 * 1440):
        ...     detector.learn_one({"t": t, "n": 8, "f": int(t % 60 == 0)})
        >>> for t in range(4320, 4330):
        ...     detector.learn_one({"t": t, "n": 8, "f": 3})
        >>> detector.is_open
        True
    """

    def _default(self) -> FailureSettings:
        return RETRY_SETTINGS


class NewErrorCode(FailureSpike):
    """Users who newly meet one failure code, usually next to nobody.

    The same test as :class:`FailureSpike` with a prior of one in 10,000 users and large
    alternatives only: it speaks of codes that rise from nothing.

    Examples:
        >>> detector = NewErrorCode()
        >>> for t in range(3 * 1440):
        ...     detector.learn_one({"t": t, "n": 10, "f": 0})
        >>> for t in range(4320, 4324):
        ...     detector.learn_one({"t": t, "n": 10, "f": 1})
        >>> detector.is_open
        True
    """

    def _default(self) -> FailureSettings:
        return NEW_ERROR_SETTINGS


class VolumeDrop(_OneLane):
    """Fewer active users (or accesses) than the hour, the level and the siblings promise.

    Negative-binomial Shiryaev-Roberts mixture over what remains, beside a level that is
    followed from minute to minute; see ``detectors.level``.
    Not for lanes with less than a few users an hour: silence tells nothing there.

    Parameters:
        threshold: alarm level of the score.
        settings: what counts as a drop.

    Samples: ``t`` minutes since 1970, ``a`` the count of the minute, optional ``others`` and
    ``others_expected`` (sums over the siblings, observed and usual; 0) and ``completeness``
    (1).

    Examples:
        >>> detector = VolumeDrop()
        >>> for t in range(8 * 1440):
        ...     detector.learn_one({"t": t, "a": 5 + t % 3})
        >>> detector.warming_up
        False
        >>> for t in range(8 * 1440, 8 * 1440 + 30):
        ...     detector.learn_one({"t": t, "a": 1})
        >>> detector.is_open
        True
    """

    def __init__(self, threshold: float = A_MONTH, settings: DropSettings | None = None) -> None:
        super().__init__(threshold)
        self.settings = settings
        self.lanes: DropLanes = self._new_lanes()
        self.lanes.grow(1)

    def _new_lanes(self) -> DropLanes:
        return DropLanes(self.settings or DropSettings())

    def _take(self, lanes: DropLanes, x: dict[Hashable, Any]) -> list[Change]:
        count = np.array([[max(float(x["a"]), 0.0)]])
        others, usual = (
            np.array([[max(float(x.get(name, 0.0)), 0.0)]])
            for name in ("others", "others_expected")
        )
        complete = np.array([[float(x.get("completeness", 1.0))]])
        return lanes.advance(int(x["t"]), count, others, usual, complete, self.threshold)


class ClientShift(_OneLane):
    """People at work without their usual client, who are seen in others instead.

    Beta-binomial Shiryaev-Roberts mixture over the share who can no longer use it, by how
    usual the client is for them; see ``detectors.absence``. Not for clients that few people
    use in a quarter of their hours or more.

    Parameters:
        threshold: alarm level of the score.
        settings: what counts as a shift.

    Samples, one an hour: ``t`` minutes since 1970, ``n0`` to ``n2`` people at work who use
    the client in a quarter, half, three quarters of their hours or more, ``f0`` to ``f2``
    those of them who are not seen in it; optional ``judged`` (False on blind hours).

    Examples:
        >>> detector = ClientShift()
        >>> for hour in range(14 * 24):
        ...     x = {"t": 60 * hour, "n0": 8, "n1": 20, "n2": 30, "f0": 4, "f1": 7}
        ...     detector.learn_one({**x, "f2": 3 + hour % 3})
        >>> detector.warming_up
        False
        >>> for hour in range(14 * 24 + 8, 14 * 24 + 12):
        ...     x = {"t": 60 * hour, "n0": 8, "n1": 20, "n2": 30, "f0": 5, "f1": 11}
        ...     detector.learn_one({**x, "f2": 12})
        >>> detector.is_open
        True
    """

    def __init__(self, threshold: float = A_MONTH, settings: ShiftSettings | None = None) -> None:
        super().__init__(threshold)
        self.settings = settings
        self.lanes: ShiftLanes = self._new_lanes()
        self.lanes.grow(1)

    def _new_lanes(self) -> ShiftLanes:
        return ShiftLanes(self.settings or ShiftSettings())

    def _take(self, lanes: ShiftLanes, x: dict[Hashable, Any]) -> list[Change]:
        at_work, absent = (
            np.array([[max(float(x[f"{name}{band}"]), 0.0) for band in range(len(BANDS))]])
            for name in ("n", "f")
        )
        judged = np.array([bool(x.get("judged", True))])
        return lanes.advance(int(x["t"]) // 60, at_work, absent, judged, self.threshold)
