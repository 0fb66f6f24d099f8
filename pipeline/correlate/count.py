"""Counting an incident's hours once each: what is flagged, what is kept, what is folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.correlate.lifecycle import ended_at, hour_of, start_of
from pipeline.correlate.tally import Tally, total
from pipeline.correlate.users import tally_hour
from pipeline.correlate.view import DROP, RETRY, Plan
from pipeline.model.vocabulary import MISSING_KINDS, FlagKind, OutcomeFamily
from pipeline.model.window import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.correlate.history import History
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.state import Case
    from pipeline.model.flag import Flag


def cell_of(flag: Flag) -> Cell:
    """The cell a flag speaks of."""
    return Cell(flag.tenant, flag.source, flag.service, flag.client)


def what_of(flag: Flag) -> str:
    """What to count in a flag's cell."""
    if flag.kind in MISSING_KINDS:
        return DROP
    if flag.kind is FlagKind.RETRY_SURGE:
        return RETRY
    return flag.family or OutcomeFamily.SERVICE


def plans(
    strong: Iterable[Flag], first: int, last: int, settings: CorrelateSettings
) -> dict[int, Plan]:
    """What is flagged in each hour of ``first`` to ``last``, both included."""
    found: dict[int, set[tuple[Cell, str]]] = {}
    now = start_of(last + 1)
    for flag in strong:
        end = ended_at(flag, now, settings)
        until = last if end is None else min(last, hour_of(end))
        for hour in range(max(first, hour_of(flag.onset_at)), until + 1):
            found.setdefault(hour, set()).add((cell_of(flag), what_of(flag)))
    return {hour: frozenset(plan) for hour, plan in sorted(found.items())}


def count(
    history: History,
    case: Case,
    strong: tuple[Flag, ...],
    onset_hour: int,
    hour: int,
    settings: CorrelateSettings,
) -> Tally:
    """Sum over the flagged hours up to ``hour``; every hour is counted once, then kept.

    An hour is counted again only while it is young and more has been flagged in it since.
    """
    wanted = plans(strong, case.folded_to, hour, settings)
    kept: dict[int, tuple[Plan, Tally]] = {}
    for at, plan in wanted.items():
        held = case.hours.get(at)
        if held is None or held[0] != plan:
            tally = tally_hour(history, case.tenant, plan, at, onset_hour, settings.press_attempts)
            held = (plan, tally)
        kept[at] = held
    result = total([case.folded, *(t for _, t in kept.values())])
    limit = hour - settings.fold_hours
    old = [t for at, (_, t) in kept.items() if at <= limit]
    if old:
        case.folded = total([case.folded, *old])
        case.folded_to = max(case.folded_to, limit + 1)
    case.hours = {at: held for at, held in kept.items() if at > limit}
    return result
