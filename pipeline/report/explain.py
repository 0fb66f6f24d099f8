"""Why a flag was raised: its minutes taken over again, and the marks that matter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.recursion import RECOVERED
from detectors.replay import ratios, replay
from detectors.shift import in_hours
from pipeline.model.errors import ConfigError
from pipeline.model.trace import LawName
from pipeline.model.vocabulary import FlagKind
from pipeline.report.trace import NAME, read_traces

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.report.folder import Folder
    from pipeline.report.trace import Trace

# 99 % of a normal law lies within this many standard deviations.
_BAND: Final = 2.58
# Minutes spelled out: the alarm, and those that moved the evidence most before it.
_DECISIVE: Final = 3
MINUTES_A_YEAR: Final = 525_960.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """One flag and how its evidence grew.

    Arrays have one row a minute of ``trace``. ``r`` and ``score`` end with the alarm, NaN
    after it; ``recovery`` is the evidence that the change is over, NaN before the end that
    the flag names.

    Attributes:
        flag: its last revision.
        trace: what was kept of it.
        llr: log-likelihood ratios, shape (minutes, alternatives).
        r: R of each alternative after the minute, same shape.
        score: log of the mean R, shape (minutes,).
        recovery: shape (minutes,).
        winner: the alternative with the largest R at the alarm.
        onset, alarm: rows of the onset and of the alarm.
        score_again, onset_again: score and onset as they were found again; None if the
            minutes that were kept do not raise the flag.
        decisive: rows spelled out, in order.
        low, high: the counts in which 99 of 100 quiet minutes fall, shape (minutes,).
    """

    flag: Flag
    trace: Trace
    llr: NDArray[np.float64]
    r: NDArray[np.float64]
    score: NDArray[np.float64]
    recovery: NDArray[np.float64]
    winner: int
    onset: int
    alarm: int
    score_again: float | None
    onset_again: int | None
    decisive: list[int]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def threshold(self) -> float:
        """The alarm level at the alarm."""
        return float(self.trace.threshold[self.alarm])

    @property
    def recovered_at(self) -> float:
        """Evidence at which a change is over."""
        return RECOVERED


def explain(flag: Flag, trace: Trace) -> Explanation:
    """Take the minutes of a flag over again; ``flag`` is its last revision."""
    llr = ratios(
        trace.law, trace.observed, trace.trials, trace.null, trace.alternatives, trace.spread
    )
    alarm = int(np.searchsorted(trace.minute, minute_of(flag.alarm_at)))
    first = int(trace.minute[0])
    upto = slice(0, alarm + 1)
    again = replay(first, llr[upto], trace.judged[upto], trace.threshold[upto], trace.carried)
    onset = int(np.searchsorted(trace.minute, minute_of(flag.onset_at)))
    score = np.full(len(llr), np.nan)
    r = np.full(llr.shape, np.nan)
    score[upto], r[upto] = again.score, again.r
    weight = np.where(trace.judged, llr[:, again.winner], 0.0)
    order = np.argsort(-weight[onset:alarm], kind="stable")[: _DECISIVE - 1]
    low, high = _band(trace)
    raised = again.raised
    if raised is not None and flag.kind is FlagKind.CLIENT_SHIFT:
        raised = in_hours(raised)
    return Explanation(
        flag=flag,
        trace=trace,
        llr=llr,
        r=r,
        score=score,
        recovery=_recovery(flag, trace, llr[:, again.winner]),
        winner=again.winner,
        onset=onset,
        alarm=alarm,
        score_again=raised.score if raised else None,
        onset_again=raised.onset if raised else None,
        decisive=[*sorted((order + onset).tolist()), alarm],
        low=low,
        high=high,
    )


def minute_of(at: datetime) -> int:
    """Minutes since 1970."""
    return int(at.timestamp()) // 60


def explain_incident(
    folder: Folder, incident: Incident, *, flag: str = "", every: bool = False
) -> tuple[list[Explanation], list[Flag]]:
    """Explanations of an incident's flags, and the flags that were left out.

    Args:
        folder: what a backfill wrote; a run keeps no minutes.
        incident: one of its incidents.
        flag: id of the one flag that is asked for.
        every: explain all flags; otherwise the first of each signal.

    Raises:
        ConfigError: no minutes were kept of what is asked for.
    """
    if folder.ledger is not None and not (folder.path / NAME).exists():
        raise ConfigError(
            f"{folder.path}: a run keeps no minutes to explain {incident.incident_id} by; 'outrider "
            "incidents show' tells its evidence, and 'outrider backfill' over the same logs writes "
            "a folder that can be explained"
        )
    known = folder.flags()
    flags = [known[i] for i in incident.flag_ids if i in known]
    flags.sort(key=lambda f: (f.alarm_at, f.flag_id))
    traces = read_traces(folder.path, [f.flag_id for f in flags])
    kept = [f for f in flags if f.flag_id in traces]
    if flag:
        chosen = [f for f in kept if f.flag_id == flag]
    elif every:
        chosen = kept
    else:
        # The dictionary keeps the last it is told of each signal.
        first = {f.signal: f for f in reversed(kept)}
        chosen = [f for f in kept if first[f.signal] is f]
    if not chosen:
        what = flag or incident.incident_id
        raise ConfigError(f"{folder.path}: no minutes were kept of {what}")
    return [explain(f, traces[f.flag_id]) for f in chosen], [f for f in flags if f not in chosen]


def _recovery(flag: Flag, trace: Trace, llr: NDArray[np.float64]) -> NDArray[np.float64]:
    """U = sum of -llr from the end that the flag names to the decision."""
    out = np.full(len(llr), np.nan)
    if flag.closed_at is None or flag.decided_at is None:
        return out
    end, decided = minute_of(flag.closed_at), minute_of(flag.decided_at - timedelta(minutes=1))
    inside = (trace.minute >= end) & (trace.minute <= decided)
    out[inside] = np.cumsum(np.where(trace.judged[inside], -llr[inside], 0.0))
    return out


def _band(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = trace.expected
    if trace.law is LawName.BETA_BINOMIAL:
        trials = np.maximum(trace.trials, 1.0)
        rate = np.minimum(mean / trials, 1.0)
        variance = mean * (1.0 - rate) * (1.0 + (trials - 1.0) * trace.spread)
    else:
        variance = mean * trace.spread
    reach = _BAND * np.sqrt(variance)
    return np.maximum(mean - reach, 0.0), mean + reach
