"""Sequential evidence that a change has begun, and that it is over.

For each lane and each alternative j the Shiryaev-Roberts statistic

    R_t = (1 + R_{t-1}) * exp(llr_t)

sums the likelihood ratios of all start minutes up to now, so one statistic covers sudden
and creeping changes. Under a right null R_t - t is a martingale: an alarm at R >= A comes
on average no earlier than every A minutes (Pollak 1985; e-detectors: Shin, Ramdas, Rinaldo
2022), and so does an alarm of the mean over j. The onset is where the CUSUM
W_t = max(0, W_{t-1} + llr_t) of the winning alternative last left zero, which is the
maximum likelihood change point (Page 1954). Recovery is the same test with the sides
swapped: U_t = max(0, U_{t-1} - llr_t) of the alternative that raised the flag.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.arrays import LaneArrays
from detectors.recursion import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Change:
    """A lane's flag opened or closed.

    ``onset``, ``minute`` and ``end`` are minutes since 1970: the estimated change point,
    the minute of the decision and (closed only) the estimated end of the change.
    ``observed``, ``expected`` and ``trials`` are sums over [onset, minute] (open) or
    [onset, end] (closed).
    """

    lane: int
    opened: bool
    onset: int
    alarm: int
    minute: int
    end: int | None
    score: float
    observed: float
    expected: float
    trials: float


@dataclass(frozen=True, slots=True)
class Minutes:
    """What some consecutive minutes of one hour say, by lane.

    Attributes:
        first: first minute, since 1970.
        llr: log-likelihood ratios, shape (lanes, alternatives, minutes).
        sums: observed, expected and trials, shape (3, lanes, minutes).
        judged: which minutes count, shape (lanes, minutes).
    """

    first: int
    llr: NDArray[np.float64]
    sums: NDArray[np.float64]
    judged: NDArray[np.bool_]

    def gain(self) -> NDArray[np.float64]:
        """Log-likelihood ratio of all minutes that count, shape (lanes, alternatives)."""
        told = self.judged[:, :, None].astype(float)
        gain: NDArray[np.float64] = np.matmul(self.llr, told)[:, :, 0]
        return gain


@dataclass(slots=True)
class Evidence(LaneArrays):
    """Statistics of all lanes; arrays of shape (lanes, alternatives[, 3]) or (lanes[, 3]).

    ``r`` and ``cusum`` are R and W; ``peak`` is the highest mean R of the last call; the
    ``flag_`` and ``recovery`` arrays speak of the flag that is open, if one is.
    """

    r: NDArray[np.float64]
    peak: NDArray[np.float64]
    cusum: NDArray[np.float64]
    onset: NDArray[np.int64]
    sums: NDArray[np.float64]
    is_open: NDArray[np.bool_]
    winner: NDArray[np.int64]
    flag_onset: NDArray[np.int64]
    flag_alarm: NDArray[np.int64]
    flag_score: NDArray[np.float64]
    flag_sums: NDArray[np.float64]
    recovery: NDArray[np.float64]
    recovery_from: NDArray[np.int64]
    recovery_sums: NDArray[np.float64]

    @classmethod
    def empty(cls, alternatives: int) -> Evidence:
        """Statistics without a lane."""
        wide = (0, alternatives)
        return cls(
            r=np.zeros(wide),
            peak=np.zeros(0),
            cusum=np.zeros(wide),
            onset=np.zeros(wide, np.int64),
            sums=np.zeros((*wide, 3)),
            is_open=np.zeros(0, bool),
            winner=np.zeros(0, np.int64),
            flag_onset=np.zeros(0, np.int64),
            flag_alarm=np.zeros(0, np.int64),
            flag_score=np.zeros(0),
            flag_sums=np.zeros((0, 3)),
            recovery=np.zeros(0),
            recovery_from=np.zeros(0, np.int64),
            recovery_sums=np.zeros((0, 3)),
        )

    def score(self) -> NDArray[np.float64]:
        """Log of the mean of R over the alternatives, at least 0; shape (lanes,)."""
        score: NDArray[np.float64] = np.log(np.maximum(self.r.mean(axis=1), 1.0))
        return score

    def advance(self, minutes: Minutes, threshold: float | NDArray[np.float64]) -> list[Change]:
        """Take minutes over and return what opened or closed, in order of minutes.

        ``threshold`` is one alarm level of the score, or one a lane.
        """
        levels = np.exp(np.full(self.is_open.shape, threshold))
        self.peak = self.r.sum(axis=1) / self.r.shape[1]
        length = minutes.judged.shape[1]
        begin, end = np.zeros(len(levels), np.int64), np.full(len(levels), length)
        changes: list[Change] = []
        # Most lanes take all minutes in one go; one that turns goes on as what it is then.
        while len(turned := np.flatnonzero(self._walk(minutes, begin, end, levels))):
            begin[:] = length
            begin[turned] = end[turned]
            end[:] = length
            last = (minutes.first + begin - 1).tolist()
            changes += [self._turn(lane, last[lane]) for lane in turned.tolist()]
        changes.sort(key=lambda change: (change.minute, change.lane))
        return changes

    def _walk(
        self,
        minutes: Minutes,
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        levels: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        return walk(
            minutes.first,
            begin,
            end,
            (
                np.ascontiguousarray(minutes.llr),
                np.ascontiguousarray(minutes.sums),
                np.ascontiguousarray(minutes.judged),
            ),
            levels,
            (self.r, self.peak, self.cusum, self.onset, self.sums),
            (
                self.is_open,
                self.winner,
                self.flag_score,
                self.flag_sums,
                self.recovery,
                self.recovery_from,
                self.recovery_sums,
            ),
        )

    def _turn(self, lane: int, minute: int) -> Change:
        if not self.is_open[lane]:
            return self.open(lane, minute, self._score(lane))
        change = self._change(lane, minute, int(self.recovery_from[lane]))
        self.is_open[lane] = False
        self.r[lane] = 0.0
        self.cusum[lane] = 0.0
        return change

    def _score(self, lane: int) -> float:
        return math.log(max(float(self.r[lane].mean()), 1.0))

    def open(self, lane: int, minute: int, score: float) -> Change:
        """Open a lane's flag, be it below the threshold: others may share the evidence."""
        best = int(np.argmax(self.r[lane]))
        self.is_open[lane] = True
        self.winner[lane] = best
        self.flag_onset[lane] = self.onset[lane, best]
        self.flag_alarm[lane] = minute
        self.flag_score[lane] = score
        self.flag_sums[lane] = self.sums[lane, best]
        self.recovery[lane] = 0.0
        self.recovery_from[lane] = minute + 1
        self.recovery_sums[lane] = 0.0
        return self._change(lane, minute, None)

    def _change(self, lane: int, minute: int, end: int | None) -> Change:
        observed, expected, trials = self.flag_sums[lane].tolist()
        return Change(
            lane=lane,
            opened=end is None,
            onset=int(self.flag_onset[lane]),
            alarm=int(self.flag_alarm[lane]),
            minute=minute,
            end=end,
            score=float(self.flag_score[lane]),
            observed=observed,
            expected=expected,
            trials=trials,
        )
