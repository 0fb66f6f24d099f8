"""The baseline of shifts: days of the week of their own, and how days differ."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.absence import AbsenceBaseline
from detectors.habits import BANDS

DAYS_OF_WEEK = ("thu", "fri", "sat", "sun", "mon", "tue", "wed")  # 1970-01-01 was a Thursday
FRIDAY = 1
AFTERNOON = 15
EVERY = np.array([True])


def learned(weeks: int, people: float, friday: float, rng: np.random.Generator | None = None):
    baseline = AbsenceBaseline.empty()
    baseline.grow(1)
    for day in range(7 * weeks):
        if day % 7 in (2, 3):
            continue
        for hour in range(6, 18):
            off = 0.0 if rng is None else float(rng.normal(0.0, 0.06))
            share = (friday if day % 7 == FRIDAY and hour >= AFTERNOON - 1 else 0.2) + off
            at_work = np.full((1, len(BANDS)), people)
            number = 24 * day + hour
            baseline.learn(number, at_work, at_work * share, baseline.usual(number), EVERY)
    return baseline


def test_early_fridays_are_held_against_fridays():
    baseline = learned(4, 3000.0, friday=0.3)
    friday = baseline.usual(24 * (28 + FRIDAY) + AFTERNOON)
    monday = baseline.usual(24 * (28 + DAYS_OF_WEEK.index("mon")) + AFTERNOON)
    assert friday.mean == pytest.approx(0.3, abs=0.02)
    assert monday.mean == pytest.approx(0.22, abs=0.02)


def test_a_few_people_have_no_fridays_of_their_own():
    baseline = learned(4, 4.0, friday=0.3)
    assert baseline.usual(24 * (28 + FRIDAY) + AFTERNOON).mean.max() < 0.26


def test_how_days_differ_is_learned_whatever_the_size():
    rng = np.random.default_rng(3)
    # Shares that stray by 0.06 about 0.2 have a correlation of 0.06^2 / (0.2 * 0.8).
    rho = learned(6, 20_000.0, friday=0.2, rng=rng).usual(24 * 42 + 10).rho
    assert rho == pytest.approx(0.0225, rel=0.35)
