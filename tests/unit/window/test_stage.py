from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipeline.model.event import EVENT_SCHEMA, EventFlag
from pipeline.model.vocabulary import Client, Source
from pipeline.model.window import WINDOW_SCHEMA
from pipeline.window.stage import advance
from pipeline.window.state import WindowState
from pipeline.window.table import to_table

HOUR = timedelta(hours=1)
FEED = ("t", Source.EXCHANGE_AUDIT)


def close(events, start, hours=1, state=None, **more):
    return advance(state or WindowState(), events, start=start, until=start + hours * HOUR, **more)


def total(block, name):
    return int(block.counts[name].sum())


def test_a_redelivered_record_counts_once_within_and_across_blocks(events, start):
    table = events([{"id": 1, "minute": 5}, {"id": 1, "minute": 5}, {"id": 2, "minute": 6}])
    state, block = close(table, start)
    assert total(block, "attempts") == 2
    assert state.duplicates == 1
    late_copy = events([{"id": 1, "minute": 5}, {"id": 3, "minute": 61}])
    state, block = close(late_copy, start + HOUR, state=state)
    assert total(block, "attempts") == 1
    assert state.duplicates == 2


def test_the_same_request_with_another_code_is_another_event(events, start):
    table = events(
        [
            {"id": 1, "outcome": "interrupt", "error_code": 50074},
            {"id": 1, "outcome": "success", "error_code": 0},
        ]
    )
    _, block = close(table, start)
    assert total(block, "outcome_interrupt") == 1
    assert total(block, "outcome_success") == 1
    assert total(block, "attempts") == 1  # a prompt is a step, not an attempt


def test_file_order_and_split_change_no_count(events, start):
    rng = random.Random(4)
    rows = [
        {
            "id": i % 90,  # some come twice
            "minute": (i % 90) * 2 % 120,
            "user": (i % 90) % 7,
            "outcome": "success" if i % 3 else "service_fault",
            "error_code": 0 if i % 3 else 90033,
        }
        for i in range(120)
    ]
    table = events([dict(r) for r in rows])
    order = list(range(table.num_rows))
    rng.shuffle(order)
    _, one = close(table, start, hours=2)
    shuffled = pa.concat_tables([table.take(order[:50]), table.take(order[50:])])
    _, two = close(shuffled, start, hours=2)
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(counts, two.counts[name], err_msg=name)
    assert one.user_hours.equals(two.user_hours)
    assert {k: v.tolist() for k, v in one.codes.items()} == {
        k: v.tolist() for k, v in two.codes.items()
    }


def test_a_quiet_cell_has_zero_windows(events, start):
    state, _ = close(events([{}]), start)
    _, block = close(EVENT_SCHEMA.empty_table(), start + HOUR, state=state)
    table = to_table(block)
    assert table.schema.equals(WINDOW_SCHEMA)
    assert table.num_rows == 60
    assert sum(table.column("attempts").to_pylist()) == 0


def test_server_side_traffic_is_counted_but_nobodys(events, start):
    audit = {"source": "exchange_audit", "client": "system"}
    _, block = close(events([audit, {"minute": 1}]), start)
    system = [c.client for c in block.cells].index(Client.SYSTEM)
    assert block.counts["attempts"][system].sum() == 1
    assert block.counts["users"][system].sum() == 0
    assert block.user_hours.num_rows == 1


def test_a_throttled_mailbox_leaves_the_count_and_the_expectation(events, start):
    audit = {"source": "exchange_audit", "client": "owa"}
    rows = [{**audit, "user": u, "minute": 1} for u in range(1, 5)]
    rows.append({**audit, "user": 1, "minute": 2, "flags": int(EventFlag.THROTTLED_MAILBOX)})
    rows.append({**audit, "user": 1, "minute": 30})
    state, block = close(events(rows), start)
    assert total(block, "newly_active") == 4  # user 1 counted before it was throttled only
    _, later = close(EVENT_SCHEMA.empty_table(), start + HOUR, state=state)
    assert later.completeness[FEED][0] == pytest.approx(0.75)


def test_guests_are_kept_apart(events, start):
    _, block = close(events([{"user": 5, "flags": int(EventFlag.GUEST)}]), start)
    assert total(block, "attempts") == 1
    assert total(block, "users") == 0


def test_a_feed_that_stops_is_a_gap_and_a_quiet_night_is_not(events, start):
    state = WindowState()
    gaps = []
    for hour in range(200):
        silent = 180 <= hour < 184
        rows = [
            {
                "id": (hour, i),
                "minute": hour * 60 + i,
                "source": "exchange_audit",
                "client": "system",
            }
            for i in range(60)
            if not silent and (hour % 24 > 5 or i % 20 == 0)
        ]
        state, block = close(
            events(rows) if rows else EVENT_SCHEMA.empty_table(), start + hour * HOUR, state=state
        )
        gaps += block.gaps
        if hour in {181, 182}:
            assert block.completeness[FEED].max() == 0.0
    assert len(gaps) == 1
    assert gaps[0].start == start + 180 * HOUR
    assert gaps[0].end == start + 184 * HOUR
    assert gaps[0].expected == pytest.approx(240, rel=0.2)


@pytest.mark.parametrize(("others", "gap"), [(60, True), (9, False), (0, True)])
def test_a_feed_is_silent_on_a_holiday_without_being_a_gap(events, start, others, gap):
    """9 of 60 records an hour from the other feed: 60 usual sign-ins in 12 h become some 15."""
    state, gaps = WindowState(), []
    for hour in range(200):
        special = 180 <= hour < 192
        rows = [
            {"id": (hour, i), "minute": hour * 60 + i, "source": "exchange_audit"}
            for i in range(others if special else 60)
        ]
        rows += [
            {"id": (hour, "s", i), "minute": hour * 60 + 12 * i, "source": "entra_signin"}
            for i in range(0 if special else 5)
        ]
        table = events(rows) if rows else EVENT_SCHEMA.empty_table()
        state, block = close(table, start + hour * HOUR, state=state)
        gaps += [g for g in block.gaps if g.source is Source.ENTRA_SIGNIN]
    assert bool(gaps) is gap


def test_the_youngest_minutes_are_incomplete(events, start):
    table = events([{"source": "exchange_audit", "client": "owa", "minute": m} for m in range(60)])
    _, block = close(table, start, data_end=start + HOUR)
    share = block.completeness[FEED]
    assert share[-1] < 0.05
    assert share[0] > share[30] > share[-1]


def test_delays_are_learned_from_arrival_times(events, start):
    rows = [
        {"id": i, "s": i, "received_time": start + timedelta(seconds=i + 90)} for i in range(300)
    ]
    state, block = close(events(rows), start)
    feed = ("t", Source.ENTRA_SIGNIN_NONINTERACTIVE)
    median, p95 = block.settle[feed]
    assert median == pytest.approx(90, rel=0.1)
    assert p95 == pytest.approx(90, rel=0.1)
    assert feed in block.measured
    assert state.memory.arrivals[feed].measured


def test_late_events_and_those_of_closed_windows_are_counted(events, start):
    late = {"minute": 1, "received_time": start + timedelta(hours=3)}
    state, block = close(events([late]), start)
    assert total(block, "late") == 1
    state, _ = close(events([{"id": "old", "minute": 2}]), start + HOUR, state=state)
    assert state.outside == 1


def test_blocks_must_follow_each_other_on_full_hours(events, start):
    state, _ = close(events([{}]), start)
    with pytest.raises(ValueError, match="must start at"):
        close(EVENT_SCHEMA.empty_table(), start + 2 * HOUR, state=state)
    with pytest.raises(ValueError, match="full hours"):
        close(EVENT_SCHEMA.empty_table(), start + timedelta(minutes=5))
