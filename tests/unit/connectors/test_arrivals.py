"""When records arrived, as their carrier tells it: it counts for more than what they tell."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np

from connectors.normalise.arrivals import Arrivals
from connectors.normalise.intake import Intake
from pipeline.model.clock import to_us
from tests.services import diagnostics as d

LATER = to_us(d.START + timedelta(minutes=30))


def arrived(table):
    return [None if t is None else to_us(t) for t in table["received_time"].to_pylist()]


def test_each_record_has_the_last_moment_that_was_told_before_it():
    arrivals = Arrivals()
    received = np.array([7, 7, 0, 7, 7], np.int64)
    assert arrivals.over(received, [0, 1, 2, 3, 4]).tolist() == [7, 7, 0, 7, 7]
    arrivals.mark(1, 100)
    arrivals.mark(3, 0)
    arrivals.mark(4, 200)
    assert arrivals.over(received, [0, 1, 2, 3, 4]).tolist() == [7, 100, 100, 7, 200]
    assert arrivals.over(received[:2], [2, 9]).tolist() == [100, 200]
    arrivals.forget()
    assert arrivals.over(received[:2], [5, 6]).tolist() == [200, 200]
    assert arrivals.over(received[:0], []).tolist() == []


def test_records_between_rejects_and_ignored_ones_keep_their_moments():
    intake = Intake(d.SETTINGS, "memory")
    intake.take([d.record(1)])
    intake.arrived(LATER)
    intake.take([{"id": "odd"}, d.machine(2), d.record(3)])
    intake.arrived(0)
    intake.take([json.loads(json.dumps(d.record(4)))])
    portion = intake.portion()
    told = to_us(d.START + timedelta(seconds=150))
    ids = [int.from_bytes(i, "big") for i in portion.table["event_id"].to_pylist()]
    assert ids == [1, 3, 4]
    first, second, third = arrived(portion.table)
    assert second == LATER
    assert (first - told) // 10**6 == 1
    assert (third - told) // 10**6 == 4


def test_a_moment_before_its_record_is_not_believed():
    intake = Intake(d.SETTINGS, "memory")
    intake.arrived(to_us(d.START - timedelta(hours=1)))
    intake.take([d.record(1)])
    assert arrived(intake.portion().table) == [None]
