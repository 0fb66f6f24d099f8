"""The sum of a joint score, term by term: which lanes say how much, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detectors.joint import chance
from pipeline.model.vocabulary import Client, Signal, Source
from pipeline.report.explain_words import lane_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.report.trace import Joint

# Lines that say less than 2 to 1 for the change, at their best, are told in one row.
_SAYS: Final = 2.0
# Starts that hold less than this share of the sum are told in one row.
_OF_SUM: Final = 0.02


def joint_score(joint: Joint) -> float:
    """ln(60 * sum of E_s), at least 0, from the kept terms."""
    return max(float(np.logaddexp.reduce(joint.since) + np.log(60.0)), 0.0)


def factors(joint: Joint) -> dict[int, NDArray[np.float64]]:
    """1 - c + c * l(a) of each line since the likeliest start, shape (severities,)."""
    lines: dict[int, dict[int, NDArray[np.float64]]] = {}
    for lane in joint.lanes:
        units = lines.setdefault(lane["line"], {})
        says = lane["weight"] * np.exp(np.array(lane["gained"]))
        units[lane["unit"]] = units.get(lane["unit"], 0.0) + says
    hit = chance(len(lines))
    out = {}
    for line, units in sorted(lines.items()):
        values = np.stack(list(units.values()))
        alone = len(values) == 1
        both = values[0] if alone else 0.5 * (values.mean(axis=0) + values.prod(axis=0))
        out[line] = 1.0 - hit + hit * both
    return out


def joint_text(joint: Joint) -> list[str]:
    """The lanes and lines since the likeliest start, then the starts, then the score."""
    by_line = factors(joint)
    best = int(np.argmax(joint.since))
    hit = chance(len(by_line))
    loud = {line for line, factor in by_line.items() if factor.max() >= 1.0 - hit + hit * _SAYS}
    total = np.prod(list(by_line.values()), axis=0)
    begun = "with the hour of the alarm" if best == 0 else f"{best + 1} hours up to the alarm"
    out = [
        "  What all lanes say together (docs/detection.md): score = ln(60 * sum of E over the hours at",
        "  which it may have begun), E = mean over four severities of the product of all lines'",
        f"  1 - c + c l, c = {hit:.3f}; l is the mean of its units' e, for two units or more half of it",
        "  and half of their product; e = sum of weight * exp(llr) over the lanes of the same people.",
        "",
        f"  Since the likeliest start, {begun}: weight, then four severities from mild to severe",
    ]
    for line in sorted(loud, key=lambda at: -float(by_line[at].max())):
        out += [
            _row(f"{lane['weight']:.3f}", lane["gained"], f"llr, {_name(lane)}")
            for lane in joint.lanes
            if lane["line"] == line
        ]
        out.append(_row("", by_line[line], "1 - c + c l of this line"))
    quiet = [factor for line, factor in by_line.items() if line not in loud]
    if quiet:
        out.append(
            _row("", np.prod(quiet, axis=0), f"the same of {len(quiet)} other lines, multiplied")
        )
    out.append(_row("", total, "product of all lines"))
    out += [
        "",
        f"  E = mean of the products = {total.mean():.6g} = exp({np.log(total.mean()):.3f})",
    ]
    return [*out, *_starts(joint)]


def _starts(joint: Joint) -> list[str]:
    shares = np.exp(joint.since - np.logaddexp.reduce(joint.since))
    told = np.flatnonzero(shares >= _OF_SUM).tolist()
    out = [
        f"  begun {at + 1:2d} hour{'s' if at else ' '} before the end: E = exp({joint.since[at]:.3f}),"
        f" {shares[at] * 100:.0f} % of the sum"
        for at in told
    ]
    rest = float(1.0 - shares[told].sum())
    if len(told) < len(shares):
        out.append(f"  begun in one of {len(shares) - len(told)} other hours: {rest * 100:.1f} %")
    return [*out, f"  score = ln(60 * sum) = {joint_score(joint):.3f}"]


def _name(lane: dict[str, Any]) -> str:
    title = lane_title(
        Client(lane["client"]),
        Signal(lane["signal"]),
        Source(lane["source"]),
        lane["family"],
        lane["error_code"],
    )
    return f"unit {lane['unit']}: {title}"


def _row(weight: str, values: Sequence[float] | NDArray[np.float64], name: str) -> str:
    return f"    {weight:>6}" + "".join(f" {value:10.4g}" for value in values) + f"  {name}"
