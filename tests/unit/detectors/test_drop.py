"""Drops: the level that is followed, the siblings, the season, and lanes against the class."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest

from detectors.common import Siblings
from detectors.drop import DropLanes, DropSettings
from detectors.season import SeasonBaseline
from detectors.single import VolumeDrop
from detectors.spread import Spread

# Monday 2026-03-02 00:00 UTC.
MINUTE = 29_540_160
HOUR = MINUTE // 60
DAY = 1440
EVERY = np.array([True])
WORKDAY = 0.08 + 0.92 * np.exp(-(((np.arange(DAY) - 760) / 190.0) ** 4))
NO_WEEKEND = np.concatenate([np.tile(WORKDAY, 5), np.tile(0.08 + 0.1 * WORKDAY, 2)])


def week_of(weeks, users):
    return users * np.tile(NO_WEEKEND, weeks)


def slow_level(rng, minutes, sd=0.1):
    """First-order autoregression that forgets over 90 minutes."""
    keep = np.exp(-1 / 90)
    level, walk = 0.0, np.empty(minutes)
    for at, kick in enumerate(rng.normal(0, sd * np.sqrt(1 - keep**2), minutes)):
        level = keep * level + kick
        walk[at] = level
    return np.exp(walk)


def run(counts, others=None, others_usual=None, threshold=10.67):
    """All changes of lanes that are told hour by hour."""
    lanes = DropLanes(DropSettings())
    lanes.grow(len(counts))
    nobody = np.zeros(counts.shape)
    others = nobody if others is None else others
    others_usual = nobody if others_usual is None else others_usual
    found = []
    for start in range(0, counts.shape[1], 60):
        span = slice(start, start + 60)
        whole = np.ones((len(counts), 60))
        found += lanes.advance(
            MINUTE + start,
            counts[:, span],
            others[:, span],
            others_usual[:, span],
            whole,
            threshold,
        )
    return lanes, found


def opened(changes):
    return [(c.lane, c.minute - MINUTE) for c in changes if c.opened]


def test_a_lane_of_many_is_the_class_minute_by_minute_through_alarm_and_recovery():
    rng = np.random.default_rng(4)
    mean = np.stack([week_of(2, users) for users in (4.0, 12.0)])[:, : 9 * DAY]
    counts = rng.poisson(mean).astype(float)
    fall = slice(8 * DAY + 700, 8 * DAY + 790)
    counts[1, fall] = rng.binomial(counts[1, fall].astype(int), 0.2)
    others_usual = mean.sum(axis=0) - mean
    others = rng.poisson(others_usual).astype(float)
    many, found = run(counts, others, others_usual)
    for lane in range(2):
        one = VolumeDrop()
        changes = []
        for at in range(counts.shape[1]):
            sample = {"a": counts[lane, at], "others": others[lane, at]}
            one.learn_one({"t": MINUTE + at, "others_expected": others_usual[lane, at], **sample})
            changes += one.changes
        mine = [c for c in found if c.lane == lane]
        assert [(c.opened, c.onset, c.minute, c.end) for c in mine] == [
            (c.opened, c.onset, c.minute, c.end) for c in changes
        ]
        for part in ("evidence", "level", "usual.spread", "usual.season"):
            left, right = (attrgetter(part)(lanes) for lanes in (one.lanes, many))
            right = right.take(np.array([lane]))
            for name in ("r", "cusum", "others", "p_level", "minute_excess", "total"):
                if hasattr(left, name):
                    told = getattr(left, name), getattr(right, name)
                    assert told[0] == pytest.approx(told[1], rel=1e-9, abs=1e-9), (part, name)
    assert [c.opened for c in found if c.lane == 1] == [True, False]
    onset = next(c.onset for c in found if c.opened)
    assert abs(onset - MINUTE - fall.start) <= 2


def test_a_drifting_level_is_no_drop_and_a_third_less_is():
    rng = np.random.default_rng(5)
    weeks = 4
    mean = week_of(weeks, 300.0) * np.stack([slow_level(rng, weeks * 7 * DAY) for _ in range(3)])
    starts = [at * DAY + 600 for at in (21, 22, 23, 24)]
    for lane in range(3):
        for start in starts:
            mean[lane, start : start + 90] *= 0.7
    _, found = run(rng.poisson(mean).astype(float))
    alarms = opened(found)
    for lane in range(3):
        for start in starts:
            delays = [at - start for who, at in alarms if who == lane and 0 <= at - start < 90]
            assert delays
            assert delays[0] <= 20
    quiet = [at for _, at in alarms if not any(0 <= at - s < 90 for s in starts)]
    assert len(quiet) <= 2  # promised: one in 30 days a lane, of 84


@pytest.mark.parametrize("seed", [6, 10, 13])
def test_siblings_tell_a_holiday_from_an_outage(seed):
    rng = np.random.default_rng(seed)
    mean = np.stack([week_of(3, users) for users in (20.0, 10.0, 10.0, 10.0)])
    holiday = slice(15 * DAY, 16 * DAY)
    night = mean.min(axis=1, keepdims=True)
    mean[:, holiday] = night + 0.2 * (mean[:, holiday] - night)
    lonely = slice(17 * DAY + 700, 17 * DAY + 760)
    mean[0, lonely] *= 0.3
    counts = rng.poisson(mean).astype(float)
    lanes = DropLanes(DropSettings())
    lanes.grow(4)
    siblings = Siblings.empty()
    siblings.grow(4)
    found = []
    for start in range(0, counts.shape[1], 60):
        now = counts[:, start : start + 60]
        usual = lanes.usual.ahead((MINUTE + start) // 60).minutes
        judged = np.broadcast_to(lanes.warm()[:, None], now.shape)
        told = siblings.advance(now, usual, judged, lanes.evidence.is_open)
        found += lanes.advance(MINUTE + start, now, *told, np.ones(now.shape), 12.0)
    assert [(lane, at - lonely.start < 10) for lane, at in opened(found)] == [(0, True)]


def test_the_fallen_are_no_reference_however_large():
    usual = np.array([[10.0], [20.0], [30.0], [300.0]]) * np.ones((4, 60))
    counts = usual.copy()
    counts[3] *= 0.2
    siblings = Siblings.empty()
    siblings.grow(4)
    seen = np.ones(usual.shape, bool)
    for _ in range(2):
        others, others_usual = siblings.advance(counts, usual, seen, np.zeros(4, bool))
    assert others[:3].sum() == pytest.approx(others_usual[:3].sum())
    # The largest of the rest counts no more than the second.
    assert others_usual[3] == pytest.approx(np.full(60, 10.0 + 20.0 + 20.0))


def test_lanes_of_the_same_client_are_no_siblings():
    usual = np.ones((3, 60)) * 5.0
    siblings = Siblings.empty()
    siblings.grow(3)
    seen = np.ones(usual.shape, bool)
    for _ in range(2):
        _, told = siblings.advance(usual, usual, seen, np.zeros(3, bool), np.array([0, 0, 1]))
    assert told[:, 0] == pytest.approx([5.0, 5.0, 10.0])


def test_fridays_are_learned_as_fridays_and_tuesdays_from_all_weekdays():
    season, spread = SeasonBaseline.empty(), Spread.empty()
    season.grow(1)
    spread.grow(1)
    rng = np.random.default_rng(7)
    for hour in range(2 * 168):
        friday = hour // 24 % 7 == 4 and hour % 24 >= 13
        mean = (20.0 if friday else 60.0) if 8 <= hour % 24 < 18 else 4.0
        counts = rng.poisson(mean / 60, (1, 60)).astype(float)
        told = season.usual(HOUR + hour, spread.figures(2.0))
        season.learn(HOUR + hour, counts, told.minutes, told.hourly, np.ones(1), EVERY)
    monday = HOUR + 2 * 168
    usual = [
        float(season.usual(monday + at, spread.figures(2.0)).hourly[0]) for at in range(5 * 24)
    ]
    assert np.mean(usual[4 * 24 + 14 : 4 * 24 + 17]) == pytest.approx(20.0, rel=0.25)
    weekday = [usual[day * 24 + 14] for day in range(4)]
    assert weekday == pytest.approx([60.0] * 4, rel=0.15)


def test_an_hour_keeps_its_sum_over_its_minutes():
    season, spread = SeasonBaseline.empty(), Spread.empty()
    season.grow(1)
    spread.grow(1)
    season.total[0] = 10.0 + np.arange(168) % 24
    season.seen[0] = 1.0
    told = season.usual(HOUR + 30, spread.figures(2.0))
    assert told.minutes.sum() == pytest.approx(told.hourly[0], rel=1e-6)


def test_spread_is_learned_from_calm_hours():
    rng = np.random.default_rng(8)
    spread = Spread.empty()
    spread.grow(1)
    level = slow_level(rng, 400 * 60, sd=0.2)
    mean = 200.0 * level
    counts = rng.poisson(rng.gamma(mean / 2.0, 2.0)).astype(float)  # three times Poisson
    for hour in range(400):
        span = slice(hour * 60, hour * 60 + 60)
        spread.learn(counts[None, span], np.full((1, 60), 200.0), EVERY, 2.0)
    told = spread.figures(2.0)
    assert told.phi[0] == pytest.approx(3.0, rel=0.1)
    assert np.sqrt(told.level[0]) == pytest.approx(0.2, rel=0.25)
    assert told.wander[0] == pytest.approx(0.04 * 2 / 90, rel=0.35)


def test_bursts_of_single_users_are_learned_from_hours_and_the_level_is_not_taken_for_them():
    rng = np.random.default_rng(9)
    spread = Spread.empty()
    spread.grow(2)
    # A lane in which 5 users an hour access 6 times each, all over the hour; and one of many
    # users whose level wanders.
    many = 60.0 * slow_level(rng, 400 * 60)
    for hour in range(400):
        bursty = rng.multinomial(6 * rng.poisson(5.0), np.full(60, 1 / 60))
        steady = rng.poisson(many[hour * 60 : hour * 60 + 60])
        counts = np.stack([bursty, steady]).astype(float)
        spread.learn(counts, np.array([[0.5], [60.0]]) * np.ones((1, 60)), np.ones(2, bool), 1.5)
    bursty_phi, steady_phi = spread.figures(1.5).phi
    assert 4.0 < bursty_phi < 6.5
    assert steady_phi < 1.8


def test_minutes_that_are_not_seen_are_neither_judged_nor_learned():
    rng = np.random.default_rng(10)
    lanes, _ = run(rng.poisson(week_of(2, 20.0))[None, : 8 * DAY + 12 * 60].astype(float))
    start, silent = 8 * DAY + 12 * 60, np.zeros((1, 60))
    lanes.enter((MINUTE + start) // 60)
    before = lanes.snapshot()
    for completeness in (0.0, 0.3):
        blind = np.full((1, 60), completeness)
        assert not lanes.advance(MINUTE + start, silent, silent, silent, blind, 10.67)
        lanes.enter((MINUTE + start) // 60 + 1)
        start += 60
    after = lanes.snapshot()
    for part in ("evidence", "spread"):
        assert {**after[part], "peak": None} == {**before[part], "peak": None}
    assert after["baseline"] == before["baseline"]
