"""Plain facts read from a picture; each is a rule of thumb with its threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.correlate.history import FAMILIES
from pipeline.correlate.picture import effect
from pipeline.correlate.view import ENOUGH_USERS
from pipeline.model.change import ChangeKind, TenantChange
from pipeline.model.vocabulary import MISSING_KINDS, Outcome, OutcomeFamily

if TYPE_CHECKING:
    from pipeline.correlate.picture import Picture

MATERIAL: Final = 3.0  # user-hours of excess failures below which a mix says nothing
ONE_PLACE: Final = 0.8  # share of the affected users on one network that makes it local
USUAL_PLACE: Final = 0.5  # unless so many users are always there
CROWD: Final = 10  # users below which being on one network may be chance
SIDE: Final = 0.2  # share of tenant-side failures from which a change is suspected
LARGE_DROP: Final = 0.4  # a fall of people alone that needs no further sign
DEVICES: Final = 2  # so many users may be one person's devices

# What each kind of change can break, by the outcome its failures show.
BREAKS: Final[dict[ChangeKind, frozenset[Outcome]]] = {
    ChangeKind.CONDITIONAL_ACCESS: frozenset({Outcome.POLICY}),
    ChangeKind.NAMED_LOCATION: frozenset({Outcome.POLICY}),
    ChangeKind.AUTHENTICATION_METHOD: frozenset({Outcome.POLICY}),
    ChangeKind.FEDERATION: frozenset({Outcome.FEDERATION}),
    ChangeKind.CERTIFICATE: frozenset({Outcome.FEDERATION, Outcome.CLIENT_CONFIG}),
    ChangeKind.APP_CREDENTIALS: frozenset({Outcome.CLIENT_CONFIG}),
    ChangeKind.OTHER: frozenset(),
}


def excess(picture: Picture) -> dict[OutcomeFamily, float]:
    """User-hours of failures beyond the usual, by family; empty if they are no more than usual."""
    tally = picture.tally
    over = {
        f: max(0.0, now - usual)
        for f, now, usual in zip(FAMILIES, tally.failing, tally.failing_usual, strict=True)
        if now >= 2.0 * usual
    }
    return over if sum(over.values()) >= MATERIAL else {}


def family_share(picture: Picture, family: OutcomeFamily) -> float:
    """Share of ``family`` in the excess failures, 0..1; by the flags if nothing was counted."""
    over = excess(picture)
    if over:
        return over.get(family, 0.0) / sum(over.values())
    failing = [f for f in picture.strong if f.family is not None]
    return sum(f.family is family for f in failing) / len(failing) if failing else 0.0


def single_device(picture: Picture) -> bool:
    """Whether one or two users are all there is, by our count and by the flags' own."""
    told = [effect(f) for f in picture.strong if "users" in f.observed]
    if not picture.users and not told:
        return False  # nothing is known of users at all
    return picture.users <= DEVICES and max(told, default=0.0) <= DEVICES + 1


def one_network(picture: Picture) -> bool:
    """Whether nearly all affected users are on one network that is usually a minority's."""
    net = picture.network
    return (
        net is not None
        and net.users >= CROWD
        and net.known >= 0.5 * len(picture.tally.rows)
        and net.inside >= ONE_PLACE
        and net.usual <= USUAL_PLACE
        and family_share(picture, OutcomeFamily.CREDENTIAL) < 0.5
        and family_share(picture, OutcomeFamily.TENANT) < 0.5
    )


def nobody_at_work(picture: Picture) -> bool:
    """Whether everybody is missing everywhere, and nothing fails or is tried again."""
    tally = picture.tally
    missing_only = all(f.kind in MISSING_KINDS for f in picture.strong)
    if not missing_only or excess(picture) or pressing(picture) >= MATERIAL:
        return False
    if tally.all_expected < ENOUGH_USERS or tally.all_observed > 0.8 * tally.all_expected:
        return False
    others = tally.other_expected < ENOUGH_USERS or (
        tally.other_observed <= 0.7 * tally.other_expected
    )
    return others and tally.missing_present <= 0.3 * max(tally.missing, 1.0)


def moved_on(picture: Picture) -> bool:
    """Whether the missed users simply use a sibling client now, and nothing fails."""
    tally = picture.tally
    return (
        tally.missing >= MATERIAL
        and tally.missing_sibling >= 0.6 * tally.missing
        and not excess(picture)
        and pressing(picture) < MATERIAL
    )


def blind(picture: Picture) -> bool:
    """Whether the member feeds told less than half of what they should."""
    return picture.tally.seen > 0 and picture.tally.told < 0.5 * picture.tally.seen


def outage_excluded(picture: Picture) -> bool:
    """Whether something simpler than an outage explains it, whatever the sums say."""
    return (
        family_share(picture, OutcomeFamily.TENANT) >= 0.5
        or family_share(picture, OutcomeFamily.CREDENTIAL) >= 0.5
        or single_device(picture)
        or one_network(picture)
        or blind(picture)
    )


def pressing(picture: Picture) -> float:
    """User-hours of repeated attempts beyond the usual."""
    return max(0.0, picture.tally.pressing - picture.tally.pressing_usual)


def drops_only(picture: Picture) -> bool:
    """Whether nothing fails and nobody retries: people are just fewer."""
    falling = all(f.kind in MISSING_KINDS for f in picture.strong)
    return falling and not excess(picture) and pressing(picture) < MATERIAL


def lost_share(picture: Picture) -> float:
    """Share of the expected users that is missing, 0..1; by the flags if nothing was counted."""
    tally = picture.tally
    if tally.expected > 0.0:
        return max(0.0, 1.0 - tally.observed / tally.expected)
    expected = sum(f.expected.get("users", 0.0) for f in picture.strong)
    observed = sum(f.observed.get("users", 0.0) for f in picture.strong)
    return max(0.0, 1.0 - observed / expected) if expected else 0.0


def fits(picture: Picture, change: TenantChange) -> bool:
    """Whether the kind of a tenant change explains the failures that are seen."""
    outcomes = {c.outcome for c in picture.codes[:3]}
    tenant = family_share(picture, OutcomeFamily.TENANT)
    return tenant >= SIDE and bool(outcomes & BREAKS[change.kind])


def suspects(picture: Picture) -> tuple[TenantChange, ...]:
    """The changes before the onset worth naming, the latest first, those that fit alone."""
    explains = [c for c in picture.changes if fits(picture, c)]
    known = [c for c in picture.changes if c.kind is not ChangeKind.OTHER]
    found = explains or known
    if not found and family_share(picture, OutcomeFamily.TENANT) >= SIDE:
        found = list(picture.changes)
    return tuple(sorted(found, key=lambda c: c.at, reverse=True)[:3])


def force(picture: Picture) -> float:
    """How much circumstances count, 0..1: little beside a small drop with nothing else."""
    return min(1.0, lost_share(picture) / LARGE_DROP) if drops_only(picture) else 1.0


def circumstance(picture: Picture) -> float:
    """How much the whereabouts of people count, 0..1: habits that change are spread as well."""
    return (0.5 if drops_only(picture) else 1.0) * force(picture)
