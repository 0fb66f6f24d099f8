"""Stretches in which a feed was silent although it should have told something.

A feed that stops takes every client down at once, server-side traffic included, which no
outage does: so a gap is a run of minutes without a single record of the source, long
enough that the usual number of records in such a run is at least ``ENOUGH``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.clock import MINUTE_US, from_us
from pipeline.model.window import Gap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.model.vocabulary import Source

# Were the counts Poisson, 40 expected and none seen has probability 4e-18; real traffic is
# over-dispersed by some 3 times, which leaves 2e-6.
ENOUGH: Final = 40.0
SHORTEST_MINUTES: Final = 20
# Hourly records of a feed scatter by a quarter by themselves; above this share of the
# usual nothing is wrong with the hour. Ten records each way keep small hours from telling.
_ORDINARY: Final = 0.7
_PSEUDO_RECORDS: Final = 10.0
_WEEK: Final = 168
_PRIOR_WEEKS: Final = 0.5


@dataclass(slots=True)
class FeedRate:
    """Usual records an hour of one feed by hour of week, and where it was last heard.

    ``total`` and ``seen`` are decayed sums by hour of week, ``met`` counts the hours learned;
    ``silent_since`` is the minute (since 1970) after the last record, None before the first.
    """

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_WEEK))
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_WEEK))
    met: int = 0
    silent_since: int | None = None
    open_expected: float = 0.0

    def hourly(self, hours: NDArray[np.int64]) -> NDArray[np.float64]:
        """Usual records in each of ``hours`` (hours since 1970); 0 in the first week."""
        if self.met < _WEEK:
            return np.zeros(len(hours))
        # The same hour of any day stands in for an hour of week not met often yet, but
        # never above what the quietest such day showed: weekends must not look like gaps.
        mean = self.total / np.maximum(self.seen, 1e-9)
        by_hour = np.where(self.seen > 0, mean, np.inf).reshape(7, 24).min(axis=0)
        by_hour = np.where(np.isfinite(by_hour), by_hour, 0.0)
        slot = hours % _WEEK
        known = self.total[slot] + _PRIOR_WEEKS * by_hour[slot % 24]
        return known / (self.seen[slot] + _PRIOR_WEEKS)

    def learn(self, hours: NDArray[np.int64], records: NDArray[np.float64]) -> None:
        """Take over hours that were not blind; older weeks fade by a third."""
        slot = hours % _WEEK
        self.total[slot] = 0.67 * self.total[slot] + records
        self.seen[slot] = 0.67 * self.seen[slot] + 1.0
        self.met += len(hours)


def _silences(
    rate: FeedRate, start_minute: int, records: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Runs without a record, as (first minute, minute after), the last one open-ended."""
    before = [] if rate.silent_since is None else [rate.silent_since - 1]
    heard = np.array([*before, *(start_minute + np.flatnonzero(records))], dtype=np.int64)
    if not len(heard):
        return []
    ends = np.append(heard[1:], start_minute + len(records))
    long = (ends - heard > SHORTEST_MINUTES) | (ends == start_minute + len(records))
    return [(int(a) + 1, int(b)) for a, b in zip(heard[long], ends[long], strict=True) if b > a + 1]


def silence(rate: FeedRate, until: int, closed_to: int) -> tuple[int, float] | None:
    """A silence that goes on, once it is long enough: its first minute, and records missing.

    Args:
        rate: of the feed, led to ``closed_to``.
        until: minute (since 1970) up to which nearly all records should be here.
        closed_to: minute after the last one led to, on a full hour.
    """
    since = rate.silent_since
    if since is None or until - since < SHORTEST_MINUTES:
        return None
    hours = np.arange(until // 60, closed_to // 60)
    share = np.ones(len(hours))
    if len(share):
        share[0] -= until % 60 / 60
    expected = rate.open_expected - float((rate.hourly(hours) * share).sum())
    return (since, expected) if expected >= ENOUGH else None


def presence(
    records: Sequence[NDArray[np.int64]], usual: Sequence[NDArray[np.float64]], hours: int
) -> NDArray[np.float64]:
    """Share of the usual records due from a feed as its siblings tell it, 0..1, by hour.

    The feed that fell most speaks: servers and devices go on when people stay at home. One
    that is silent itself tells nothing, so feeds that stop together are gaps all.

    Args:
        records: of every other feed of the tenant, by hour.
        usual: records usual there, by hour; 0 while it is not known.
        hours: how many.
    """
    out = np.ones(hours)
    for told, due in zip(records, usual, strict=True):
        share = (told + _PSEUDO_RECORDS) / (due + _PSEUDO_RECORDS)
        fell = (told > 0) & (share < _ORDINARY)
        out = np.minimum(out, np.where(fell, share, 1.0))
    return out


def find_gaps(
    rate: FeedRate,
    key: tuple[str, Source],
    start_minute: int,
    records: NDArray[np.int64],
    present: NDArray[np.float64],
) -> tuple[NDArray[np.float32], list[Gap]]:
    """Completeness of each minute (0 in a gap, else 1) and the gaps ending here.

    Args:
        rate: the feed's memory; it learns the hours outside gaps.
        key: (tenant, source).
        start_minute: first minute (since 1970), on a full hour.
        records: records of the feed by minute, shape (minutes,).
        present: share of the usual records that is due, by hour (see :func:`presence`).
    """
    minutes = len(records)
    hours = start_minute // 60 + np.arange(minutes // 60)
    usual = np.repeat(rate.hourly(hours) * present / 60.0, 60)
    completeness = np.ones(minutes, dtype=np.float32)
    gaps: list[Gap] = []
    for begin, end in _silences(rate, start_minute, records):
        inside = slice(max(begin - start_minute, 0), end - start_minute)
        expected = float(usual[inside].sum())
        if begin < start_minute:
            expected += rate.open_expected
        blind = expected >= ENOUGH and end - begin >= SHORTEST_MINUTES
        if blind:
            completeness[inside] = 0.0
        if end == start_minute + minutes:
            rate.open_expected = expected
        elif blind:
            times = from_us(begin * MINUTE_US), from_us(end * MINUTE_US)
            gaps.append(Gap(*key, *times, expected))
    heard = np.flatnonzero(records)
    if len(heard):
        rate.silent_since = start_minute + int(heard[-1]) + 1
    by_hour = completeness.reshape(-1, 60).min(axis=1) > 0
    learnable = by_hour & (rate.silent_since is not None)
    rate.learn(hours[learnable], records.reshape(-1, 60).sum(axis=1)[learnable].astype(float))
    return completeness, gaps
