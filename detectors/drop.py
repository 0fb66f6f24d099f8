"""Drops of active users or of accesses, by a negative-binomial e-detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.evidence import Change, Evidence, Minutes
from detectors.gate import LearningGate
from detectors.law import Judgement, Law
from detectors.level import LevelBaseline
from detectors.likelihood import negative_binomial_ratio
from pipeline.model.trace import LawName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DropSettings:
    """What counts as a drop.

    Attributes:
        remains: alternatives, as the share of the expected count that remains.
        slack_sd: the null reaches down by so many standard deviations of the lane's own
            slow noise, within ``slack_range``: a drop smaller than the usual drift of the
            lane is no drop.
        warm_hours: hours learned before the lane is judged: a whole week.
        least_hourly: mean usual count an hour over the busier half of the week below which
            a lane tells too little to be judged.
        least_completeness: minutes seen less completely are not judged.
        quiet_common: hours in which the whole tenant does less than this share of its usual
            (a holiday) are not learned from.
        freeze_hours: hours an open flag or a holiday keeps its lane from learning, at most.
        doubt_hours: hours a suspicion does.
    """

    remains: tuple[float, ...] = (0.75, 0.5, 0.25, 0.05)
    slack_sd: float = 2.0
    slack_range: tuple[float, float] = (0.10, 0.45)
    warm_hours: float = 168.0
    least_hourly: float = 3.0
    least_completeness: float = 0.9
    quiet_common: float = 0.6
    freeze_hours: float = 240.0
    doubt_hours: float = 24.0


class DropLanes:
    """Many lanes at once; each hour's minutes may come together or one by one.

    ``hold`` tells that something else of the tenant is amiss: users who were driven to
    another client must not raise what is usual there.
    """

    def __init__(self, settings: DropSettings) -> None:
        self.settings = settings
        self.baseline = LevelBaseline.empty()
        self.evidence = Evidence.empty(len(settings.remains))
        self.gate = LearningGate.empty()
        self.hour: int | None = None
        self.hold = False
        self.last: Judgement | None = None
        self.gain = np.zeros((0, len(settings.remains)))
        self._counts: list[NDArray[np.float64]] = []
        self._expected: list[NDArray[np.float64]] = []
        self._common: list[NDArray[np.float64]] = []
        self._blind = np.zeros(0, bool)

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.gate.shy)

    def grow(self, lanes: int) -> None:
        """Add cold lanes until there are ``lanes``."""
        more = max(lanes - self.lanes, 0)
        self.baseline.grow(lanes)
        self.evidence.grow(lanes)
        self.gate.grow(lanes)
        self._blind = np.append(self._blind, np.zeros(more, bool))
        pad = ((0, more), (0, 0))
        for parts in (self._counts, self._expected):
            parts[:] = [np.pad(a, pad) for a in parts]
        self._common[:] = [np.pad(a, pad, constant_values=1.0) for a in self._common]

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes have seen enough, and have enough traffic, to be judged."""
        seen = self.baseline.total.sum(axis=1) / np.maximum(self.baseline.seen.sum(axis=1), 1e-9)
        busy = 2.0 * seen * np.exp(self.baseline.log_level) >= self.settings.least_hourly
        warm: NDArray[np.bool_] = busy & (self.baseline.hours >= self.settings.warm_hours)
        return warm

    def usual(self, minute: int, count: int) -> NDArray[np.float64]:
        """Usual counts of ``count`` minutes of one hour, without the common factor."""
        return self.baseline.minutes(minute // 60, minute % 60, count)

    def slack(self, hour: int) -> NDArray[np.float64]:
        """Share by which each lane's null reaches below its expectation in an hour."""
        drift = np.clip(self.settings.slack_sd * self.baseline.noise(), *self.settings.slack_range)
        return np.minimum(drift + self.baseline.doubt(hour), 0.8)

    def law(
        self, minute: int, common: NDArray[np.float64], completeness: NDArray[np.float64]
    ) -> Law:
        """What minutes of one hour are held against, from ``minute`` (since 1970) on.

        ``common`` and ``completeness`` as for :meth:`advance`.
        """
        hour = minute // 60
        lowest = self.baseline.lowest(hour, minute % 60, common.shape[1])
        null = lowest * common * completeness * (1.0 - self.slack(hour))[:, None]
        alternatives = np.array(self.settings.remains)[None, :, None] * null[:, None, :]
        phi = self.baseline.phi(self.baseline.hourly(hour))
        return Law(LawName.NEGATIVE_BINOMIAL, null, alternatives, phi)

    def ratios(self, law: Law, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-likelihood ratios, shape (lanes, alternatives, minutes)."""
        null = law.null[:, None, :]
        remains = np.array(self.settings.remains)[None, :, None]
        llr = negative_binomial_ratio(counts[:, None, :], null, remains, law.spread[:, None, None])
        return np.where(null > 0.0, llr, 0.0)

    def advance(
        self,
        minute: int,
        counts: NDArray[np.float64],
        common: NDArray[np.float64],
        completeness: NDArray[np.float64],
        threshold: float | NDArray[np.float64],
    ) -> list[Change]:
        """Score and learn minutes of one hour.

        Args:
            minute: first of the minutes, since 1970; all lie in one hour, in order.
            counts: observed counts, shape (lanes, minutes).
            common: common factor of the tenant, shape (lanes, minutes).
            completeness: share of the records that can have arrived, shape (lanes, minutes).
            threshold: alarm level of the score: one for all, or shape (lanes,).
        """
        hour = minute // 60
        if self.hour is not None and hour != self.hour:
            self.fold()
        self.hour = hour
        expected = self.usual(minute, counts.shape[1]) * common * completeness
        law = self.law(minute, common, completeness)
        llr = self.ratios(law, counts)
        seen = self.warm()[:, None] & (completeness >= self.settings.least_completeness)
        sums = np.stack([counts, expected, expected])
        before = self.evidence.r.copy(), self.evidence.cusum.copy()
        self.last = Judgement(minute, law, sums, seen, threshold, *before)
        minutes = Minutes(minute, llr, sums, seen)
        self.gain = minutes.gain()
        changes = self.evidence.advance(minutes, threshold)
        self.gate.watch(self.evidence, [c.lane for c in changes])
        self._blind |= (completeness < 0.5).any(axis=1)
        self._counts.append(counts)
        self._expected.append(expected)
        self._common.append(common)
        return changes

    def fold(self) -> None:
        """Close the current hour: lanes that were calm and seen in it learn from it."""
        if self.hour is None or not self._counts:
            return
        counts = np.concatenate(self._counts, axis=1)
        expected = np.concatenate(self._expected, axis=1)
        common = np.concatenate(self._common, axis=1).mean(axis=1)
        learns = self.gate.close_hour(
            (common < self.settings.quiet_common) | self.hold,
            self.settings.doubt_hours,
            self.settings.freeze_hours,
        )
        self.baseline.learn(self.hour, counts, expected, common, learns & ~self._blind)
        self._counts, self._expected, self._common = [], [], []
        self._blind = np.zeros(self.lanes, bool)

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "baseline": self.baseline.snapshot(),
            "evidence": self.evidence.snapshot(),
            "gate": self.gate.snapshot(),
            "hour": self.hour,
            "hold": self.hold,
            "counts": [a.tolist() for a in self._counts],
            "expected": [a.tolist() for a in self._expected],
            "common": [a.tolist() for a in self._common],
            "blind": self._blind.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        self.baseline.restore(state["baseline"])
        self.evidence.restore(state["evidence"])
        self.gate.restore(state["gate"])
        self.hour = state["hour"]
        self.hold = bool(state["hold"])
        for name in ("counts", "expected", "common"):
            parts = [np.array(a, float).reshape(self.lanes, -1) for a in state[name]]
            setattr(self, f"_{name}", parts)
        self._blind = np.array(state["blind"], bool)
