"""Drops of active users or of accesses, by a negative-binomial e-detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detectors.evidence import Change, Evidence, Minutes
from detectors.gate import LearningGate
from detectors.judged import Judged
from detectors.law import Judgement
from detectors.level import LevelFilter, Stretch
from detectors.pattern import HourPattern
from detectors.season import SeasonBaseline, Usual
from detectors.spread import Spread

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
        self.baseline = SeasonBaseline.empty()
        self.pattern = HourPattern.empty()
        self.spread = Spread.empty()
        self.level = LevelFilter.empty(len(settings.remains))
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
        self._usual: tuple[int, Usual, NDArray[np.float64]] | None = None

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.gate.shy)

    def grow(self, lanes: int) -> None:
        """Add cold lanes until there are ``lanes``."""
        more = max(lanes - self.lanes, 0)
        if more:
            self._usual = None
        parts = (self.baseline, self.pattern, self.spread, self.level, self.evidence, self.gate)
        for part in parts:
            part.grow(lanes)
        self._blind = np.append(self._blind, np.zeros(more, bool))
        pad = ((0, more), (0, 0))
        for kept in (self._counts, self._expected):
            kept[:] = [np.pad(a, pad) for a in kept]
        self._common[:] = [np.pad(a, pad, constant_values=1.0) for a in self._common]

    def warm(self) -> NDArray[np.bool_]:
        """Which lanes have seen enough, and have enough traffic, to be judged."""
        seen = self.baseline.total.sum(axis=1) / np.maximum(self.baseline.seen.sum(axis=1), 1e-9)
        busy = 2.0 * seen * np.exp(self.baseline.log_level) >= self.settings.least_hourly
        warm: NDArray[np.bool_] = busy & (self.baseline.hours >= self.settings.warm_hours)
        return warm

    def phi(self) -> NDArray[np.float64]:
        """Variance of a count over its mean, shape (lanes,)."""
        return self.spread.phi(self.settings.bursts)

    def enter(self, hour: int) -> None:
        """Close the hour before if ``hour`` is a new one; ``advance`` does so by itself."""
        if self.hour is not None and hour != self.hour:
            self.fold()
        self.hour = hour

    def usual(self, minute: int, count: int) -> NDArray[np.float64]:
        """Usual counts of ``count`` minutes of one hour, without the common factor."""
        return self._known(minute // 60)[2][:, minute % 60 : minute % 60 + count]

    def _usual_of(self, hour: int) -> Usual:
        return self._known(hour)[1]

    def _known(self, hour: int) -> tuple[int, Usual, NDArray[np.float64]]:
        """What is usual in an hour, and its minutes in their pattern, worked out once."""
        if self._usual is None or self._usual[0] != hour:
            phi, level = self.phi(), self.spread.level()
            usual = self.baseline.usual(hour, phi, level)
            self._usual = hour, usual, self.pattern.bend(hour, usual.minutes, phi, level)
        return self._usual

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
        hour = minute // 60
        self.enter(hour)
        told = self._judge(
            minute,
            Stretch(
                usual=self.usual(minute, counts.shape[1]) * completeness,
                counts=counts,
                others=others,
                others_usual=others_usual,
                judged=self.warm()[:, None] & (completeness >= self.settings.least_completeness),
                phi=self.phi(),
                spread=self.spread.level() + self._unsure(hour, 1.0),
                slope=self._usual_of(hour).slope,
                wander=self.spread.wander() + self._unsure(hour, 1.0 / 45.0),
            ),
            np.broadcast_to(threshold, self.lanes) - self.settings.credit,
        )
        self._blind |= (completeness < 0.5).any(axis=1)
        self._counts.append(counts)
        self._common.append(told.common)
        self._expected.append(told.expected)
        return told.changes

    def _judge(self, minute: int, hour: Stretch, levels: NDArray[np.float64]) -> Judged:
        """Hold the counts against their laws.

        All lanes take their minutes at once; one whose flag turns is taken back, goes as far
        as the turn, and on from there as what it is then.
        """
        lanes, minutes = hour.counts.shape
        judged = Judged.empty(lanes, len(self.settings.remains), minutes)
        before = self.evidence.r.copy(), self.evidence.cusum.copy()
        pending = [(np.arange(lanes), 0, minutes)]
        while pending:
            some, start, end = pending.pop()
            part = hour.pick(some, slice(start, end))
            evidence, level = self.evidence.take(some), self.level.take(some)
            level.sync(evidence, part.spread)
            told = level.follow(part, np.array(self.settings.remains), evidence.r)
            expected = part.usual * told.common
            sums = np.stack([part.counts, expected, expected])
            found = evidence.advance(
                Minutes(minute + start, told.llr, sums, part.judged), levels[some]
            )
            turns = np.full(len(some), end)
            for change in reversed(found):
                turns[change.lane] = change.minute - minute + 1
            done = np.flatnonzero(turns == end)
            self.evidence.put(some[done], evidence.take(done))
            self.level.put(some[done], level.take(done))
            judged.take(some[done], slice(start, end), told.pick(done), expected[done])
            mine = [replace(c, lane=int(some[c.lane])) for c in found if turns[c.lane] == end]
            judged.changes += mine
            self.gate.watch(self.evidence, [c.lane for c in mine], _SUSPICIOUS)
            for turn in np.unique(turns[turns < end]).tolist():
                again = some[turns == turn]
                pending += [(again, turn, end), (again, start, turn)]
        judged.changes.sort(key=lambda change: change.minute)
        sums = np.stack([hour.counts, judged.expected, judged.expected])
        self.last = Judgement(minute, judged.law, sums, hour.judged, levels, *before)
        # While the siblings sleep, all who are awake share a level that nobody knows: what
        # their lanes say does not add up.
        tells = hour.judged & ~self.level.asleep(hour.others_usual)
        self.gain = Minutes(minute, judged.llr, sums, tells).gain()
        return judged

    def _unsure(self, hour: int, share: float) -> NDArray[np.float64]:
        """Relative variance by which the expectation may be off; ``share`` of it a minute.

        An hour's error is made up for by the next hour's, a new kind of day's over the day.
        """
        usual, settings = self._usual_of(hour), self.settings
        days = 1.0 if share == 1.0 else share / 8.0
        unsure: NDArray[np.float64] = (
            usual.unsure * share + np.square(settings.novelty) * usual.novel * days
        )
        return unsure

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
        usual, seen = self._usual_of(self.hour), ~self._blind
        learns &= seen
        self.baseline.learn(self.hour, counts, expected, usual.hourly, common, learns)
        settled = learns & self.baseline.settled()
        self.spread.learn(counts, expected, settled.astype(float), self.settings.bursts)
        if counts.shape[1] == usual.minutes.shape[1]:
            # What falls by the clock is back within the hour, an outage is not.
            back = seen & ~self.evidence.is_open
            self.pattern.learn(self.hour, counts, usual.minutes, back)
        self._usual = None
        self._counts, self._expected, self._common = [], [], []
        self._blind = np.zeros(self.lanes, bool)

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "baseline": self.baseline.snapshot(),
            "pattern": self.pattern.snapshot(),
            "spread": self.spread.snapshot(),
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
        self._usual = None
        self.baseline.restore(state["baseline"])
        self.pattern.restore(state["pattern"])
        self.spread.restore(state["spread"])
        self.level.restore(state["level"])
        self.evidence.restore(state["evidence"])
        self.gate.restore(state["gate"])
        self.hour = state["hour"]
        self.hold = bool(state["hold"])
        for name in ("counts", "expected", "common"):
            parts = [np.array(a, float).reshape(self.lanes, -1) for a in state[name]]
            setattr(self, f"_{name}", parts)
        self._blind = np.array(state["blind"], bool)
