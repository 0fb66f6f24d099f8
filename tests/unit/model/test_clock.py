from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.clock import (
    ManualClock,
    SystemClock,
    from_us,
    parse_rfc3339,
    rfc3339,
    to_us,
)
from tests.contracts.strategies import MOMENTS


@given(MOMENTS)
def test_microseconds_and_text_lose_nothing(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
    assert parse_rfc3339(rfc3339(moment)) == moment


@given(st.integers(min_value=-(10**16), max_value=10**17))
def test_microseconds_are_exact_both_ways(value: int) -> None:
    assert to_us(from_us(value)) == value


def test_a_known_moment() -> None:
    moment = datetime(2026, 3, 19, 8, 0, tzinfo=UTC)
    assert to_us(moment) == 1_773_907_200_000_000
    assert rfc3339(moment) == "2026-03-19T08:00:00Z"
    assert rfc3339(moment + timedelta(microseconds=5)) == "2026-03-19T08:00:00.000005Z"


def test_another_zone_is_the_same_moment() -> None:
    berlin = datetime(2026, 3, 19, 9, 0, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(berlin) == "2026-03-19T08:00:00Z"
    assert to_us(berlin) == to_us(datetime(2026, 3, 19, 8, 0, tzinfo=UTC))
    assert parse_rfc3339("2026-03-19T09:00:00+01:00") == berlin
    assert parse_rfc3339("2026-03-19T09:00:00+01:00").tzinfo is UTC


def test_a_time_without_zone_is_utc() -> None:
    assert parse_rfc3339("2026-03-19T08:00:00") == datetime(2026, 3, 19, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "19/03/2026"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_a_manual_clock_moves_only_when_told() -> None:
    start = datetime(2026, 3, 19, tzinfo=UTC)
    clock = ManualClock(start)
    assert clock.now() == clock.now() == start
    clock.advance(timedelta(minutes=7))
    assert clock.now() == start + timedelta(minutes=7)


def test_the_system_clock_is_aware_and_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert before <= now <= datetime.now(UTC)
