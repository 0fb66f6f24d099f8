"""Drops of active users or of accesses, by a negative-binomial e-detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detectors.evidence import Change, Evidence, Minutes
from detectors.gate import LearningGate
from detectors.judged import Judged
from detectors.law import Judgement
from detectors.level import LevelFilter, Stretch, Told
from detectors.usual import UsualCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Where the null is right the score comes to 8 once in 50 hours: doubt costs a lane 2 % of
# its hours, and no more of the low than of the high ones.
_SUSPICIOUS: Final = 8.0


@dataclass(frozen=True, slots=True)
class DropSettings:
    """What counts as a drop.

    Attributes:
        remains: alternatives, as the share of the expected count that remains.
        bursts: variance over mean of an hour's count, until the lane has shown its own.
        credit: nats by which alarms may come below the level asked for. What is not known of
            a level and of a season is priced in full, so that lanes of people who come and
            go on their own rise 0.3 to 0.6 times as often as promised without it.
        novelty: relative standard deviation of a whole day of a kind met once.
        warm_hours: hours learned before the lane is judged: a whole week.
        least_hourly: mean usual count an hour over the busier half of the week below which
            a lane tells too little to be judged.
        least_completeness: minutes seen less completely are not judged.
        quiet_common: hours in which the whole tenant does less than this share of its usual
            (a holiday) are not learned from.
        freeze_hours: hours an open flag or a holiday keeps its lane from learning, at most.
        doubt_hours: hours a suspicion does.
    """

    remains: tuple[float, ...] = (0.68, 0.3, 0.02)
    bursts: float = 1.5
    credit: float = 0.6
    novelty: float = 0.35
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
        self.usual = UsualCounts(settings.bursts, settings.novelty)
        self.level = LevelFilter.empty(len(settings.remains))
        self.evidence = Evidence.empty(len(settings.remains))
        self.gate = LearningGate.empty()
        self.hour: int | None = None
        self.hold = False
        self.last: Judgement | None = None
        self.gain = np.zeros((0, len(settings.remains)))
        self._remains = np.array(settings.remains)
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
        if not more:
            return
        for part in (self.usual, self.level, self.evidence, self.gate):
            part.grow(lanes)
        self._blind = np.append(self._blind, np.zeros(more, bool))
        pad = ((0, more), (0, 0))
        for kept in (self._counts, self._expected):
            kept[:] = [np.pad(a, pad) for a in kept]
        self._common[:] = [np.pad(a, pad, constant_values=1.0) for a in self._common]

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes have seen enough, and have enough traffic, to be judged."""
        known = self.usual.learned()
        busy = 2.0 * known.hourly >= self.settings.least_hourly
        warm: NDArray[np.bool_] = busy & (known.hours >= self.settings.warm_hours)
        return warm

    def enter(self, hour: int) -> None:
        """Close the hour before if ``hour`` is a new one; ``advance`` does so by itself."""
        if self.hour is not None and hour != self.hour:
            self.fold()
        self.hour = hour

    def advance(
        self,
        minute: int,
        counts: NDArray[np.float64],
        others: NDArray[np.float64],
        others_usual: NDArray[np.float64],
        completeness: NDArray[np.float64],
        threshold: float | NDArray[np.float64],
    ) -> list[Change]:
        """Score and learn minutes of one hour.

        Args:
            minute: first of the minutes, since 1970; all lie in one hour, in order.
            counts: observed counts, shape (lanes, minutes).
            others: sum of the counts of each lane's siblings, shape (lanes, minutes).
            others_usual: their usual sum, same shape; 0 = nobody to compare with.
            completeness: share of the records that can have arrived, shape (lanes, minutes).
            threshold: alarm level of the score: one for all, or shape (lanes,).
        """
        self.enter(minute // 60)
        ahead, begin = self.usual.ahead(minute // 60), minute % 60
        told = self._judge(
            minute,
            Stretch(
                usual=ahead.minutes[:, begin : begin + counts.shape[1]] * completeness,
                counts=counts,
                others=others,
                others_usual=others_usual,
                judged=self.warm()[:, None] & (completeness >= self.settings.least_completeness),
                phi=self.usual.learned().spread.phi,
                spread=ahead.spread,
                slope=ahead.usual.slope,
                wander=ahead.wander,
            ),
            np.full(self.lanes, threshold) - self.settings.credit,
        )
        self._blind |= (completeness < 0.5).any(axis=1)
        self._counts.append(counts)
        self._common.append(told.common)
        self._expected.append(told.expected)
        return told.changes

    def _judge(self, minute: int, hour: Stretch, levels: NDArray[np.float64]) -> Judged:
        """Hold the counts against their laws."""
        before = self.evidence.r.copy(), self.evidence.cusum.copy()
        # In few hours a flag turns: all lanes are tried at once, on copies.
        evidence, level = self.evidence.copy(), self.level.copy()
        told, sums, found = self._follow(minute, hour, evidence, level, levels)
        if found:
            judged = self._by_turns(minute, hour, levels)
            sums = _sums(hour.counts, judged.expected)
        else:
            self.evidence, self.level = evidence, level
            self.gate.watch(evidence, [], _SUSPICIOUS)
            judged = Judged.calm(told, sums[1])
        self.last = Judgement(minute, judged.law, sums, hour.judged, levels, *before)
        # While the siblings sleep, all who are awake share a level that nobody knows: what
        # their lanes say does not add up.
        tells = hour.judged & ~self.level.asleep(hour.others_usual)
        self.gain = Minutes(minute, judged.llr, sums, tells).gain()
        return judged

    def _follow(
        self,
        minute: int,
        part: Stretch,
        evidence: Evidence,
        level: LevelFilter,
        levels: NDArray[np.float64],
    ) -> tuple[Told, NDArray[np.float64], list[Change]]:
        """Take minutes into the given state, as if no flag turned in them before the last.

        Returns:
            What the counts say, the sums as in :class:`Judgement`, and which flags turn.
        """
        level.sync(evidence, part.spread)
        told = level.follow(part, self._remains, evidence.r)
        sums = _sums(part.counts, part.usual * told.common)
        return told, sums, evidence.advance(Minutes(minute, told.llr, sums, part.judged), levels)

    def _by_turns(self, minute: int, hour: Stretch, levels: NDArray[np.float64]) -> Judged:
        """The same where flags turn.

        All lanes take their minutes at once; one whose flag turns is taken back, goes as far
        as the turn, and on from there as what it is then.
        """
        lanes, minutes = hour.counts.shape
        judged = Judged.empty(lanes, len(self.settings.remains), minutes)
        pending = [(np.arange(lanes), 0, minutes)]
        while pending:
            some, start, end = pending.pop()
            part = hour.pick(some, slice(start, end))
            evidence, level = self.evidence.take(some), self.level.take(some)
            told, sums, found = self._follow(minute + start, part, evidence, level, levels[some])
            turns = np.full(len(some), end)
            for change in reversed(found):
                turns[change.lane] = change.minute - minute + 1
            done = np.flatnonzero(turns == end)
            self.evidence.put(some[done], evidence.take(done))
            self.level.put(some[done], level.take(done))
            judged.take(some[done], slice(start, end), told.pick(done), sums[1, done])
            mine = [replace(c, lane=int(some[c.lane])) for c in found if turns[c.lane] == end]
            judged.changes += mine
            self.gate.watch(self.evidence, [c.lane for c in mine], _SUSPICIOUS)
            for turn in np.unique(turns[turns < end]).tolist():
                again = some[turns == turn]
                pending += [(again, turn, end), (again, start, turn)]
        judged.changes.sort(key=lambda change: change.minute)
        return judged

    def expected(self) -> NDArray[np.float64]:
        """Expected counts of the hour so far, what the siblings tell included."""
        expected: NDArray[np.float64] = np.concatenate(self._expected, axis=1).sum(axis=1)
        return expected

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
        seen = ~self._blind
        # What falls by the clock is back within the hour, an outage is not.
        back = seen & ~self.evidence.is_open
        self.usual.learn(self.hour, counts, expected, common, learns & seen, back)
        self._counts, self._expected, self._common = [], [], []
        self._blind = np.zeros(self.lanes, bool)

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            **self.usual.snapshot(),
            "level": self.level.snapshot(),
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
        self.usual.restore(state)
        self.level.restore(state["level"])
        self.evidence.restore(state["evidence"])
        self.gate.restore(state["gate"])
        self.hour = state["hour"]
        self.hold = bool(state["hold"])
        for name in ("counts", "expected", "common"):
            parts = [np.array(a, float).reshape(self.lanes, -1) for a in state[name]]
            setattr(self, f"_{name}", parts)
        self._blind = np.array(state["blind"], bool)


def _sums(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observed, expected and trials, shape (3, lanes, minutes)."""
    return np.array([counts, expected, expected])
