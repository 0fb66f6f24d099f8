"""Days and months by the clocks of a place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from pipeline.model.errors import ConfigError
from pipeline.report.periodic.span import Kind, Period, day_of, month_of

NOW = datetime(2026, 3, 20, 0, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 28), BERLIN, 24),
        (date(2026, 3, 29), BERLIN, 23),
        (date(2026, 10, 25), BERLIN, 25),
        (date(2026, 10, 25), "UTC", 24),
        (date(2026, 4, 24), "Africa/Cairo", 23),  # clocks skip midnight itself
        (date(2026, 10, 4), "Australia/Lord_Howe", 23.5),
    ],
)
def test_a_day_on_which_clocks_change_has_more_or_fewer_hours(day, zone, hours):
    assert Period(Kind.DAILY, day, zone).hours == hours


def test_days_leave_no_moment_out_and_tell_none_twice():
    month = Period(Kind.MONTHLY, date(2026, 3, 1), BERLIN)
    days = month.days()
    assert len(days) == 31
    assert (days[0].begin, days[-1].end) == (month.begin, month.end)
    assert all(a.end == b.begin for a, b in pairwise(days))
    assert sum(d.hours for d in days) == month.hours == 743


def test_the_period_before_ends_where_this_one_begins():
    for first in (date(2026, 1, 1), date(2026, 3, 1), date(2024, 3, 1)):
        for kind in Kind:
            period = Period(kind, first, BERLIN)
            assert period.before().end == period.begin
    assert Period(Kind.MONTHLY, date(2026, 1, 1)).before().name == "2025-12"


def test_without_a_date_it_is_the_last_whole_day_of_the_zone():
    assert day_of(None, NOW, "UTC").name == "2026-03-19"
    assert day_of(None, NOW, "America/New_York").name == "2026-03-18"
    assert month_of(None, NOW, "UTC").name == "2026-02"
    assert month_of(None, datetime(2026, 4, 1, 0, 30, tzinfo=UTC), "America/New_York").name == (
        "2026-02"
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ConfigError, match="--date"):
        day_of(text, NOW, "UTC")


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-03-19", "0001-01", "9999-12"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ConfigError, match="--month"):
        month_of(text, NOW, "UTC")


def test_shares_of_a_stretch_over_all_days_add_up():
    days = Period(Kind.MONTHLY, date(2026, 3, 1), BERLIN).days()
    start = datetime(2026, 3, 27, 13, 7, tzinfo=UTC)
    for length in (timedelta(0), timedelta(minutes=5), timedelta(days=2, hours=3)):
        assert sum(d.share_of(start, start + length) for d in days) == pytest.approx(1.0)
