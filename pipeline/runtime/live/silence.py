"""Logs from which nothing comes although their readers work: an export that was switched off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.model.clock import MINUTE_US, from_us, to_us
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.window.gaps import silence

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.vocabulary import Source
    from pipeline.window.state import WindowState

# A record ends a silence at once.
_STEADY: Final = timedelta(minutes=10)


class Silence(NamedTuple):
    """A silence that goes on: when it began, and about how many records are missing."""

    since: datetime
    missing: float


def silent_feeds(windows: WindowState, now: datetime) -> dict[Source, Silence]:
    """The logs of one tenant from which nothing comes that should.

    Args:
        windows: led to the end of the hour of ``now``.
        now: the tenant's clock.
    """
    memory, closed_to = windows.memory, windows.closed_to
    found: dict[Source, Silence] = {}
    for (tenant, source), rate in memory.rates.items():
        wait = memory.arrivals[tenant, source].settle()[1]
        until = int((to_us(now) - wait * 1e6) // MINUTE_US)
        held = None if closed_to is None else silence(rate, until, to_us(closed_to) // MINUTE_US)
        if held is not None:
            found[source] = Silence(from_us(held[0] * MINUTE_US), held[1])
    return found


def silence_notice(source: Source, now: datetime, found: Silence | None) -> FeedNotice:
    """How a log does by its records."""
    if found is None:
        return FeedNotice(source.value, (source,), FeedState.WORKING, now, now, now - _STEADY, 0)
    return FeedNotice(
        feed=source.value,
        sources=(source,),
        state=FeedState.SILENT,
        at=now,
        complete_to=found.since,
        since=found.since,
        alarm_seconds=0,
        problem=f"about {found.missing:.0f} records are missing although the reader works; see "
        "whether its export, its licence or auditing itself was switched off",
    )
