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

A calm lane takes a whole hour at once: with S the running sum of llr,
R_t = exp(S_t) (R_0 + sum_{s<=t} exp(-S_{s-1})) and W_t = S_t - min(-W_0, min_{s<=t} S_s).
Lanes that are open, would alarm or are partly blind go minute by minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.arrays import LaneArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Beyond the threshold more evidence only delays the recovery; 3 nats keep a margin.
HEADROOM: Final = 3.0
# A recovery is believed at likelihood ratio 1000 against the change.
RECOVERED: Final = 6.9
# One minute undoes at most 10 nats, so that 60 of them stay within a double's range; the
# statistic after a minute like that is below 1e-4 in any case.
LEAST: Final = -10.0


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

    def pick(self, lanes: NDArray[np.int64]) -> Minutes:
        """The same minutes for some lanes only."""
        return Minutes(self.first, self.llr[lanes], self.sums[:, lanes], self.judged[lanes])

    def gain(self) -> NDArray[np.float64]:
        """Log-likelihood ratio of all minutes that count, shape (lanes, alternatives)."""
        gain: NDArray[np.float64] = np.where(self.judged[:, None, :], self.llr, 0.0).sum(axis=2)
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
        levels = np.broadcast_to(threshold, self.is_open.shape)
        self.peak = self.r.mean(axis=1)
        clipped = np.maximum(minutes.llr, LEAST)
        minutes = Minutes(minutes.first, clipped, minutes.sums, minutes.judged)
        calm = np.flatnonzero(np.all(minutes.judged, axis=1) & ~self.is_open)
        if len(calm):
            calm = calm[self._whole(calm, minutes.pick(calm), levels[calm])]
        busy = np.setdiff1d(np.flatnonzero(np.any(minutes.judged, axis=1)), calm)
        changes: list[Change] = []
        if len(busy):
            for at in range(minutes.llr.shape[2]):
                changes += self._step(busy, minutes, at, levels)
        return changes

    def _whole(
        self, lanes: NDArray[np.int64], minutes: Minutes, levels: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Advance those of ``lanes`` that stay below the threshold; tell which did."""
        total = np.cumsum(minutes.llr, axis=2)
        before = np.concatenate([np.zeros((*total.shape[:2], 1)), total[:, :, :-1]], axis=2)
        with np.errstate(over="ignore", invalid="ignore"):
            r = np.exp(total) * (self.r[lanes, :, None] + np.cumsum(np.exp(-before), axis=2))
            highest = r.mean(axis=1).max(axis=1)
        calm: NDArray[np.bool_] = highest < np.exp(levels)
        if not calm.any():
            return calm
        kept = lanes[calm]
        total, sums = total[calm], minutes.sums[:, calm]
        self.r[kept] = r[calm, :, -1]
        self.peak[kept] = np.maximum(self.peak[kept], highest[calm])
        start = self.cusum[kept]
        low = np.minimum(np.minimum.accumulate(total, axis=2), -start[:, :, None])
        walk = total - low
        self.cusum[kept] = walk[:, :, -1]
        idle = np.concatenate([start[:, :, None], walk[:, :, :-1]], axis=2) <= 0.0
        last = idle.shape[2] - 1 - np.argmax(idle[:, :, ::-1], axis=2)
        moved: NDArray[np.bool_] = np.any(idle, axis=2).astype(bool)
        self.onset[kept] = np.where(moved, minutes.first + last, self.onset[kept])
        running = np.cumsum(sums, axis=2)
        whole = running[:, :, -1].T[:, None, :]
        upto = np.concatenate([np.zeros((3, len(kept), 1)), running[:, :, :-1]], axis=2)
        gone = np.stack([np.take_along_axis(part, last, axis=1) for part in upto], axis=2)
        self.sums[kept] = np.where(moved[:, :, None], whole - gone, self.sums[kept] + whole)
        return calm

    def _step(
        self, lanes: NDArray[np.int64], minutes: Minutes, at: int, levels: NDArray[np.float64]
    ) -> list[Change]:
        lanes = lanes[minutes.judged[lanes, at]]
        if not len(lanes):
            return []
        minute = minutes.first + at
        llr = minutes.llr[lanes, :, at]
        sums = minutes.sums[:, lanes, at].T
        with np.errstate(over="ignore"):
            grown = (1.0 + self.r[lanes]) * np.exp(llr)
        self.r[lanes] = np.minimum(grown, np.exp(levels[lanes] + HEADROOM)[:, None])
        idle = self.cusum[lanes] <= 0.0
        self.onset[lanes] = np.where(idle, minute, self.onset[lanes])
        kept = np.where(idle[:, :, None], 0.0, self.sums[lanes])
        self.sums[lanes] = kept + sums[:, None, :]
        self.cusum[lanes] = np.maximum(self.cusum[lanes] + llr, 0.0)
        changes = []
        mean = self.r[lanes].mean(axis=1)
        self.peak[lanes] = np.maximum(self.peak[lanes], mean)
        score = np.log(np.maximum(mean, 1.0))
        for i, lane in enumerate(lanes.tolist()):
            if self.is_open[lane]:
                ratio = float(llr[i, self.winner[lane]])
                if self._recovers(lane, minute, ratio, sums[i], float(score[i])):
                    changes.append(self._close(lane, minute))
            elif score[i] >= levels[lane]:
                changes.append(self.open(lane, minute, float(score[i])))
        return changes

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

    def _recovers(
        self, lane: int, minute: int, ratio: float, sums: NDArray[np.float64], score: float
    ) -> bool:
        """Whether the change is over; what the flag sums stops where the recovery began."""
        if self.recovery[lane] <= 0.0:
            self.recovery_from[lane] = minute
            self.flag_sums[lane] += self.recovery_sums[lane]
            self.recovery_sums[lane] = 0.0
        self.recovery_sums[lane] += sums
        self.flag_score[lane] = max(float(self.flag_score[lane]), score)
        self.recovery[lane] = max(float(self.recovery[lane]) - ratio, 0.0)
        return bool(self.recovery[lane] >= RECOVERED)

    def _close(self, lane: int, minute: int) -> Change:
        change = self._change(lane, minute, int(self.recovery_from[lane]))
        self.is_open[lane] = False
        self.r[lane] = 0.0
        self.cusum[lane] = 0.0
        return change

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
