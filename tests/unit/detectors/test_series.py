"""The detector of any series: what it finds, what it holds to be usual, what it survives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.series import SeriesChange

FIVE_MINUTES, HOUR = 300.0, 3600.0
ROWS = 3000
AT = 2500


def scores(values, step=FIVE_MINUTES, times=None):
    detector, found = SeriesChange(), []
    times = np.arange(len(values)) * step if times is None else times
    for time, value in zip(times, values, strict=True):
        sample = {"time": float(time), "value": float(value)}
        found.append(detector.score_one(sample))
        detector.learn_one(sample)
    return np.array(found)


def noise(seed=1):
    return np.random.default_rng(seed).normal(0.0, 1.0, ROWS)


def day(rows, step):
    return np.sin(2 * np.pi * np.arange(rows) * step / 86_400.0)


def spike(values):
    values[AT] += 12.0


def dip(values):
    values[AT] -= 12.0


def shift(values):
    values[AT:] += 4.0


def slow_fall(values):
    values[AT : AT + 60] -= np.linspace(0, 9, 60)


@pytest.mark.parametrize("level", [-500.0, 0.0, 1e6])
@pytest.mark.parametrize("change", [spike, dip, shift, slow_fall])
def test_a_change_scores_above_everything_before_it(change, level):
    values = noise() + level
    change(values)
    found = scores(values)
    assert found[AT : AT + 60].max() > found[450:AT].max()


def test_a_value_that_is_usual_but_not_at_this_hour_is_found():
    rows = 24 * 60
    values = 10 * day(rows, HOUR) + np.random.default_rng(2).normal(0, 0.5, rows)
    at = 24 * 50 + 18  # where the day is lowest
    values[at : at + 3] = 5.0
    found = scores(values, HOUR)
    assert np.argmax(found[24 * 21 :]) + 24 * 21 in range(at, at + 4)  # or the way back


def test_spikes_that_are_usual_here_are_no_evidence():
    values = noise()
    values[np.arange(40, ROWS, 40)] += 20.0
    alone = noise()
    alone[AT] += 20.0
    usual = scores(values)[1000:].max()
    assert usual < 0.5 * scores(alone)[AT]


def test_a_long_anomaly_is_told_once():
    values = noise()
    values[AT:] += 30.0
    found = scores(values)
    high = np.flatnonzero(found > 15.0)
    assert AT in high
    assert len(high) < 5


def test_a_constant_series_is_quiet_until_it_moves():
    values = np.full(1000, 0.1)
    values[900] = 0.2
    found = scores(values)
    assert found[:900].max() == 0.0
    assert found[900] > 50.0


def test_evidence_has_no_ceiling_where_it_matters():
    found = []
    for height in (20.0, 50.0, 200.0):
        values = noise()
        values[AT] += height
        found.append(scores(values)[AT])
    assert found[0] < found[1] < found[2] < math.inf


def test_gaps_and_missing_values_change_little():
    dice = np.random.default_rng(3)
    values = 10 * day(ROWS, FIVE_MINUTES) + noise()
    values[AT] += 15.0
    times = np.arange(ROWS) * FIVE_MINUTES
    kept = np.sort(np.append(dice.choice(ROWS, 2000, replace=False), AT))
    values[dice.choice(np.arange(1000, AT), 100)] = math.nan
    found = scores(values[kept], times=times[kept])
    assert found[kept == AT].max() == found[400:].max() > 8.0
    assert not found[np.isnan(values[kept])].any()


def test_enormous_values_are_survived():
    values = noise()
    values[1000], values[1001], values[1002] = 1e308, -1e308, math.inf
    found = scores(values)
    assert np.isfinite(found).all()
    assert found[1000] > 20.0
