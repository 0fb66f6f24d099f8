"""The detectors of the product, driven hour by hour through the code that runs in a bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.detection.alarms import false_per_month
from benchmarks.detection.plan import FIRST_MINUTE, Plan
from detectors.budget import threshold
from detectors.common import Siblings
from detectors.drop import DropLanes, DropSettings
from detectors.failure import FailureLanes, FailureSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.detection.streams import Streams
    from detectors.evidence import Change

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# The level that promises one false alarm a lane and month.
NOMINAL: Final = threshold(1.0, 1)
_TRIES: Final = 6
# No episode at all is taken for one in twenty stream-months.
_FEWEST: Final = 0.05
_LEAST_LEVEL: Final = 0.5


class _Lanes:
    """What watching failures and drops has in common: marking alarms, finding levels."""

    def alarms(self, levels: Floats, minutes: int) -> Bools:
        """Minutes with an open flag, shape (lanes, minutes), at one level a lane."""
        raise NotImplementedError

    def calibrated(self, size: NDArray[np.int64], plan: Plan) -> Floats:
        """Alarm level of each lane at one false episode a stream-month and size."""
        searches = {int(one): _Search() for one in np.unique(size)}
        for _ in range(_TRIES):
            levels = np.array([searches[int(one)].level for one in size])
            alarm = self.alarms(levels, plan.calibration.stop)[:, plan.calibration]
            for one, false in false_per_month(alarm, size).items():
                searches[one].tell(false)
            if all(search.near for search in searches.values()):
                break
        return np.array([searches[int(one)].best for one in size])


class _Search:
    """Finds the level at which false episodes come once a stream-month.

    A level moved by d changes them by about exp(-d); between one level that is too low and
    one that is too high the next lies where the logarithm, taken as a line, crosses 0.
    """

    def __init__(self) -> None:
        self.level = self.best = NOMINAL
        self._error = np.inf
        self._low: tuple[float, float] | None = None
        self._high: tuple[float, float] | None = None

    @property
    def near(self) -> bool:
        """Whether the best level is within 15 % of the rate."""
        return self._error < 0.15

    def tell(self, false: float) -> None:
        """Take over what the level gave; choose the next."""
        excess = float(np.log(max(false, _FEWEST)))
        if abs(excess) < self._error:
            self.best, self._error = self.level, abs(excess)
        if excess > 0:
            self._low = (self.level, excess)
        else:
            self._high = (self.level, excess)
        if self._low is None or self._high is None:
            self.level = max(self.level + 1.5 * excess, _LEAST_LEVEL)
            return
        (low, above), (high, below) = self._low, self._high
        self.level = low + (high - low) * above / (above - below)


@dataclass(frozen=True, slots=True)
class FailureWatch(_Lanes):
    """Newly failing users against those who could, of independent lanes."""

    users: Floats
    failing: Floats
    settings: FailureSettings

    def alarms(self, levels: Floats, minutes: int) -> Bools:
        """See the base class."""
        part = FailureLanes(self.settings)
        part.grow(len(levels))
        seen = np.ones((len(levels), 60), bool)
        open_ = _Open(len(levels), minutes)
        for hour in range(minutes // 60):
            span = slice(hour * 60, hour * 60 + 60)
            first = FIRST_MINUTE + span.start
            open_.mark(
                part.advance(first, self.users[:, span], self.failing[:, span], seen, levels)
            )
        return open_.marked()


@dataclass(frozen=True, slots=True)
class DropWatch(_Lanes):
    """Accesses against what is usual and, within a tenant, against the other clients.

    The lines below are those of ``TenantBank._drops``, for many tenants at once.
    """

    accesses: Floats
    tenant: NDArray[np.int64]
    settings: DropSettings

    def alarms(self, levels: Floats, minutes: int) -> Bools:
        """See the base class."""
        part = DropLanes(self.settings)
        part.grow(len(levels))
        groups = [np.flatnonzero(self.tenant == one) for one in np.unique(self.tenant)]
        groups = [lanes for lanes in groups if len(lanes) > 1]
        factors = [Siblings.empty() for _ in groups]
        for factor, lanes in zip(factors, groups, strict=True):
            factor.grow(len(lanes))
        whole = np.ones((len(levels), 60))
        open_ = _Open(len(levels), minutes)
        for hour in range(minutes // 60):
            first = FIRST_MINUTE + hour * 60
            counts = self.accesses[:, hour * 60 : hour * 60 + 60]
            others, others_usual = np.zeros(counts.shape), np.zeros(counts.shape)
            if groups:
                usual = part.usual.ahead(first // 60).minutes
                follows = part.usual.learned().follows
                judged = np.broadcast_to((part.warm() & follows)[:, None], counts.shape)
                flagged = part.evidence.is_open
                for factor, lanes in zip(factors, groups, strict=True):
                    seen, mean = factor.advance(
                        counts[lanes], usual[lanes], judged[lanes], flagged[lanes]
                    )
                    others[lanes] = seen * follows[lanes, None]
                    others_usual[lanes] = mean * follows[lanes, None]
            open_.mark(part.advance(first, counts, others, others_usual, whole, levels))
        return open_.marked()


class _Open:
    """Collects the minutes in which flags are open."""

    def __init__(self, lanes: int, minutes: int) -> None:
        self._steps = np.zeros((lanes, minutes + 1), np.int8)

    def mark(self, changes: Sequence[Change]) -> None:
        """Take over what opened and closed."""
        for change in changes:
            self._steps[change.lane, change.minute - FIRST_MINUTE] += 1 if change.opened else -1

    def marked(self) -> Bools:
        """Minutes in alarm, shape (lanes, minutes)."""
        return np.asarray(np.cumsum(self._steps, axis=1)[:, :-1] > 0)


def failures(streams: Streams) -> FailureWatch:
    """The failure signal on the users of the streams."""
    return FailureWatch(streams.users, streams.failing_users, FailureSettings())


def drops(streams: Streams) -> DropWatch:
    """The drop signal on the accesses of the streams."""
    return DropWatch(streams.accesses, streams.tenant, DropSettings())
