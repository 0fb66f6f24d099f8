"""The Management Activity API within its quota: bounded polls, small cursors, a week in minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.sources.activity_position import MOST_SEEN
from connectors.sources.seen import Seen
from pipeline.model.errors import ThrottledError
from tests.live_sources.activity_case import DAY, HOUR, MINUTE, NOON, Collector, ids_of, rig
from tests.services.activity import EXCHANGE

SECOND = timedelta(seconds=1)


def test_a_week_is_caught_up_within_the_quota_by_the_services_own_clock():
    with rig(page=200, pace=0.001) as made:
        made.service.subscribe()
        for n in range(2100):
            made.blob(7 * DAY - 2 * HOUR - n * 283 * SECOND, count=2)
        collector = Collector(made)
        began = made.clock.now()
        while collector.given.total() < 4200:
            try:
                collector.once()
            except ThrottledError as error:
                made.clock.advance(timedelta(seconds=error.retry_after))
        took = made.clock.now() - began
        assert collector.given == made.expected()
        assert made.service.throttled == 0
        assert made.service.requests_in_a_minute <= 2000
        assert sum(made.service.asked.values()) < 1.2 * 2100
        assert MINUTE <= took < 3 * MINUTE


def test_a_poll_does_a_bounded_amount_and_its_cursor_stands_behind_it():
    with rig() as made:
        made.service.subscribe()
        for n in range(150):
            made.blob(HOUR + n * 10 * SECOND, count=1)
        collector = Collector(made)
        sizes = []
        while collector.given.total() < 150:
            before = dict(made.service.asked)
            poll = collector.once()
            sizes.append(len(ids_of(poll)))
            assert sum(made.service.asked.values()) - sum(before.values()) <= 64 + 5
        assert max(sizes) == 64
        assert collector.given == made.expected()
        assert collector.polls[-2].complete_to < NOON - 50 * MINUTE


def test_a_budget_that_ends_in_the_middle_gives_what_is_there():
    with rig() as made:
        made.service.subscribe()
        for n in range(40):
            made.blob(HOUR + n * MINUTE, count=1)
        made.budget = made.new_budget(requests=30)
        collector = Collector(made)
        polls = 0
        while not collector.given:
            collector.once()
            polls += 1
        assert 0 < collector.given.total() < 30
        with pytest.raises(ThrottledError) as caught:
            collector.once()
        assert 0 < caught.value.retry_after <= 60
        collector.for_(3 * MINUTE)
        assert collector.given == made.expected()
        assert made.service.throttled == 0


def test_a_throttled_answer_holds_everybody_who_shares_the_budget():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        made.service.broken = made.service.throttle()
        with pytest.raises(ThrottledError):
            Collector(made).once()
        asked = len(made.service.requests)
        with pytest.raises(ThrottledError):
            Collector(made).once()
        assert len(made.service.requests) == asked


def test_the_cursor_stays_small_and_forgets_the_oldest_first():
    kept = timedelta(days=8)
    seen = Seen({}, most=100)
    for n in range(150):
        seen.add(f"blob {n}", NOON - 6 * DAY + n * HOUR)
    stored = seen.stored(NOON, kept)
    again = Seen(stored, most=100)
    assert len(again) == 100
    assert "blob 149" in again
    assert "blob 50" in again
    assert "blob 49" not in again
    later = Seen(again.stored(NOON + 7 * DAY, kept), most=100)
    assert len(later) < 100
    assert "blob 149" in later
    full = Seen({}, most=MOST_SEEN)
    for n in range(MOST_SEEN + 5_000):
        full.add(str(n), NOON)
    assert sum(map(len, full.stored(NOON, kept).values())) < 750_000


def test_a_window_is_cut_where_it_has_too_many_pages_and_nothing_is_lost():
    with rig(page=5) as made:
        made.service.subscribe()
        for n in range(400):
            made.blob(30 * HOUR - n * 4 * MINUTE, count=1)
        collector, spans = Collector(made, killed=0.1), []
        collector.for_(
            5 * MINUTE, check=lambda: spans.append(collector.cursor["feeds"][EXCHANGE]["span"])
        )
        assert collector.given == made.expected()
        assert min(spans) < 6 * 3600


def test_the_first_reading_goes_back_as_far_as_asked():
    with rig() as made:
        made.service.subscribe()
        made.blob(30 * HOUR)
        wanted = made.blob(20 * HOUR)
        collector = Collector(made, lookback=DAY)
        collector.for_(MINUTE)
        assert [b for b in made.service.blobs.values() if b.fetched] == [wanted]
        assert not collector.missing
