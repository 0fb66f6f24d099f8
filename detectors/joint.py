"""The evidence of a whole tenant in one e-value, so that faint signs in many places add up.

Lanes that tell of the same people are one *unit*: with ``L_i(a)`` the log-likelihood ratio
of lane i for an alternative of severity a since hour s, the unit's e-value is the weighted
mean e_u(a) of exp(L_i(a)) over its lanes, which holds however they depend on each other (in
simulated tenants the drop and the shift of one client go together with correlation 0.5, those
of two clients with 0.1). Units are different people or different signs, so theirs multiply.
Which units a fault hits is not known, but a product line often fails as a whole: a line has

    l(a) = 1/2 mean_u e_u(a) + 1/2 prod_u e_u(a)

and the tenant the mean over all sets of lines of the product over the set, each line being
in with the chance c that makes it two lines of all, 0.3 at most (sparse mixture: Xie and
Siegmund 2013):

    E_s = mean_a prod_lines (1 - c + c * l(a))

M = 60 * sum_s E_s over the hours s at which the change may have begun is a mean of
e-detectors and so one itself (Shin, Ramdas, Rinaldo 2022): without a change an alarm at M
>= A comes on average no earlier than every A minutes. Units are named by e-BH (Wang and
Ramdas 2022), which keeps the share of wrong names below its level.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from river.base import AnomalyDetector

from detectors.frozen import Frozen
from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from numpy.typing import NDArray

# A fault that has not told within a day will not: the sum stays bounded.
HOURS: Final = 24
_MINUTES: Final = 60.0
# Alternatives of all lanes are ranked from mild to severe, and a fault is as severe everywhere.
SEVERITIES: Final = 4
_LINES_HIT: Final = 2.0
_MOST_LIKELY: Final = 0.3
# Share of wrong names allowed when the joint evidence first rises, and in each of the many
# hours in which it stays high because of lanes that are flagged already.
FIRST_NAMES: Final = 0.05
LATER_NAMES: Final = 0.005
# Within a unit the lanes are named that hold a tenth of the best one's evidence, and
# that alone say 20 to 1.
_OF_BEST: Final = 0.1
_ALONE: Final = 20.0
_MOST: Final = 50.0  # nats a lane can hold; a product of ten is still a double


@dataclass(frozen=True, slots=True)
class Membership(Frozen):
    """Which lanes make up which unit, and which units a product line.

    Attributes:
        weights: shape (lanes, units); the weights of a unit's lanes sum to 1, lanes that
            are not judged have none.
        lines: indices of units, by line.
        judged: the lanes that have a weight.
    """

    weights: NDArray[np.float64]
    lines: tuple[tuple[int, ...], ...]
    judged: NDArray[np.int64]

    @classmethod
    def of(
        cls, unit: NDArray[np.int64], line: NDArray[np.int64], share: NDArray[np.float64]
    ) -> Membership:
        """From where each lane belongs.

        Args:
            unit: number of each lane's unit, shape (lanes,).
            line: number of each unit's line, shape (units,).
            share: of each lane in its unit, not yet summing to 1; 0 if it is not judged.
        """
        weights = np.zeros((len(unit), len(line)))
        weights[np.arange(len(unit)), unit] = share
        total = weights.sum(axis=0)
        live = np.flatnonzero(total > 0.0)
        lines: dict[int, list[int]] = {}
        for at, number in enumerate(line[live].tolist()):
            lines.setdefault(number, []).append(at)
        weights = weights[:, live] / total[live]
        judged = np.flatnonzero(weights.any(axis=1))
        return cls(weights, tuple(map(tuple, lines.values())), judged)


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands after an hour.

    Attributes:
        score: log of M, at least 0.
        carriers: which lanes carry it, shape (lanes,).
        since: log of E_s, the latest start first, shape (hours,).
        gained: ratios of all lanes since the likeliest start, shape (lanes, severities).
    """

    score: float
    carriers: NDArray[np.bool_]
    since: NDArray[np.float64]
    gained: NDArray[np.float64]


class JointLanes:
    """Log-likelihood ratios of all lanes since each of the last 24 hours.

    ``gained[name]`` has shape (hours, lanes, severities), the latest start first.
    """

    def __init__(self) -> None:
        self.gained: dict[str, NDArray[np.float64]] = {}

    def advance(self, gains: Mapping[str, NDArray[np.float64]]) -> None:
        """Take one hour over.

        Args:
            gains: by group of lanes, what the hour adds, shape (lanes, alternatives), the
                mildest alternative first. The groups and their order stay; lanes may be
                added at the end.
        """
        for name, gain in gains.items():
            old = self.gained.get(name, np.zeros((0, 0, SEVERITIES)))[: HOURS - 1]
            since = np.zeros((len(old) + 1, len(gain), SEVERITIES))
            since[1:, : old.shape[1]] = old
            since += gain[:, _ranks(gain.shape[1])]
            self.gained[name] = np.minimum(since, _MOST, out=since)

    def forget(self, name: str, lane: int) -> None:
        """Drop what a lane has gained: its change is over."""
        self.gained[name][:, lane] = 0.0

    def standing(self, members: Membership, wrong: float = FIRST_NAMES) -> Standing:
        """The joint evidence, and the lanes that carry it; all groups one after the other.

        ``wrong`` is the share of wrong names that is allowed.
        """
        if not members.lines:
            none = np.zeros(len(members.weights), dtype=bool)
            return Standing(0.0, none, np.zeros(0), np.zeros((len(none), SEVERITIES)))
        gained = np.concatenate(list(self.gained.values()), axis=1)
        # Most lanes of a small tenant are not judged.
        lanes = np.exp(gained[:, members.judged])
        units = np.matmul(members.weights[members.judged].T, lanes)
        together = [units[:, [line[0] for line in members.lines if len(line) == 1]]]
        for line in members.lines:
            if len(line) > 1:
                mine = units[:, line]
                both = mine.mean(axis=1, keepdims=True) + mine.prod(axis=1, keepdims=True)
                together.append(0.5 * both)
        lines = np.concatenate(together, axis=1)
        logs = np.log1p(chance(len(members.lines)) * (lines - 1.0)).sum(axis=1)
        since = np.logaddexp.reduce(logs, axis=1) - np.log(SEVERITIES)
        best = int(np.argmax(since))
        return Standing(
            score=max(float(np.logaddexp.reduce(since) + np.log(_MINUTES)), 0.0),
            carriers=_carriers(lanes[best].mean(axis=1), units[best].mean(axis=1), members, wrong),
            since=since,
            gained=gained[best],
        )

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {name: gained.tolist() for name, gained in self.gained.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave, bit for bit.

        Raises:
            TypeError, ValueError: the snapshot is of another shape.
        """
        self.gained = {
            name: np.array(gained, float).reshape(len(gained), -1, SEVERITIES)
            for name, gained in state.items()
        }


@cache
def _ranks(alternatives: int) -> NDArray[np.int64]:
    """Which alternative stands for each severity."""
    return np.linspace(0, alternatives - 1, SEVERITIES).round().astype(np.int64)


def chance(lines: int) -> float:
    """How likely a fault is to hit one of so many product lines."""
    return min(_LINES_HIT / lines, _MOST_LIKELY)


def _carriers(
    lanes: NDArray[np.float64], units: NDArray[np.float64], members: Membership, wrong: float
) -> NDArray[np.bool_]:
    """The lanes that carry the units named by e-BH, or else the strongest unit.

    ``lanes`` are those that are judged; returns shape (all lanes,).
    """
    order = np.argsort(-units, kind="stable")
    rank = np.arange(1, len(units) + 1)
    enough = np.flatnonzero(units[order] * rank >= len(units) / wrong)
    named = order[: enough[-1] + 1] if len(enough) else order[:1]
    out = np.zeros(len(members.weights), dtype=bool)
    for unit in named.tolist():
        mine = members.weights[members.judged, unit] > 0.0
        best = lanes[mine].max()
        strong = (lanes >= best * _OF_BEST) & ((lanes >= _ALONE) | (lanes == best))
        out[members.judged[mine & strong]] = True
    return out


class JointEvidence(AnomalyDetector):
    """What several independent lanes say together about a change that may hit any of them.

    The joint evidence of a bank as a River estimator: every lane is a unit and a line of its
    own. Not for lanes that tell of the same people: their evidence would count twice.

    Parameters:
        lanes: names of the lanes.
        threshold: alarm level of the score; 10.67 is one false alarm a month.

    Samples, one an hour: by name of the lane, the log-likelihood ratio of the hour.

    Examples:
        >>> detector = JointEvidence(("phones", "desks", "web"))
        >>> for hour in range(48):
        ...     detector.learn_one({"phones": -0.5, "desks": -0.5, "web": -0.5})
        >>> for hour in range(2):
        ...     detector.learn_one({"phones": 3.0, "desks": 3.0, "web": -0.5})
        >>> detector.is_alarmed
        True
        >>> alone = JointEvidence(("phones", "desks", "web"))
        >>> for hour in range(48):
        ...     alone.learn_one({"phones": -0.5, "desks": -0.5, "web": -0.5})
        >>> for hour in range(2):
        ...     alone.learn_one({"phones": 3.0, "desks": -0.5, "web": -0.5})
        >>> alone.is_alarmed
        False
    """

    VERSION: ClassVar[str] = "1"

    def __init__(
        self, lanes: tuple[str, ...] = ("first", "second"), threshold: float = 10.67
    ) -> None:
        self.lanes = lanes
        self.threshold = threshold
        self.hours = 0
        self.joint = JointLanes()
        every = np.arange(len(lanes))
        self._members = Membership.of(every, every, np.ones(len(lanes)))

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Log of the joint e-value with this hour taken in; changes nothing."""
        if self.warming_up:
            return 0.0
        joint = copy.deepcopy(self.joint)
        joint.advance(self._gains(x))
        return joint.standing(self._members).score

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take one hour in."""
        self.joint.advance(self._gains(x))
        self.hours = min(self.hours + 1, HOURS)

    @property
    def warming_up(self) -> bool:
        """Whether less than a day was met."""
        return self.hours < HOURS

    @property
    def is_alarmed(self) -> bool:
        """Whether the joint evidence stands at the threshold or above."""
        return not self.warming_up and self.joint.standing(self._members).score >= self.threshold

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as plain JSON."""
        return {
            "detector": type(self).__name__,
            "version": self.VERSION,
            "lanes": list(self.lanes),
            "hours": self.hours,
            "joint": self.joint.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state that :meth:`snapshot` gave.

        Raises:
            StateError: the state is of another detector, version, set of lanes or shape.
        """
        mine = (type(self).__name__, self.VERSION, list(self.lanes))
        if tuple(state.get(k) for k in ("detector", "version", "lanes")) != mine:
            raise StateError(f"snapshot is not of {mine[0]} version {mine[1]}: start it cold")
        fresh = JointLanes()
        try:
            fresh.restore(state["joint"])
            hours = int(state["hours"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateError(f"snapshot of {mine[0]} is damaged: start it cold") from error
        self.joint, self.hours = fresh, hours

    def _gains(self, x: dict[Hashable, Any]) -> dict[str, NDArray[np.float64]]:
        return {"lanes": np.array([[float(x[name])] for name in self.lanes])}
