"""One sentence for three in the morning, and how bad it is; no personal data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.correlate.clients import reduction
from pipeline.correlate.signs import nobody_at_work, single_device, suspects
from pipeline.correlate.words import listed, moment, percent
from pipeline.model.change import ChangeKind
from pipeline.model.incident import IncidentState, Severity
from pipeline.model.vocabulary import FlagKind, Source, Verdict

if TYPE_CHECKING:
    from pipeline.correlate.picture import Picture
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.verdict import Judgement
    from pipeline.model.window import Gap

_SOURCES: Final = {
    Source.ENTRA_SIGNIN: "interactive sign-in",
    Source.ENTRA_SIGNIN_NONINTERACTIVE: "non-interactive sign-in",
    Source.EXCHANGE_AUDIT: "Exchange mailbox audit",
    Source.ENTRA_DIRECTORY_AUDIT: "directory audit",
}
GAP_HOURS: Final = 4.0  # blind for so long, or for so many records, is worth a look
GAP_RECORDS: Final = 1_000.0


def gap_headline(gap: Gap) -> str:
    """Which source was silent, from when to when, and how much is missing."""
    return (
        f"No {_SOURCES[gap.source]} records from {moment(gap.start)} to {moment(gap.end)}: "
        f"about {gap.expected:.0f} missing; what happened then is not known"
    )


def headline(
    picture: Picture, judgement: Judgement, state: IncidentState, until: datetime | None
) -> str:
    """The incident in one sentence.

    Args:
        picture: what is known.
        judgement: whose fault it is.
        state: of the incident.
        until: when its last flag closed, if all are.
    """
    if picture.gap is not None:
        return gap_headline(picture.gap)
    who = listed([c.label for c in picture.clients])
    if until is not None and state is IncidentState.RESOLVED:
        when = f"from {moment(picture.onset_at)} to {moment(until)}"
    else:
        when = f"since {moment(picture.onset_at)}"
    if until is not None and state is IncidentState.RECOVERING:
        when += f", recovering since {moment(until)}"
    parts = [f"{who}: {_what(picture)} {when}", *_cause(picture, judgement)]
    works = [h.client.label for h in picture.healthy][:2]
    if works and state is IncidentState.OPEN and judgement.verdict is not Verdict.ATTACK:
        parts.append(f"{listed(works)} work{'s' if len(works) == 1 else ''}")
    return "; ".join(parts)


def _what(picture: Picture) -> str:
    """The strongest thing to say: a drop, then failures, then retries."""
    share = _drop(picture)
    failing = reduction(picture.strong, FlagKind.FAILURE_SPIKE, "rate")
    spikes = [f for f in picture.strong if f.kind is FlagKind.FAILURE_SPIKE]
    if share >= 0.1 and not spikes:
        return f"{percent(share)} fewer users than usual"
    users = f"{picture.users} users " if picture.users else "users "
    rates = [f.observed["rate"] for f in spikes if "rate" in f.observed]
    if rates:
        usual = failing["expected"] / len({f.client for f in spikes})
        return f"{users}fail to sign in (up to {percent(max(rates))}, usually {percent(usual)})"
    if spikes:
        return f"{users}fail to sign in"
    codes = sorted({f.error_code for f in picture.strong if f.error_code is not None})
    if codes:
        return f"{users}meet the new error {listed([str(c) for c in codes])}"
    kinds = {f.kind for f in picture.strong}
    if FlagKind.RETRY_SURGE in kinds:
        return f"{users}keep trying again"
    moved = FlagKind.CLIENT_SHIFT in kinds
    return f"{users}work in other clients instead" if moved else "fewer accesses than usual"


def _drop(picture: Picture) -> float:
    tally = picture.tally
    if tally.expected >= 20.0:
        return 1.0 - tally.observed / tally.expected
    for name in ("users", "accesses"):
        sums = reduction(picture.strong, FlagKind.VOLUME_DROP, name)
        if sums["expected"] > 0:
            return 1.0 - sums["observed"] / sums["expected"]
    return 0.0


def _unsure(picture: Picture) -> str:
    if picture.aftermath:
        return "people go back to the clients that work again"
    if single_device(picture):
        return "perhaps one person's devices"
    return "nobody at work" if nobody_at_work(picture) else "cause not certain"


def _change(picture: Picture) -> str:
    named = [c for c in suspects(picture) if c.kind is not ChangeKind.OTHER]
    if not named:
        return "our own policy, federation or configuration"
    return f"our own change: {named[0].kind.replace('_', ' ')} at {moment(named[0].at)}"


def _cause(picture: Picture, judgement: Judgement) -> list[str]:
    verdict = judgement.verdict
    if verdict is Verdict.TENANT_CHANGE:
        return [_change(picture)]
    if verdict is Verdict.ATTACK:
        nets = picture.network
        return [
            "attack on accounts"
            + (f" from {nets.values} network{'s' * (nets.values > 1)}" if nets else "")
        ]
    if verdict is Verdict.LOCAL_NETWORK and picture.network is not None:
        return [f"only network {picture.network.value}"]
    if verdict is Verdict.TELEMETRY_GAP:
        return ["our own telemetry is incomplete"]
    if verdict is Verdict.UNDETERMINED:
        return [_unsure(picture)]
    return []


def severity(
    picture: Picture, judgement: Judgement, lost: float, busiest: int, settings: CorrelateSettings
) -> Severity:
    """How bad it is.

    Args:
        picture: what is known.
        judgement: whose fault it is.
        lost: user-minutes lost.
        busiest: users of the tenant's busiest hour of the last week.
        settings: the thresholds.
    """
    if picture.gap is not None:
        hours = (picture.gap.end - picture.gap.start) / timedelta(hours=1)
        worth = hours >= GAP_HOURS or picture.gap.expected >= GAP_RECORDS
        return Severity.MEDIUM if worth else Severity.LOW
    users = picture.users
    share = users / busiest if busiest else 0.0
    if judgement.quiet or users < settings.medium_users:
        return Severity.LOW
    if judgement.verdict in {Verdict.UNDETERMINED, Verdict.TELEMETRY_GAP}:
        return Severity.MEDIUM if users >= settings.high_users else Severity.LOW
    if users >= settings.critical_users and (
        share >= settings.critical_share or lost >= settings.lost_critical
    ):
        return Severity.CRITICAL
    if users >= settings.high_users and (
        share >= settings.high_share or lost >= settings.lost_high
    ):
        return Severity.HIGH
    return Severity.MEDIUM
