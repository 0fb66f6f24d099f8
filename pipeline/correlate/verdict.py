"""Whose fault it is: evidence for and against each verdict, summed as log-odds."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Final

from pipeline.correlate import reasons, signs
from pipeline.model.vocabulary import Verdict

if TYPE_CHECKING:
    from pipeline.correlate.picture import Picture
    from pipeline.model.incident import Evidence

# Log-odds before any evidence: nothing known is "undetermined", and blindness is
# reported by its own gap record, so without one it is unlikely.
PRIOR: Final = {
    Verdict.SERVICE_OUTAGE: 0.0,
    Verdict.TENANT_CHANGE: 0.0,
    Verdict.ATTACK: 0.0,
    Verdict.LOCAL_NETWORK: 0.0,
    Verdict.TELEMETRY_GAP: -1.0,
    Verdict.UNDETERMINED: 1.0,
}
GAP_CONFIDENCE: Final = 0.97


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, how sure it is (0..1), and everything that speaks for and against.

    ``quiet`` = nothing to wake anybody for (nobody at work, one device, people going back).
    """

    verdict: Verdict
    confidence: float
    evidence: tuple[Evidence, ...]
    quiet: bool = False


def judge(picture: Picture) -> Judgement:
    """Weigh the evidence; an outage is never said where something simpler explains it."""
    if picture.gap is not None:
        return Judgement(Verdict.TELEMETRY_GAP, GAP_CONFIDENCE, (reasons.gap(picture.gap),))
    evidence = tuple(e for rule in reasons.RULES for e in rule(picture))
    odds = dict(PRIOR)
    for item in evidence:
        odds[item.verdict] += item.weight
    if signs.outage_excluded(picture):
        del odds[Verdict.SERVICE_OUTAGE]
    shares = softmax(odds)
    ranked = sorted(shares, key=lambda v: (-shares[v], v))
    quiet = signs.nobody_at_work(picture) or signs.single_device(picture) or picture.aftermath
    best, second = ranked[0], ranked[1]
    verdict, confidence = best, shares[best]
    if best is not Verdict.UNDETERMINED and odds[best] - odds[second] < picture.settings.margin:
        verdict, confidence = Verdict.UNDETERMINED, 1.0 - shares[best]
    ordered = tuple(sorted(evidence, key=lambda e: (-abs(e.weight), e.verdict, e.text)))
    return Judgement(verdict, round(confidence, 4), ordered, quiet)


def softmax(odds: dict[Verdict, float]) -> dict[Verdict, float]:
    """Log-odds to shares that sum to one."""
    top = max(odds.values())
    powers = {v: exp(o - top) for v, o in odds.items()}
    total = sum(powers.values())
    return {v: p / total for v, p in powers.items()}
