"""People at work without their usual client: a beta-binomial e-detector, by the hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detectors.absence import AbsenceBaseline
from detectors.evidence import Change, Evidence, Minutes
from detectors.gate import LearningGate
from detectors.habits import BANDS
from detectors.law import Judgement, Law
from detectors.likelihood import beta_binomial_ratio
from pipeline.model.trace import LawName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.absence import Usual

_HOUR: Final = 60
# An hour is known when it is over: its bands count in its last minutes, one each.
_LAST: Final = slice(_HOUR - len(BANDS), _HOUR)


@dataclass(frozen=True, slots=True)
class ShiftSettings:
    """What counts as a shift.

    Attributes:
        leaves: alternatives, as the share of a client's people who can no longer use it.
        warm_hours: hours learned before a lane is judged: a whole week.
        freeze_hours: hours an open flag keeps its lane from learning, at most.
        doubt_hours: hours a suspicion does.
    """

    leaves: tuple[float, ...] = (0.05, 0.12, 0.3, 0.7)
    warm_hours: float = 168.0
    freeze_hours: float = 240.0
    doubt_hours: float = 24.0


class ShiftLanes:
    """Many lanes at once, one client each; one call an hour.

    ``hold`` tells that something else of the tenant is amiss, so nothing is learned.
    """

    def __init__(self, settings: ShiftSettings) -> None:
        self.settings = settings
        self.baseline = AbsenceBaseline.empty()
        self.evidence = Evidence.empty(len(settings.leaves))
        self.gate = LearningGate.empty()
        self.hold = False
        self.last: Judgement | None = None
        self.gain = np.zeros((0, len(settings.leaves)))

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.gate.shy)

    def grow(self, lanes: int) -> None:
        """Add cold lanes until there are ``lanes``."""
        self.baseline.grow(lanes)
        self.evidence.grow(lanes)
        self.gate.grow(lanes)

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes have seen enough to be judged: a week, with people in it."""
        known = self.baseline.hours >= self.settings.warm_hours
        warm: NDArray[np.bool_] = known & self.baseline.busy()
        return warm

    def law(self, usual: Usual) -> Law:
        """What the last minutes of an hour are held against; 1/2 in all others."""
        null = np.full((self.lanes, _HOUR), 0.5)
        spread = np.full((self.lanes, _HOUR), 0.5)
        null[:, _LAST], spread[:, _LAST] = usual.null, usual.rho
        leaves = np.array(self.settings.leaves)[None, :, None]
        alternatives = null[:, None, :] + leaves * (1.0 - null[:, None, :])
        return Law(LawName.BETA_BINOMIAL, null, alternatives, spread)

    def advance(
        self,
        hour: int,
        at_work: NDArray[np.float64],
        absent: NDArray[np.float64],
        judged: NDArray[np.bool_],
        threshold: float | NDArray[np.float64],
    ) -> list[Change]:
        """Score and learn one hour.

        Args:
            hour: hours since 1970.
            at_work: people of each client who are at work, shape (lanes, bands).
            absent: of these, who are in no client of its line, same shape.
            judged: lanes whose hour is complete and ordinary, shape (lanes,).
            threshold: alarm level of the score: one for all, or shape (lanes,).
        """
        usual = self.baseline.usual(hour)
        law = self.law(usual)
        absent = np.minimum(absent, at_work)
        tried = np.where(usual.known, at_work, 0.0)
        sums = np.zeros((3, self.lanes, _HOUR))
        sums[:, :, _LAST] = np.stack([np.minimum(absent, tried), tried * usual.mean, tried])
        # An hour that tells nothing must not make a change seem older and so likelier.
        told = judged & self.warm() & (tried.sum(axis=1) > 0.0)
        seen = np.repeat(told[:, None], _HOUR, axis=1)
        before = self.evidence.r.copy(), self.evidence.cusum.copy()
        self.last = Judgement(hour * _HOUR, law, sums, seen, threshold, *before)
        minutes = Minutes(hour * _HOUR, self.ratios(law, sums), sums, seen)
        self.gain = minutes.gain()
        changes = self.evidence.advance(minutes, threshold)
        self.gate.watch(self.evidence, [c.lane for c in changes])
        learns = self.gate.close_hour(
            np.full(self.lanes, self.hold), self.settings.doubt_hours, self.settings.freeze_hours
        )
        self.baseline.learn(hour, at_work, absent, usual, learns & judged)
        return changes

    def told(self) -> NDArray[np.float64]:
        """Absent, usually absent and asked after in the last hour, shape (3, lanes, 60)."""
        nothing = np.zeros((3, self.lanes, _HOUR))
        return nothing if self.last is None else self.last.sums

    def ratios(self, law: Law, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-likelihood ratios, shape (lanes, alternatives, 60)."""
        out = np.zeros((self.lanes, len(self.settings.leaves), _HOUR))
        absent, _, tried = sums[:, :, None, _LAST]
        out[:, :, _LAST] = beta_binomial_ratio(
            absent,
            tried,
            law.alternatives[:, :, _LAST],
            law.null[:, None, _LAST],
            law.spread[:, None, _LAST],
        )
        return out

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "baseline": self.baseline.snapshot(),
            "evidence": self.evidence.snapshot(),
            "gate": self.gate.snapshot(),
            "hold": self.hold,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        self.baseline.restore(state["baseline"])
        self.evidence.restore(state["evidence"])
        self.gate.restore(state["gate"])
        self.hold = bool(state["hold"])


def in_hours(change: Change) -> Change:
    """The same change, dated to the hour: whoever was away in it was so from its start."""
    end = None if change.end is None else change.end // _HOUR * _HOUR
    return replace(change, onset=change.onset // _HOUR * _HOUR, end=end)
