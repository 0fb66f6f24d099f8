"""Spikes of newly failing (or newly pressing) users, by a beta-binomial e-detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.evidence import Change, Evidence, Minutes
from detectors.frozen import Frozen
from detectors.gate import LearningGate
from detectors.law import Judgement, Law
from detectors.rate import RateBaseline
from detectors.recursion import beta_binomial_minutes
from pipeline.model.trace import LawName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FailureSettings:
    """What kind of failure is watched.

    Attributes:
        odds: alternatives, as multiples of the usual odds of failing.
        prior, prior_failures: rate before anything is known, and its weight in failures.
        floor: no rate is believed to be below this.
        warm_users, warm_hours: eligible users and hours learned before the lane is judged.
        freeze_hours: hours an open flag keeps its lane from learning, at most.
        credit: nats by which alarms are rarer than the score promises, since evidence
            jumps over its threshold and is held against more than the mean rate; taken off
            the alarm level (measured for all sizes by ``benchmarks/detection``).
    """

    odds: tuple[float, ...] = (3.0, 6.0, 12.0, 24.0, 48.0, 96.0)
    prior: float = 0.005
    prior_failures: float = 1.0
    floor: float = 0.002
    warm_users: float = 100.0
    warm_hours: float = 24.0
    freeze_hours: float = 240.0
    credit: float = 1.2


@dataclass(frozen=True, slots=True)
class _Ahead(Frozen):
    """What one hour is held against, the same for all its minutes; rates of shape (lanes,)."""

    hour: int
    mean: NDArray[np.float64]
    law: Law


class FailureLanes:
    """Many lanes at once; each hour's minutes may come together or one by one."""

    def __init__(self, settings: FailureSettings) -> None:
        self.settings = settings
        self.baseline = RateBaseline.empty()
        self.evidence = Evidence.empty(len(settings.odds))
        self.gate = LearningGate.empty()
        self.hour: int | None = None
        self.last: Judgement | None = None
        self.gain = np.zeros((0, len(settings.odds)))
        self._users: list[NDArray[np.float64]] = []
        self._failing: list[NDArray[np.float64]] = []
        self._odds = np.array(settings.odds)
        self._warm: NDArray[np.bool_] | None = None
        self._ahead: _Ahead | None = None

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.gate.shy)

    def grow(self, lanes: int) -> None:
        """Add cold lanes until there are ``lanes``."""
        more = max(lanes - self.lanes, 0)
        if not more:
            return
        self._warm = self._ahead = None
        self.baseline.grow(lanes)
        self.evidence.grow(lanes)
        self.gate.grow(lanes)
        pad = ((0, more), (0, 0))
        self._users = [np.pad(a, pad) for a in self._users]
        self._failing = [np.pad(a, pad) for a in self._failing]

    def begin(self, lane: int, eligible: float, hours: float) -> None:
        """Let a lane begin as one that has met so many eligible users, and none who failed."""
        self.baseline.eligible[lane], self.baseline.hours[lane] = eligible, hours
        self._warm = self._ahead = None

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes have seen enough to be judged."""
        if self._warm is None:
            self._warm = (self.baseline.eligible >= self.settings.warm_users) & (
                self.baseline.hours >= self.settings.warm_hours
            )
        return self._warm

    def rate(self, hour: int) -> NDArray[np.float64]:
        """Usual rate of each lane in the hour with number ``hour``."""
        return self._of(hour).mean

    def law(self, hour: int) -> Law:
        """What the hour with number ``hour`` is held against, the same for all its minutes."""
        return self._of(hour).law

    def _of(self, hour: int) -> _Ahead:
        if self._ahead is None or self._ahead.hour != hour:
            s = self.settings
            usual = self.baseline.expect(hour, s.prior, s.prior_failures, s.floor)
            p0 = usual.null[:, None]
            raised = (p0 / (1.0 - p0)) * self._odds
            p1 = raised / (1.0 + raised)
            law = Law(LawName.BETA_BINOMIAL, p0, p1[:, :, None], usual.rho)
            self._ahead = _Ahead(hour, usual.mean, law)
        return self._ahead

    def enter(self, hour: int) -> None:
        """Close the hour before if ``hour`` is a new one; ``advance`` does so by itself."""
        if self.hour is not None and hour != self.hour:
            self.fold()
        self.hour = hour

    def ratios(
        self, law: Law, users: NDArray[np.float64], failing: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log-likelihood ratios, shape (lanes, alternatives, minutes)."""
        return beta_binomial_minutes(
            failing, users, law.alternatives[:, :, 0], law.null[:, 0], law.spread
        )

    def advance(
        self,
        minute: int,
        users: NDArray[np.float64],
        failing: NDArray[np.float64],
        judged: NDArray[np.bool_],
        threshold: float | NDArray[np.float64],
    ) -> list[Change]:
        """Score and learn minutes of one hour.

        Args:
            minute: first of the minutes, since 1970; all lie in one hour, in order.
            users: eligible users, shape (lanes, minutes).
            failing: newly failing users, same shape.
            judged: which minutes each lane can see, shape (lanes, minutes).
            threshold: alarm level of the score, before credit: one for all, or shape (lanes,).
        """
        hour = minute // 60
        self.enter(hour)
        users = np.where(judged, users, 0.0)
        failing = np.minimum(np.where(judged, failing, 0.0), users)
        law = self.law(hour)
        llr = self.ratios(law, users, failing)
        seen = judged & self.warm()[:, None]
        sums = np.array([failing, users * self.rate(hour)[:, None], users])
        level = threshold - self.settings.credit
        before = self.evidence.r.copy(), self.evidence.cusum.copy()
        self.last = Judgement(minute, law, sums, seen, level, *before)
        minutes = Minutes(minute, llr, sums, seen)
        self.gain = minutes.gain()
        changes = self.evidence.advance(minutes, level)
        self.gate.watch(self.evidence, [c.lane for c in changes])
        self._users.append(users)
        self._failing.append(failing)
        return changes

    def fold(self) -> None:
        """Close the current hour: lanes that were calm in it learn from it."""
        if self.hour is None or not self._users:
            return
        users = np.concatenate(self._users, axis=1)
        failing = np.concatenate(self._failing, axis=1)
        learns = self.gate.close_hour(np.zeros(self.lanes, bool), 0.0, self.settings.freeze_hours)
        self.baseline.learn(self.hour, users, failing, self.rate(self.hour), learns)
        self._warm = self._ahead = None
        self._users, self._failing = [], []

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "baseline": self.baseline.snapshot(),
            "evidence": self.evidence.snapshot(),
            "gate": self.gate.snapshot(),
            "hour": self.hour,
            "users": [a.tolist() for a in self._users],
            "failing": [a.tolist() for a in self._failing],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        self._warm = self._ahead = None
        self.baseline.restore(state["baseline"])
        self.evidence.restore(state["evidence"])
        self.gate.restore(state["gate"])
        self.hour = state["hour"]
        self._users = [np.array(a, float).reshape(self.lanes, -1) for a in state["users"]]
        self._failing = [np.array(a, float).reshape(self.lanes, -1) for a in state["failing"]]
