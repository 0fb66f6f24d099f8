"""The arithmetic of single minutes, spelled out with the numbers that went in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pipeline.model.trace import LawName
from pipeline.model.vocabulary import CLIENT_LABELS, Client, Signal, Source
from pipeline.notify.words import SIGNAL_LABELS, SOURCE_LABELS

if TYPE_CHECKING:
    from pipeline.report.explain import Explanation

_BB: Final = (
    "llr = ln BB(f; n, p1) - ln BB(f; n, p0), beta-binomial with a = p (1/rho - 1), "
    "b = (1-p) (1/rho - 1): ln BB = lnB(f+a, n-f+b) - lnB(a, b), up to what cancels"
)
_NB: Final = (
    "llr = ln NB(x; m1, k) - ln NB(x; m0, k), negative binomial of size k = m0 / (phi - 1): "
    "llr = x ln(m1/m0) + (x + k) ln((k + m0) / (k + m1))"
)
FORMULAS: Final = {LawName.BETA_BINOMIAL: _BB, LawName.NEGATIVE_BINOMIAL: _NB}


def lane_title(
    client: Client, signal: Signal, source: Source, family: str | None, error_code: int | None
) -> str:
    """Client, signal and source of a lane."""
    label, what = CLIENT_LABELS[client], SIGNAL_LABELS.get(signal, str(signal))
    if error_code is not None:
        what += f" {error_code}"
    elif family is not None:
        what += f" ({family})"
    return f"{label[:1].upper()}{label[1:]}: {what}, {SOURCE_LABELS.get(source, str(source))}"


def exact(value: float) -> str:
    """Nine significant digits: enough for differences of log-gamma values.

    >>> exact(1 / 3), exact(12.0), exact(0.0)
    ('0.333333333', '12', '0')
    """
    return f"{value:.9g}"


def question(explanation: Explanation) -> str:
    """What the flag decides between, with the numbers of its alarm."""
    trace, at = explanation.trace, explanation.alarm
    if trace.law is LawName.BETA_BINOMIAL:
        rates = _either([_percent(p) for p in trace.alternatives[at]])
        return (
            "of n users who could, f newly do: at the usual rate "
            f"p0 = {_percent(trace.null[at])}, or at p1 = {rates}?"
        )
    usual = trace.null[at]
    left = _either([_percent(m / usual) if usual > 0 else "-" for m in trace.alternatives[at]])
    return (
        "x are seen in a minute: is the mean still the least that is usual, m0, or do only "
        f"m1 = {left} of it remain?"
    )


def of_the_winner(explanation: Explanation) -> str:
    """The alternative that won, e.g. ``p1 = 13.1 %``."""
    trace, at = explanation.trace, explanation.alarm
    value = trace.alternatives[at, explanation.winner]
    if trace.law is LawName.BETA_BINOMIAL:
        return f"p1 = {_percent(value)}"
    return f"m1 = {_percent(value / trace.null[at])} of m0" if trace.null[at] > 0 else "m1"


def spelled_out(explanation: Explanation, at: int) -> list[str]:
    """One minute by hand: the numbers, the ratio of the winner, R before and after, score."""
    trace = explanation.trace
    r_before = explanation.r[at - 1] if at else trace.carried[0]
    lines = [_inputs(explanation, at), _ratio(explanation, at)]
    for name, values in (
        ("llr", explanation.llr[at]),
        ("R before", r_before),
        ("R after", explanation.r[at]),
    ):
        lines.append(f"{name} = {', '.join(exact(v) for v in values)}")
    mean = float(explanation.r[at].mean())
    lines.append(f"score = ln({exact(mean)}) = {exact(math.log(max(mean, 1.0)))}")
    return lines


def _inputs(explanation: Explanation, at: int) -> str:
    trace = explanation.trace
    m0, m1 = trace.null[at], trace.alternatives[at, explanation.winner]
    if trace.law is LawName.BETA_BINOMIAL:
        told = [("n", trace.trials[at]), ("f", trace.observed[at]), ("p0", m0), ("p1", m1)]
        told.append(("rho", trace.spread[at]))
    else:
        told = [("x", trace.observed[at]), ("m0", m0), ("m1", m1), ("phi", trace.spread[at])]
    return ", ".join(f"{name} = {exact(value)}" for name, value in told)


def _ratio(explanation: Explanation, at: int) -> str:
    trace = explanation.trace
    m0, m1 = trace.null[at], trace.alternatives[at, explanation.winner]
    llr = exact(explanation.llr[at, explanation.winner])
    seen = exact(trace.observed[at])
    if trace.law is LawName.NEGATIVE_BINOMIAL:
        k = exact(m0 / (trace.spread[at] - 1.0))
        top, low = exact(m0), exact(m1)
        return (
            f"k = {k}; llr = {seen} ln({low}/{top}) + ({seen} + {k}) "
            f"ln(({k} + {top}) / ({k} + {low})) = {llr}"
        )
    size = 1.0 / trace.spread[at] - 1.0
    (a1, b1), (a0, b0) = ((exact(p * size), exact((1.0 - p) * size)) for p in (m1, m0))
    good = exact(trace.trials[at] - trace.observed[at])
    return (
        f"llr = lnB({seen} + {a1}, {good} + {b1}) - lnB({a1}, {b1}) "
        f"- lnB({seen} + {a0}, {good} + {b0}) + lnB({a0}, {b0}) = {llr}"
    )


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]])


def _percent(share: float) -> str:
    """Three significant digits: ``13.1 %``."""
    return f"{share * 100:.3g} %"
