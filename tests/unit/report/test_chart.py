import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.clock import to_us
from pipeline.report.chart import MAX_POINTS, Axis, chart, nice
from pipeline.report.timeline import HOUR_US, Series

BEGIN = datetime(2026, 3, 19, tzinfo=UTC)


def series(observed: list[float], expected: float = 100.0, half: float = 20.0) -> Series:
    hours = len(observed)
    level = np.full(hours, expected)
    return Series(
        hour=to_us(BEGIN) + HOUR_US * np.arange(hours),
        observed=np.array(observed, float),
        expected=level,
        low=level - half,
        high=level + half,
        completeness=np.ones(hours),
    )


def axis(hours: int) -> Axis:
    return Axis(BEGIN, BEGIN + timedelta(hours=hours))


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def draw(data: Series, **options: int) -> object:
    return chart(data, axis(max(len(data.hour), 1)), title="t", unit="users", **options)


def test_the_line_is_where_the_numbers_are() -> None:
    drawn = draw(series([0.0, 50.0, 100.0, 120.0]))
    assert drawn.levels[0].label == "200"
    assert points(drawn.observed) == [(125, 100), (375, 75), (625, 50), (875, 40)]
    assert points(drawn.expected) == [(125, 50), (375, 50), (625, 50), (875, 50)]


def test_only_what_left_the_band_is_marked() -> None:
    assert draw(series([100.0] * 6)).outside == ""
    xs = {x for x, _ in points(draw(series([100, 100, 10, 100, 100, 100])).outside)}
    assert xs == {250, 417, 583}


def test_hours_not_seen_break_the_line_and_are_no_zero() -> None:
    data = series([100, 100, 0, 0, 100, 100])
    data.completeness[2:4] = 0.1
    drawn = draw(data)
    assert drawn.observed.count("M") == 2
    assert [s.width for s in drawn.blind] == ["33.33%"]
    assert drawn.outside == ""
    assert [r.observed for r in drawn.rows][2:4] == ["not seen", "not seen"]


def test_a_cold_baseline_is_said_and_drawn_without_band() -> None:
    data = series([5.0, 6.0, 7.0])
    for values in (data.expected, data.low, data.high):
        values[:] = np.nan
    drawn = draw(data)
    assert drawn.band == drawn.expected == drawn.outside == ""
    assert "warming up" in drawn.description
    assert drawn.rows[0].expected == "-"


def test_an_outage_survives_thinning() -> None:
    observed = [100.0] * 3000
    observed[1500:1560] = [0.0] * 60
    drawn = draw(series(observed))
    assert drawn.hours_per_point == 9
    assert len(points(drawn.observed)) <= MAX_POINTS
    assert drawn.outside
    assert min(y for _, y in points(drawn.observed)) == 50
    assert max(y for _, y in points(drawn.observed)) == 100


def test_the_table_tells_the_hours_outside_first_and_how_many_are_not_told() -> None:
    observed = [100.0] * 30
    observed[20:25] = [1.0] * 5
    drawn = draw(series(observed), table_rows=7)
    assert [r.outside for r in drawn.rows] == [False] * 2 + [True] * 5
    assert drawn.rows_left_out == 23
    assert "5 hours below and 0 above" in drawn.description


def test_hours_outside_the_picture_are_left_out() -> None:
    drawn = chart(series([1.0] * 9 + [50.0] * 3), axis(9), title="t", unit="users")
    assert len(points(drawn.observed)) == 9
    assert drawn.rows_left_out == 0
    assert len(drawn.rows) == 9


def test_nothing_at_all_can_be_drawn() -> None:
    drawn = draw(series([]))
    assert drawn.observed == drawn.band == ""
    assert drawn.rows == []


@given(st.floats(1e-9, 1e12))
def test_the_scale_holds_the_value_and_wastes_at_most_half(value: float) -> None:
    assert value * (1 - 1e-9) <= nice(value)
    assert nice(value) <= max(value * 2, 1.0)


@pytest.mark.parametrize("hours", [1, 5, 30, 100, 672, 9000])
def test_ticks_are_round_few_and_inside(hours: int) -> None:
    begin = BEGIN + timedelta(minutes=17)
    ticks = Axis(begin, begin + timedelta(hours=hours)).ticks()
    assert len(ticks) <= 9
    assert all(0 <= float(t.at.rstrip("%")) <= 100 for t in ticks)


@given(
    st.lists(st.floats(0, 1e9) | st.just(float("nan")), max_size=60),
    st.integers(0, 60),
)
def test_no_number_breaks_a_path(observed: list[float], cold: int) -> None:
    data = series(observed)
    data.expected[:cold] = np.nan
    drawn = draw(data)
    for path in (drawn.observed, drawn.expected, drawn.band, drawn.outside):
        assert re.fullmatch(r"[MLZ\d. ]*", path)
