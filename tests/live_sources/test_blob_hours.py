"""Which blobs of diagnostic settings are looked at: late ones, missed weeks, midnight, other tenants."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.clock import ManualClock
from pipeline.model.errors import RetriableError
from tests.live_sources.storage_account import (
    HOUR,
    MINUTE,
    SIGNINS,
    START,
    account,
    again,
    asked,
    everything,
    lines,
    reader,
    refusal,
)
from tests.services import diagnostics as d


def test_what_is_late_is_found_in_its_hour():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        source = reader(world)
        polls = [source.poll(None)]
        world.clock.advance(3 * HOUR)
        world.storage.append(SIGNINS, START + 3 * HOUR, lines(2))
        polls.append(source.poll(again(polls[-1].cursor)))
        world.storage.append(SIGNINS, START, lines(3))
        world.storage.append(SIGNINS, START + HOUR, lines(4))  # a blob that was not there at all
        polls.append(source.poll(again(polls[-1].cursor)))
        assert [d.numbers_of([p]) for p in polls] == [[1], [2], [3, 4]]
        assert [p.complete_to for p in polls] == [START, START + 3 * HOUR, START + 3 * HOUR]


def test_what_is_too_late_is_not_looked_for_and_the_cursor_stays_small():
    with account() as world:
        source, cursor = reader(world), None
        for hour in range(40):
            world.storage.append(SIGNINS, world.clock.now(), lines(hour))
            cursor = again(source.poll(cursor).cursor)
            world.clock.advance(HOUR)
        assert len(cursor["containers"][SIGNINS]["open"]) <= 8
        world.storage.append(SIGNINS, START + 20 * HOUR, lines(99))
        assert source.poll(cursor).received == 0


def test_days_without_anything_are_passed_quickly():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        world.storage.append(SIGNINS, START + 100 * HOUR, lines(2))
        world.clock.advance(100 * HOUR)
        polls = everything(reader(world, lookback=101 * HOUR))
        assert d.numbers_of(polls) == [1, 2]
        assert len(polls) <= 3
        assert polls[-1].complete_to == START + 100 * HOUR


def test_a_week_that_was_missed_is_caught_up_in_order():
    with account() as world:
        source = reader(world, most_records=50)
        cursor = source.poll(None).cursor
        for hour in range(7 * 24):
            world.storage.append(SIGNINS, START + hour * HOUR, lines(10 * hour, 10 * hour + 1))
        world.clock.advance(7 * 24 * HOUR)
        polls = everything(source, cursor)
        expected = [10 * hour + n for hour in range(7 * 24) for n in (0, 1)]
        assert d.numbers_of(polls) == expected
        moments = [p.complete_to for p in polls]
        assert moments == sorted(moments)
        assert START < moments[0] < START + 3 * 24 * HOUR
        assert max(len(json.dumps(p.cursor)) for p in polls) < 20_000


def test_midnight_is_no_border():
    midnight = datetime(2026, 3, 20, tzinfo=UTC)
    with account(at=midnight - 5 * MINUTE) as world:
        world.storage.append(SIGNINS, midnight - HOUR, lines(1))
        source = reader(world)
        polls = [source.poll(None)]
        world.clock.advance(10 * MINUTE)
        world.storage.append(SIGNINS, midnight - HOUR, lines(2))
        world.storage.append(SIGNINS, midnight, lines(3))
        polls.append(source.poll(again(polls[-1].cursor)))
        assert [d.numbers_of([p]) for p in polls] == [[1], [2, 3]]


def test_the_service_tells_the_time():
    with account(at=datetime(2026, 3, 20, 0, 1, tzinfo=UTC)) as world:
        source = reader(world)
        source._clock = ManualClock(world.clock.now() - 5 * MINUTE)
        source._http._clock = source._clock
        world.storage.append(SIGNINS, world.clock.now(), lines(1))
        polls = [source.poll(None)]
        polls.append(source.poll(again(polls[-1].cursor)))
        assert d.numbers_of(polls) == [1], "our clock is still at the day before"


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(days=-2)])
def test_a_clock_that_is_days_off_loses_nothing(ahead):
    with account() as world:
        ours = ManualClock(START + ahead)
        source = reader(world)
        source._clock = source._http._clock = ours
        world.storage.append(SIGNINS, START, lines(1))
        assert "this machine's clock is wrong or was set" in refusal(RetriableError, source)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, lines(2))
        second = source.poll(again(first.cursor))
        ours.advance(-ahead)  # set right
        world.storage.append(SIGNINS, START, lines(3))
        assert "clock is wrong or was set" in refusal(RetriableError, source, second.cursor)
        third = source.poll(second.cursor)
        assert d.numbers_of([first, second, third]) == [1, 2, 3]
        assert {p.complete_to for p in (first, second, third)} == {START}


def test_blobs_of_other_names_are_left_alone():
    with account() as world:
        held = world.storage.containers[SIGNINS]
        world.storage.append(SIGNINS, START, lines(1))
        world.storage.append(SIGNINS, START, lines(2), stem="resourceId=/TENANTS/1/PROVIDERS/X/")
        world.storage.append(SIGNINS, START, lines(3), stem="")
        some = next(iter(held.values()))
        held["notes.txt"] = held["a/b.json"] = some
        day = next(iter(held)).partition("h=08")[0]
        held[f"{day}h=08/m=00/PT1H.json.tmp"] = held[f"{day}h=99/m=00/PT1H.json"] = some
        assert sorted(d.numbers_of(everything(reader(world)))) == [1, 2, 3]


def test_another_tenant_in_the_account_is_found_within_the_hour():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        source = reader(world)
        polls = [source.poll(None)]
        world.storage.append(SIGNINS, START, lines(2), stem="tenantId=another/")
        world.clock.advance(HOUR)
        polls += everything(source, again(polls[-1].cursor))
        assert d.numbers_of(polls) == [1, 2]


def test_an_empty_container_is_looked_at_again_at_once():
    with account() as world:
        source = reader(world)
        first = source.poll(None)
        assert (first.received, first.complete_to) == (0, START)
        world.storage.append(SIGNINS, START, lines(1))
        assert d.numbers_of([source.poll(first.cursor)]) == [1]


def test_lists_of_many_pages_are_followed():
    with account() as world:
        world.storage.page = 2
        for hour in range(9):
            world.storage.append(SIGNINS, START + hour * HOUR, lines(hour))
        world.clock.advance(9 * HOUR)
        polls = everything(reader(world, lookback=10 * HOUR))
        assert d.numbers_of(polls) == list(range(9))
        assert len(asked(world, "marker=")) >= 4
