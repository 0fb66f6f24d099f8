"""The rules behind a verdict; each gives evidence with its weight (log-odds) and numbers.

A weight of 1 makes a verdict 2.7 times likelier, 3 twenty times, 4 fifty-five times. Each
stands beside its rule; they were set by judgement, so that one decisive fact outweighs
two circumstantial ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.correlate import falls
from pipeline.correlate.history import FAMILIES
from pipeline.correlate.signs import (
    MATERIAL,
    SIDE,
    blind,
    circumstance,
    excess,
    family_share,
    fits,
    one_network,
    pressing,
    suspects,
)
from pipeline.correlate.words import moment, percent
from pipeline.model.incident import Evidence
from pipeline.model.vocabulary import (
    FlagKind,
    OutcomeFamily,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.correlate.picture import Picture
    from pipeline.model.window import Gap

OUTAGE, CHANGE, ATTACK = Verdict.SERVICE_OUTAGE, Verdict.TENANT_CHANGE, Verdict.ATTACK
LOCAL, GAP, UNSURE = Verdict.LOCAL_NETWORK, Verdict.TELEMETRY_GAP, Verdict.UNDETERMINED

FOREIGN: Final = 0.6  # share of failures from networks where the user never succeeded

_LABELS: Final = {
    OutcomeFamily.SERVICE: "service-side or unknown codes",
    OutcomeFamily.TENANT: "policy, federation or configuration codes",
    OutcomeFamily.CREDENTIAL: "credential codes",
}


def gap(gap: Gap) -> Evidence:
    """The evidence a gap record is by itself."""
    hours = (gap.end - gap.start) / timedelta(hours=1)
    return Evidence(
        GAP,
        6.0,
        f"{gap.source} delivered nothing for {hours:.1f} h, where {gap.expected:.0f} records are usual",
        {"hours": round(hours, 3), "expected_records": round(gap.expected, 1)},
    )


def _flags(picture: Picture) -> list[Evidence]:
    """What the detectors say by themselves; little, since the counts below say it better."""
    names = {
        FlagKind.VOLUME_DROP: "drop",
        FlagKind.RETRY_SURGE: "retry",
        FlagKind.CLIENT_SHIFT: "shift",
    }
    counts: dict[str, float] = {}
    for flag in picture.strong:
        name = names.get(flag.kind) or f"failure_{flag.family or OutcomeFamily.SERVICE}"
        counts[name] = counts.get(name, 0.0) + 1.0
    text = "flags: " + ", ".join(f"{int(n)} {k}" for k, n in sorted(counts.items()))
    if "failure_tenant" in counts:
        return [Evidence(CHANGE, 1.0, text, counts)]
    if "failure_credential" in counts:
        return [Evidence(ATTACK, 0.5, text, counts)]
    return [Evidence(OUTAGE, 0.75 if len(counts) > 1 else 0.5, text, counts)]


def _failures(picture: Picture) -> list[Evidence]:
    over = excess(picture)
    out = []
    total = sum(over.values())
    for family, value in over.items():
        share = value / total
        if value < MATERIAL:
            continue
        at = FAMILIES.index(family)
        now, usual = picture.tally.failing[at], picture.tally.failing_usual[at]
        text = (
            f"{now:.0f} user-hours of failures with {_LABELS[family]} where {usual:.1f} are "
            f"usual, {percent(share)} of all failures beyond the usual"
        )
        numbers = {"now": now, "usual": round(usual, 2), "share": round(share, 4)}
        if family is OutcomeFamily.SERVICE:
            out.append(Evidence(OUTAGE, 2.5 * share, text, numbers))
        elif family is OutcomeFamily.TENANT:
            out.append(Evidence(CHANGE, 3.0 * share, text, numbers))
            out.append(Evidence(OUTAGE, -4.0 * share, text, numbers))
        else:
            out.append(Evidence(ATTACK, 1.0 * share, text, numbers))
            out.append(Evidence(OUTAGE, -2.0 * share, text, numbers))
    return out


def _retries(picture: Picture) -> list[Evidence]:
    over = pressing(picture)
    if over < MATERIAL or picture.tally.pressing < 1.5 * picture.tally.pressing_usual:
        return []
    now, usual = picture.tally.pressing, picture.tally.pressing_usual
    text = f"{now:.0f} user-hours of repeated attempts where {usual:.1f} are usual"
    return [Evidence(OUTAGE, 1.0, text, {"now": now, "usual": round(usual, 2)})]


def _places(picture: Picture) -> list[Evidence]:
    net, land = picture.network, picture.country
    if net is None or net.known < 5:
        return []
    numbers = {
        "networks": float(net.values),
        "users": float(net.known),
        "users_per_network": round(net.known / net.values, 2),
        "top_share": round(net.inside, 4),
        "top_share_usual": round(net.usual, 4),
    }
    if one_network(picture):
        text = (
            f"{percent(net.inside)} of the affected users are on network {net.value}, "
            f"usually {percent(net.usual)} of these clients' users"
        )
        return [Evidence(LOCAL, 4.0, text, numbers), Evidence(OUTAGE, -4.0, text, numbers)]
    if net.values < 3 or net.inside - net.usual > 0.2:
        return []
    text = (
        f"affected users on {net.values} networks; the largest holds {percent(net.inside)} of them, "
        f"usually {percent(net.usual)}"
    )
    full = circumstance(picture)
    out = [Evidence(OUTAGE, full, text, numbers), Evidence(LOCAL, -2.0, text, numbers)]
    if land is not None and land.values >= 2 and land.inside - land.usual <= 0.2:
        text = f"affected users in {land.values} countries, spread as usual"
        spread = {"countries": float(land.values), "top_share": round(land.inside, 4)}
        out.append(Evidence(OUTAGE, 0.3 * full, text, spread))
    return out


def _alternatives(picture: Picture) -> list[Evidence]:
    active = sum(h.active_users for h in picture.healthy)
    out = []
    if active >= 5:
        text = f"{len(picture.healthy)} other clients work as usual, {active} users active there"
        numbers = {"clients": float(len(picture.healthy)), "users": float(active)}
        out.append(Evidence(OUTAGE, 0.5 * circumstance(picture), text, numbers))
    if picture.users >= 5 and picture.succeeding >= 0.3 * picture.users:
        text = f"{picture.succeeding} of {picture.users} affected users succeed in another client"
        numbers = {"succeeding": float(picture.succeeding), "affected": float(picture.users)}
        out.append(Evidence(OUTAGE, 0.5 * circumstance(picture), text, numbers))
        out.append(Evidence(LOCAL, -1.5, text, numbers))
    return out


def _changes(picture: Picture) -> list[Evidence]:
    tenant = family_share(picture, OutcomeFamily.TENANT)
    out = []
    for change in suspects(picture):
        before = (picture.onset_at - change.at) / timedelta(minutes=1)
        explains = fits(picture, change)
        weight = 2.5 if explains else (0.5 if tenant >= SIDE else 0.25)
        how = "its kind explains these failures" if explains else "its kind does not explain these"
        kind = change.kind.replace("_", " ")
        when = f"{abs(before):.0f} min {'before' if before >= 0.0 else 'after'} the onset"
        text = f"{kind} change at {moment(change.at)}, {when}; {how}"
        out.append(Evidence(CHANGE, weight, text, {"minutes_before": round(before, 1)}))
    if not picture.changes and picture.changes_known:
        text = "no change in the directory audit shortly before the onset"
        out.append(Evidence(CHANGE, -0.5, text, {"changes": 0.0}))
    return out


def _credentials(picture: Picture) -> list[Evidence]:
    tally = picture.tally
    share = family_share(picture, OutcomeFamily.CREDENTIAL)
    if tally.credential < MATERIAL or OutcomeFamily.CREDENTIAL not in excess(picture):
        return []
    foreign = tally.foreign / tally.credential
    text = (
        f"{percent(foreign)} of the credential failures come from networks from which these users "
        "never succeeded in the last days"
    )
    numbers = {"user_hours": tally.credential, "foreign_share": round(foreign, 4)}
    if foreign < FOREIGN:
        return [
            Evidence(ATTACK, -2.0 if foreign <= 0.3 else -0.5, text, numbers),
            Evidence(UNSURE, 1.0, text, numbers),
        ]
    out = [Evidence(ATTACK, 3.0 if share >= 0.5 else 1.0, text, numbers)]
    net = picture.network
    if share >= 0.5 and net is not None and net.known >= 10 * net.values:
        text = f"{net.known} users fail from only {net.values} networks"
        counted = {"users": float(net.known), "networks": float(net.values)}
        out.append(Evidence(ATTACK, 1.0, text, counted))
    return out


def _feed(picture: Picture) -> list[Evidence]:
    tally = picture.tally
    out = []
    if blind(picture):
        share = tally.told / tally.seen
        text = f"the feeds told only {percent(share)} of these hours"
        numbers = {"completeness": round(share, 4)}
        out += [Evidence(GAP, 4.0, text, numbers), Evidence(OUTAGE, -4.0, text, numbers)]
    if tally.system_expected >= 50.0:
        share = tally.system_observed / tally.system_expected
        numbers = {"observed": tally.system_observed, "expected": round(tally.system_expected, 1)}
        text = f"server-side records of the same feed at {percent(share)} of the usual"
        if share <= 0.6:
            out += [Evidence(GAP, 3.0, text, numbers), Evidence(OUTAGE, -2.0, text, numbers)]
        elif share >= 0.8:
            out += [Evidence(GAP, -2.0, text, numbers), Evidence(OUTAGE, 0.5, text, numbers)]
    return out


def _others(picture: Picture) -> list[Evidence]:
    if not picture.other_tenants:
        return []
    text = f"{picture.other_tenants} other tenants have a like incident at the same time"
    return [Evidence(OUTAGE, 1.5, text, {"tenants": float(picture.other_tenants)})]


RULES: Final[tuple[Callable[[Picture], list[Evidence]], ...]] = (
    _flags,
    _failures,
    falls.drops,
    falls.shifts,
    _retries,
    _places,
    _alternatives,
    _changes,
    _credentials,
    _feed,
    falls.quiet,
    _others,
)
