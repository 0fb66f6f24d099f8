"""Hours of the week and dates, over the days on which a clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.times import Dated, Weekly, until

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
NIGHTS = Weekly(BERLIN, EVERY_DAY, time(22), time(7))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-01-12T20:59", None),
        ("2026-01-12T21:00", "2026-01-13T06:00"),
        ("2026-01-13T05:59", "2026-01-13T06:00"),
        ("2026-01-13T06:00", None),
        # 29 March: the clock goes from 02:00 to 03:00, the night has 8 hours.
        ("2026-03-28T21:00", "2026-03-29T05:00"),
        ("2026-03-29T05:00", None),
        # 25 October: from 03:00 back to 02:00, the night has 10 hours.
        ("2026-10-24T19:59", None),
        ("2026-10-24T20:00", "2026-10-25T06:00"),
    ],
)
def test_a_night_ends_by_the_clock_on_the_wall(moment, end):
    assert until([NIGHTS], utc(moment)) == (None if end is None else utc(end))


def test_an_hour_that_spring_skips_is_not_there_and_one_of_autumn_is_there_twice():
    hour = Weekly(BERLIN, EVERY_DAY, time(2), time(3))
    assert until([hour], utc("2026-03-29T01:00")) is None
    assert until([hour], utc("2026-03-29T00:59")) is None
    assert until([hour], utc("2026-10-25T00:00")) == utc("2026-10-25T02:00")
    assert until([hour], utc("2026-10-25T01:59")) == utc("2026-10-25T02:00")


def test_the_days_are_those_on_which_it_begins():
    fridays = Weekly(UTC_ZONE, frozenset({4}), time(18), time(8))
    assert until([fridays], utc("2026-03-21T07:59")) == utc("2026-03-21T08:00")
    assert until([fridays], utc("2026-03-21T18:00")) is None


UTC_ZONE = ZoneInfo("UTC")


def test_times_that_touch_are_one_stretch():
    weekend = Weekly(UTC_ZONE, frozenset({5, 6}), time(0), time(0))
    nights = Weekly(UTC_ZONE, EVERY_DAY, time(22), time(7))
    saturday = utc("2026-03-21T12:00")
    assert until([weekend], saturday) == utc("2026-03-23T00:00")
    assert until([weekend, nights], saturday) == utc("2026-03-23T07:00")


def test_what_never_ends_has_an_end_far_away():
    always = Weekly(UTC_ZONE, EVERY_DAY, time(0), time(0))
    now = utc("2026-03-21T12:00")
    end = until([always], now)
    assert end is not None
    assert end - now > timedelta(days=399)


def test_a_dated_stretch_is_half_open():
    holidays = Dated(utc("2026-12-24T17:00"), utc("2026-12-27T07:00"))
    assert until([holidays], utc("2026-12-24T16:59")) is None
    assert until([holidays], utc("2026-12-24T17:00")) == utc("2026-12-27T07:00")
    assert until([holidays], utc("2026-12-27T07:00")) is None


@given(
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)),  # noqa: DTZ001 # hypothesis wants naive bounds
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.times(),
    st.times(),
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_the_end_is_behind_the_moment_and_the_stretch_is_over_there(at, zone, start, end, days):
    window, now = Weekly(ZoneInfo(zone), days, start, end), at.replace(tzinfo=UTC)
    found = until([window], now)
    if found is not None:
        assert found > now
        assert found - now > timedelta(days=399) or until([window], found) is None
