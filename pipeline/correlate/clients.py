"""Which of the flagged clients and services an incident names, and its onset."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.model.vocabulary import Client, FlagKind, finest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.model.flag import Flag
    from pipeline.model.vocabulary import Service

NAMELESS = frozenset({Client.SYSTEM, Client.OTHER})
PROMPT = timedelta(hours=3)  # a change that took longer to show is dated poorly
LONE_LEAD = timedelta(hours=1)  # an onset this far ahead of all others stands alone
# How well kinds of flags are dated, the best first; the others lie between.
_DATING = {FlagKind.FAILURE_SPIKE: 0, FlagKind.NEW_ERROR: 0, FlagKind.CLIENT_SHIFT: 2}
LONE_SCORE = 0.6  # and is noise if its score is below this share of the best


def flagged_minutes(flags: Iterable[Flag], now: datetime) -> float:
    """Minutes covered by at least one of the flags, up to ``now``."""
    spans = sorted((f.onset_at, min(f.closed_at or now, now)) for f in flags)
    covered = timedelta()
    reach: datetime | None = None
    for start, end in spans:
        begin = start if reach is None else max(start, reach)
        if end > begin:
            covered += end - begin
            reach = end
    return covered / timedelta(minutes=1)


def strong_flags(
    flags: Iterable[Flag], now: datetime, settings: CorrelateSettings
) -> tuple[Flag, ...]:
    """The flags of clients that are in the incident beyond noise, in order of onset.

    A client is noise when both its best score and its flagged time are far below those of
    the leading client.
    """
    kept = _strong(list(flags), lambda f: f.client, now, settings)
    if any(f.client not in NAMELESS for f in kept):
        kept = [f for f in kept if f.client not in NAMELESS]
    return tuple(sorted(kept, key=lambda f: (f.onset_at, f.flag_id)))


def _strong(
    flags: list[Flag],
    key: Callable[[Flag], Client | Service],
    now: datetime,
    settings: CorrelateSettings,
) -> list[Flag]:
    groups: dict[Client | Service, list[Flag]] = {}
    for flag in flags:
        groups.setdefault(key(flag), []).append(flag)
    scores = {k: max(f.score for f in g) for k, g in groups.items()}
    minutes = {k: flagged_minutes(g, now) for k, g in groups.items()}
    best = max(scores.values(), default=0.0)
    longest = max(minutes.values(), default=0.0)

    def noise(group: Client | Service) -> bool:
        weak = scores[group] < settings.weak_score * best
        return weak and minutes[group] < settings.weak_minutes * longest

    return [f for f in flags if not noise(key(f))]


def named_clients(strong: Iterable[Flag]) -> tuple[Client, ...]:
    """The finest clients of the strong flags, in the order of the vocabulary."""
    found = finest(frozenset(f.client for f in strong))
    return tuple(c for c in Client if c in found)


def named_services(
    strong: Iterable[Flag], now: datetime, settings: CorrelateSettings
) -> tuple[Service, ...]:
    """The services that were hit beyond noise, in order of name."""
    return tuple(sorted({f.service for f in _strong(list(strong), _service, now, settings)}))


def _service(flag: Flag) -> Service:
    return flag.service


def onset(strong: tuple[Flag, ...], join_window: timedelta) -> datetime:
    """When it began.

    A flag that took hours to show is dated poorly, so prompt ones tell, where there are
    any. A lone weak flag ahead of all others is ignored. Sign-ins date an onset to the
    minute, folded audit records hardly, a shift of people only to the hour: of the first
    cluster the best dated flags win.

    Args:
        strong: at least one flag, in order of onset.
        join_window: length of the first cluster.
    """
    flags = [f for f in strong if f.alarm_at - f.onset_at <= PROMPT] or list(strong)
    best = max(f.score for f in flags)
    while (
        len(flags) > 1
        and flags[1].onset_at - flags[0].onset_at > LONE_LEAD
        and flags[0].score < LONE_SCORE * best
    ):
        del flags[0]
    first = flags[0].onset_at
    cluster = [f for f in flags if f.onset_at - first <= join_window]
    best_dated = min(_DATING.get(f.kind, 1) for f in cluster)
    return min(f.onset_at for f in cluster if _DATING.get(f.kind, 1) == best_dated)


def reduction(flags: Iterable[Flag], kind: FlagKind, name: str) -> Mapping[str, float]:
    """Sums of the observed and expected ``name`` over the flags of ``kind``, one a client.

    Of several flags of one client the one with the best score speaks for it.
    """
    best: dict[Client, Flag] = {}
    for flag in sorted(flags, key=lambda f: (f.score, f.flag_id)):
        if flag.kind is kind and name in flag.observed and name in flag.expected:
            best[flag.client] = flag
    return {
        "observed": sum(f.observed[name] for f in best.values()),
        "expected": sum(f.expected[name] for f in best.values()),
    }
