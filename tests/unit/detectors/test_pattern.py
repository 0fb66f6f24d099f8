"""The pattern of scheduled work within an hour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.pattern import HourPattern
from detectors.spread import Figures

HOUR = 23
SMOOTH = np.full((1, 60), 12.0)
STEADY = Figures(phi=np.array([1.05]), wander=np.zeros(1), level=np.array([0.04**2]))


def learned(days: int, counts: np.ndarray) -> HourPattern:
    pattern = HourPattern.empty()
    pattern.grow(1)
    for day in range(days):
        pattern.learn(24 * day + HOUR, counts, SMOOTH, np.array([True]))
    return pattern


def at_midnight() -> np.ndarray:
    """Twice as many in the first ten minutes, fewer in the others; 720 as along the course."""
    counts = np.full((1, 60), 480.0 / 50.0)
    counts[:, :10] = 24.0
    return counts


def test_a_burst_by_the_clock_becomes_usual_and_the_sum_of_the_hour_stays():
    bent = learned(10, at_midnight()).bend(24 * 10 + HOUR, SMOOTH, STEADY)
    assert bent.sum() == pytest.approx(SMOOTH.sum())
    assert bent[0, 0] == pytest.approx(24.0, rel=0.2)
    assert bent[0, 30] == pytest.approx(9.6, rel=0.1)


def test_other_hours_of_the_day_stay_smooth():
    bent = learned(10, at_midnight()).bend(24 * 10 + HOUR + 1, SMOOTH, STEADY)
    assert bent == pytest.approx(SMOOTH)


def test_the_height_of_an_hour_is_no_pattern():
    bent = learned(10, SMOOTH / 3.0).bend(24 * 10 + HOUR, SMOOTH, STEADY)
    assert bent == pytest.approx(SMOOTH)


def test_bursty_people_make_no_pattern():
    bent = learned(10, at_midnight()).bend(
        24 * 10 + HOUR, SMOOTH, replace(STEADY, phi=np.array([400.0]))
    )
    assert bent == pytest.approx(SMOOTH, rel=0.02)


def test_a_level_that_wanders_makes_no_pattern():
    rng = np.random.default_rng(2)
    pattern, smooth = learned(1, SMOOTH), np.full((1, 60), 2000.0)
    level = 0.0
    for day in range(10):
        walk = []
        for _ in range(60):
            level = 0.99 * level + float(rng.normal(0.0, 0.08 * np.sqrt(1.0 - 0.99**2)))
            walk.append(level)
        counts = smooth * np.exp(np.array([walk]))
        pattern.learn(24 * day + HOUR, counts, smooth, np.array([True]))
    bent = pattern.bend(24 * 10 + HOUR, smooth, replace(STEADY, level=np.array([0.08**2])))
    assert bent == pytest.approx(smooth, rel=0.005)


def test_a_pattern_is_followed_to_another_hour_within_a_week():
    pattern = learned(14, np.full((1, 60), 12.0))
    for day in range(14, 21):
        pattern.learn(24 * day + HOUR, at_midnight(), SMOOTH, np.array([True]))
    bent = pattern.bend(24 * 21 + HOUR, SMOOTH, STEADY)
    assert bent[0, 0] > 18.0
