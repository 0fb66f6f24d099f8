"""A short selection of ``python -m benchmarks.detection``, and the floor it measures from."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection.alarms import Trace, episodes, judge
from benchmarks.detection.compare import ORACLE, PRODUCT, on_drops, on_failures
from benchmarks.detection.oracle import cusum, drop_ratio, failure_ratio
from benchmarks.detection.plan import (
    DEVELOPMENT_SEEDS,
    MONTH,
    OUTAGE_MINUTES,
    REPORTING_SEEDS,
    Plan,
)
from benchmarks.detection.streams import plain
from benchmarks.detection.table import text
from benchmarks.detection.tenants import tenants

TINY = Plan(streams=3, tenants=1, learn=8, calibrate=10, test=7)
LANES = 100


def floor(quiet, faulty):
    """Mean delay of a CUSUM with one false alarm in 43 200 minutes, begun at zero."""
    never = np.zeros(quiet.shape, bool)
    walk = cusum(quiet, never)
    levels = Trace(walk).calibrated(np.ones(LANES, int), Plan(learn=0, calibrate=30, test=0))
    alarm = cusum(faulty, np.zeros(faulty.shape, bool)) >= levels[0]
    assert alarm.any(axis=1).all()
    return float(np.mean(np.argmax(alarm, axis=1) + 1))


# Exact delays of the optimal CUSUM, by importance sampling of the ARL.
@pytest.mark.parametrize(
    ("users", "p1", "minutes"), [(50, 0.10, 1.88), (10, 0.30, 1.92), (50, 0.05, 5.23)]
)
def test_the_floor_of_failures_is_that_of_the_known_parameter_cusum(users, p1, minutes):
    dice = np.random.default_rng(1)
    n = np.array(float(users))
    quiet = dice.binomial(users, 0.01, (LANES, MONTH)).astype(float)
    faulty = dice.binomial(users, p1, (4000, 100)).astype(float)
    p0 = np.array(0.01)
    found = floor(failure_ratio(quiet, n, p1, p0, 0.0), failure_ratio(faulty, n, p1, p0, 0.0))
    assert found == pytest.approx(minutes, rel=0.08)


def test_the_floor_of_drops_is_that_of_the_known_parameter_cusum():
    dice = np.random.default_rng(2)
    mean, spread, left = 50.0, 3.0, 0.4
    size = mean / (spread - 1.0)

    def draw(share, shape):
        return dice.negative_binomial(share * size, 1.0 / spread, shape).astype(float)

    quiet, faulty = (
        drop_ratio(draw(share, shape), np.array(mean), left, spread)
        for share, shape in ((1.0, (LANES, MONTH)), (left, (4000, 100)))
    )
    assert floor(quiet, faulty) == pytest.approx(2.53, rel=0.08)


def test_alarms_within_an_hour_are_one_episode_and_one_that_lasts_counts_daily():
    alarm = np.zeros((3, 3 * 1440), bool)
    alarm[0, [100, 150, 210, 300]] = True
    alarm[1, 100:] = True
    assert episodes(alarm).tolist() == [2, 3, 0]


def test_delays_count_the_minute_of_the_alarm_and_a_miss_counts_as_90():
    streams = plain(TINY, 1)
    alarm = np.zeros(streams.accesses.shape, bool)
    mine = [o for o in streams.outages if o.kind == "F30" and streams.size[o.lane] == 2]
    late, early, *missed = mine
    alarm[late.lane, late.start + 9 :] = True
    alarm[early.lane, early.start - 1] = True
    cell = judge(alarm, streams, "F30")[2]
    judged = 1 + len(missed)
    assert (cell.outages, cell.left_out, cell.found) == (judged, 1, 1 / judged)
    assert cell.delay == (10 + OUTAGE_MINUTES * len(missed)) / judged


def test_nothing_is_reported_on_a_seed_that_may_be_tuned_on():
    assert not set(DEVELOPMENT_SEEDS) & set(REPORTING_SEEDS)


def test_the_failure_signal_is_near_the_floor_and_a_storm_moves_it_little():
    calm = on_failures(plain(TINY, 7), "calm")
    stormy = on_failures(plain(TINY, 7, storms=True), "stormy")
    assert calm.mean_ratio(ORACLE) == 1.0
    assert calm.mean_ratio(PRODUCT) < 1.5 < calm.mean_ratio("burn rate 1h & 5m")
    assert stormy.mean_ratio(PRODUCT) < 1.1 * calm.mean_ratio(PRODUCT)
    assert stormy.mean_ratio("burn rate 1h & 5m") > 4.0 * calm.mean_ratio("burn rate 1h & 5m")
    assert "| F30 | outrider |" in text(calm)


@pytest.mark.parametrize("make", [plain, tenants])
def test_the_drop_signal_sees_dead_clients_of_any_size_at_once(make):
    drops = on_drops(make(TINY, 7), "drops")
    for size in (300, 2000):
        cell = drops.cells[PRODUCT]["D100", size]
        assert cell.found == 1.0
        assert cell.delay < 5.0
    assert drops.mean_ratio(ORACLE) == 1.0
