"""The evidence of an incident on the terminal: for a sceptic with a pocket calculator."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.flags import JOINT
from pipeline.model.trace import LawName
from pipeline.model.window import moment as at_minute
from pipeline.notify.words import count, moment, short
from pipeline.report.explain import MINUTES_A_YEAR
from pipeline.report.explain_joint import joint_score, joint_text
from pipeline.report.explain_words import (
    FORMULAS,
    exact,
    lane_title,
    of_the_winner,
    question,
    spelled_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.flag import Flag
    from pipeline.report.explain import Explanation

_LABEL: Final = 12
_WIDTH: Final = 96
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120)  # minutes told in one line
_LINES: Final = (26, 13)  # up to the alarm, and after it
_PLOT_WIDTH: Final = 72
_PLOT_HEIGHT: Final = 9


def flag_title(flag: Flag) -> str:
    """Client, signal and source of a flag."""
    return lane_title(flag.client, flag.signal, flag.source, flag.family, flag.error_code)


def explanation_text(explanation: Explanation, *, time_zone: str = "UTC") -> str:
    """Everything that decided one flag: the question, the marks, the minutes, the sums."""
    flag = explanation.flag
    lines = [flag_title(flag), f"  {flag.flag_id}", ""]
    for label, value in _facts(explanation, time_zone):
        lines += textwrap.wrap(
            value,
            _WIDTH,
            initial_indent=f"  {label:{_LABEL}}",
            subsequent_indent=" " * (_LABEL + 2),
            break_on_hyphens=False,
            break_long_words=False,
        )
    if explanation.trace.joint is not None:
        lines += ["", *joint_text(explanation.trace.joint)]
    lines += ["", *_minutes(explanation), "", *_plot(explanation), ""]
    for at in explanation.decisive:
        mark = " (the alarm)" if at == explanation.alarm else ""
        lines.append(f"  By hand, {_clock(explanation, at)}{mark}")
        lines += [f"    {line}" for line in spelled_out(explanation, at)]
    return "\n".join(lines)


def _facts(explanation: Explanation, zone: str) -> list[tuple[str, str]]:
    flag, level = explanation.flag, explanation.threshold
    years = np.exp(level) / MINUTES_A_YEAR
    rows = [
        ("Question", question(explanation)),
        ("Ratio", FORMULAS[explanation.trace.law]),
        (
            "Evidence",
            (
                "R = (1 + R of the minute before) exp(llr) for each alternative, held at "
                "exp(threshold + 3); score = ln(mean of the R)"
            ),
        ),
        (
            "Threshold",
            (
                f"{exact(level)}: exp of it, {np.exp(level):.3g} minutes or {count(years)} years, is the "
                "least mean time between two false alarms of this lane: its share of the budget of "
                "the whole tenant, less the credit that failures and drops are given because they "
                "raise fewer (docs/detection.md)"
            ),
        ),
        (
            "Onset",
            (
                f"{moment(flag.onset_at, zone)}: since then the CUSUM W = max(0, W + llr) of "
                f"{of_the_winner(explanation)} has not been 0 again"
            ),
        ),
        ("Raised", f"by the minute {moment(flag.alarm_at, zone)}; {_again(explanation)}"),
    ]
    if flag.closed_at is None:
        rows.append(("Closed", "not yet"))
    else:
        decided = "" if flag.decided_at is None else f", decided at {short(flag.decided_at)}"
        rows.append(
            (
                "Closed",
                (
                    f"over since {moment(flag.closed_at, zone)}{decided}: the sum of -llr since then "
                    f"reached {exact(explanation.recovered_at)}, 1000 to 1 against the change"
                ),
            )
        )
    return rows


def _again(explanation: Explanation) -> str:
    if explanation.flag.detector == JOINT:
        alone, joint = exact(float(explanation.score[explanation.alarm])), explanation.trace.joint
        score = explanation.flag.score if joint is None else joint_score(joint)
        return (
            f"by what several lanes say together, score {exact(score)}; this lane alone "
            f"stands at {alone}"
        )
    if explanation.score_again is None:
        return "the minutes that were kept do not reach the threshold: its history is longer"
    at = "the same onset" if _same_onset(explanation) else "another onset"
    return f"taken over again, the minutes below give score {exact(explanation.score_again)}, {at}"


def _same_onset(explanation: Explanation) -> bool:
    again = explanation.onset_again
    return again is not None and at_minute(again) == explanation.flag.onset_at


def _clock(explanation: Explanation, at: int) -> str:
    return short(at_minute(int(explanation.trace.minute[at])))


def _minutes(explanation: Explanation) -> list[str]:
    """Minutes from the first that was kept to the alarm, then to the recovery, in lines."""
    trace = explanation.trace
    tried = trace.law is LawName.BETA_BINOMIAL
    head = ["UTC", "seen", "usual", "99 % band", *(["n"] if tried else []), "complete"]
    rows = [[*head, "sum llr", "score", ""]]
    end = len(trace.minute)
    after = explanation.alarm + 1
    for begin, stop, lines in ((0, after, _LINES[0]), (after, end, _LINES[1])):
        if stop > begin:
            step = next((s for s in _STEPS if (stop - begin) / s <= lines), _STEPS[-1])
            group = trace.minute[begin:stop] // step
            edges = [begin, *(begin + 1 + np.flatnonzero(np.diff(group))).tolist(), stop]
            pairs = itertools.pairwise(edges)
            rows += [_row(explanation, slice(a, b), tried=tried) for a, b in pairs]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if i in {0, len(row) - 1} else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(explanation: Explanation, span: slice, *, tried: bool) -> list[str]:
    trace = explanation.trace
    mean = float(trace.expected[span].sum())
    # Minutes are taken as independent: their variances add up.
    reach = float(np.sqrt(((explanation.high - trace.expected)[span] ** 2).sum()))
    weight = np.where(trace.judged[span], explanation.llr[span, explanation.winner], 0.0)
    score = explanation.score[span.stop - 1]
    cells = [
        _clock(explanation, span.start),
        f"{trace.observed[span].sum():.0f}",
        f"{mean:.2f}",
        f"{max(mean - reach, 0.0):.1f} to {mean + reach:.1f}",
        *([f"{trace.trials[span].sum():.0f}"] if tried else []),
        f"{trace.completeness[span].mean() * 100:.0f} %",
        f"{weight.sum():.3f}",
        "" if np.isnan(score) else f"{score:.3f}",
    ]
    return [*cells, _marks(explanation, span)]


def _marks(explanation: Explanation, span: slice) -> str:
    told = []
    if span.start <= explanation.onset < span.stop:
        told.append(f"onset {_time(explanation, explanation.onset)}")
    if span.start <= explanation.alarm < span.stop:
        told.append(f"raised {_time(explanation, explanation.alarm)}")
    over = explanation.recovery[span]
    if not np.isnan(over).all():
        told.append(f"for an end {float(over[~np.isnan(over)][-1]):.3f}")
    if not explanation.trace.judged[span].all():
        told.append("partly not judged")
    return ", ".join(told)


def _time(explanation: Explanation, at: int) -> str:
    return _clock(explanation, at).rsplit(" ", 1)[1]


def _plot(explanation: Explanation) -> list[str]:
    """The score up to the alarm, with the threshold, in letters."""
    score = explanation.score[: explanation.alarm + 1]
    top = max(float(score.max()), explanation.threshold) * 1.05
    columns = np.array_split(score, min(_PLOT_WIDTH, len(score)))
    heights = [round(float(c[-1]) / top * (_PLOT_HEIGHT - 1)) for c in columns]
    level = round(explanation.threshold / top * (_PLOT_HEIGHT - 1))
    lines = []
    for row in range(_PLOT_HEIGHT - 1, -1, -1):
        blank = "-" if row == level else " "
        body = "".join("*" if h == row else blank for h in heights)
        name = "threshold" if row == level else f"{top * row / (_PLOT_HEIGHT - 1):.1f}"
        lines.append(f"  {name:>9} |{body}")
    begin, end = _clock(explanation, 0), _time(explanation, explanation.alarm)
    rule = " " * 12 + begin + end.rjust(max(len(heights) - len(begin), len(end) + 1))
    return ["  Score up to the alarm", *lines, rule]


def others_text(flags: Sequence[Flag]) -> list[str]:
    """What is left out, and how to get it; nothing if nothing is."""
    if not flags:
        return []
    more = f"{len(flags)} more flag{'s' if len(flags) > 1 else ''}"
    return [f"{more} of this incident: --all, or --flag {flags[0].flag_id}"]
