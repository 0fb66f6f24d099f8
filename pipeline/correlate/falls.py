"""Evidence from falling numbers: how far, of whom, and what else explains them."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

from pipeline.correlate.clients import reduction
from pipeline.correlate.signs import (
    LARGE_DROP,
    MATERIAL,
    drops_only,
    force,
    moved_on,
    nobody_at_work,
    single_device,
)
from pipeline.correlate.view import ENOUGH_USERS
from pipeline.correlate.words import percent
from pipeline.model.incident import Evidence
from pipeline.model.vocabulary import Client, FlagKind, Source, Verdict

if TYPE_CHECKING:
    from pipeline.correlate.picture import Picture

OUTAGE, UNSURE = Verdict.SERVICE_OUTAGE, Verdict.UNDETERMINED

OVERDISPERSION: Final = 1.5  # variance by mean of the number of active users
CLEAR: Final = 6.0  # standard deviations from which a fall alone cannot be chance
FEW_USERS: Final = 20  # missed people below which a fall alone may be chance
DROPPED: Final = 0.85  # observed by expected users from which a drop is one


def shifts(picture: Picture) -> list[Evidence]:
    """What people say who are at work without their usual client."""
    moved = reduction(picture.strong, FlagKind.CLIENT_SHIFT, "users")
    if moved["observed"] <= moved["expected"]:
        return []
    flags = [f for f in picture.strong if f.kind is FlagKind.CLIENT_SHIFT]
    found = {c: sum(f.observed.get(c, 0.0) - f.expected.get(c, 0.0) for f in flags) for c in Client}
    most = max(found, key=lambda c: (found[c], c))
    text = (
        f"people at work without their usual client in {moved['observed']:.0f} user-hours, "
        f"{moved['expected']:.0f} usual"
        + (f"; more of them than usual in {most.label}" if found[most] > 0.0 else "")
    )
    # Where the missed are found at work elsewhere, that has been said of the same people.
    weight = 1.0 if picture.tally.missing < MATERIAL else 0.5
    return [Evidence(OUTAGE, weight * force(picture), text, dict(moved))]


def drops(picture: Picture) -> list[Evidence]:
    """What a fall of active users says, and who is missed."""
    tally = picture.tally
    if tally.expected < 5.0 or tally.observed > DROPPED * tally.expected:
        return []
    lost = 1.0 - tally.observed / tally.expected
    out = [
        Evidence(
            OUTAGE,
            0.5 + lost,
            f"{percent(lost)} fewer active users than at the same hours of the days before "
            f"({tally.observed:.0f} user-hours, {tally.expected:.0f} usual)",
            {"observed": tally.observed, "expected": round(tally.expected, 1)},
        )
    ]
    if tally.missing >= MATERIAL:
        share = tally.missing_present / tally.missing
        numbers = {"missing": tally.missing, "present_elsewhere": tally.missing_present}
        text = f"{percent(share)} of the users missed there are at work in another client"
        out.append(Evidence(OUTAGE, (2.0 * share - 0.5) * force(picture), text, numbers))
    return out + _small_drop(picture, lost) + _signing_in(picture)


def _small_drop(picture: Picture, lost: float) -> list[Evidence]:
    """Habits change too: a fall alone has to be large, and of more than a few people."""
    out: list[Evidence] = []
    if not drops_only(picture):
        return out
    if lost < LARGE_DROP:
        text = f"only {percent(lost)} fewer users, no failure and no retry: habits change as much"
        weight = 2.5 * (1.0 - lost / LARGE_DROP)
        out.append(Evidence(UNSURE, weight, text, {"lost": round(lost, 4)}))
    if picture.users < FEW_USERS:
        text = f"only {picture.users} users are missed, with no failure and no retry"
        weight = 2.0 * (1.0 - picture.users / FEW_USERS)
        out.append(Evidence(UNSURE, weight, text, {"users": float(picture.users)}))
    # People come in groups and by habit: their number varies more than chance (Poisson).
    tally = picture.tally
    sigmas = (tally.expected - tally.observed) / sqrt(OVERDISPERSION * tally.expected)
    if sigmas < CLEAR:
        text = f"the fall is {sigmas:.1f} times what such numbers vary by themselves"
        weight = 2.0 * (1.0 - sigmas / CLEAR)
        out.append(Evidence(UNSURE, weight, text, {"sigmas": round(sigmas, 2)}))
    return out


def _signing_in(picture: Picture) -> list[Evidence]:
    """Whether the people who read no mail are there at all, as their sign-ins tell."""
    tally = picture.tally
    audit = all(f.source is Source.EXCHANGE_AUDIT for f in picture.strong)
    if not audit or tally.signin_expected < ENOUGH_USERS:
        return []
    share = tally.signin_observed / tally.signin_expected
    numbers = {"observed": tally.signin_observed, "expected": round(tally.signin_expected, 1)}
    text = f"sign-ins of all clients at {percent(share)} of the usual users meanwhile"
    if share >= 0.9:
        return [Evidence(OUTAGE, 1.0 * force(picture), text, numbers)]
    return [Evidence(UNSURE, 2.0, text, numbers)] if share <= 0.75 else []


def quiet(picture: Picture) -> list[Evidence]:
    """Harmless explanations: nobody at work, people moving, one device."""
    tally = picture.tally
    out = []
    if nobody_at_work(picture):
        share = tally.all_observed / tally.all_expected
        text = (
            f"all clients fell together to {percent(share)} of the usual users, with no failure and "
            "no retry: nobody at work, as on a holiday"
        )
        numbers = {"observed": tally.all_observed, "expected": round(tally.all_expected, 1)}
        out += [Evidence(UNSURE, 4.0, text, numbers), Evidence(OUTAGE, -4.0, text, numbers)]
    if moved_on(picture):
        share = tally.missing_sibling / tally.missing
        text = (
            f"{percent(share)} of the users missed use another client of the same product line now"
        )
        numbers = {"missing": tally.missing, "moved": tally.missing_sibling}
        out += [Evidence(UNSURE, 3.0, text, numbers), Evidence(OUTAGE, -2.5, text, numbers)]
    if picture.aftermath:
        text = (
            "the days to compare with were days of a long incident, when people had moved to "
            "this client: they are going back"
        )
        out += [Evidence(UNSURE, 3.0, text), Evidence(OUTAGE, -3.0, text)]
    if single_device(picture):
        text = f"only {picture.users} users are affected: perhaps one person's devices"
        numbers = {"users": float(picture.users)}
        out += [Evidence(UNSURE, 4.0, text, numbers), Evidence(OUTAGE, -4.0, text, numbers)]
    return out
