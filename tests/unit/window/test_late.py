"""Late events re-open their windows: afterwards everything is as if they had been in time."""

from __future__ import annotations

import pickle
import random
from datetime import timedelta

import numpy as np
import pytest

from pipeline.model.event import EVENT_SCHEMA
from pipeline.window.late import reopen
from pipeline.window.stage import advance
from pipeline.window.state import WindowState
from pipeline.window.table import to_table

HOUR = timedelta(hours=1)
HOURS = 8
OUTCOMES = [("success", 0), ("service_fault", 90033), ("service_fault", 90036), ("policy", 53003)]


def traffic(seed, start):
    """Rows of eight hours: few users, so that hours, codes and presses depend on each other."""
    rng = random.Random(seed)
    rows = []
    for at in range(700):
        minute = rng.randrange(HOURS * 60)
        outcome, code = rng.choice(OUTCOMES)
        audit = rng.random() < 0.3
        rows.append(
            {
                "id": at,
                "minute": minute,
                "received_time": start + timedelta(minutes=minute + rng.choice([2, 3, 200])),
                "user": rng.choice([7, 61, 3600, 12345, 999]),
                "client": rng.choice(["outlook_ios", "owa"] if audit else ["outlook_ios", "imap4"]),
                "network": rng.choice(["AS1", "AS2", None]),
                "source": "exchange_audit" if audit else "entra_signin",
                "outcome": "success" if audit else outcome,
                "error_code": 0 if audit else code,
                "flags": 1 if audit and rng.random() < 0.02 else 0,
            }
        )
    return rows


class Feed:
    """Hands events to the stage hour by hour and keeps the newest block of every hour."""

    def __init__(self, events, start, horizon=timedelta(hours=26)):
        self.events, self.start = events, start
        self.state = WindowState(horizon=horizon)
        self.blocks, self.tables, self.changed = {}, {}, []

    def hour(self, hour, rows):
        table = self.events([dict(r) for r in rows]) if rows else EVENT_SCHEMA.empty_table()
        self.state, table, reopened = reopen(self.state, table)
        for block in reopened.blocks if reopened else ():
            self.blocks[block.start] = block
        self.changed.append(reopened.changed if reopened else ())
        at = self.start + hour * HOUR
        self.state, block = advance(
            self.state, table, start=at, until=at + HOUR, data_end=at + 1.02 * HOUR
        )
        self.blocks[at] = block
        return reopened

    def answer(self):
        """All that the later stages read of the blocks, without the order of cells."""
        out = []
        for at in sorted(self.blocks):
            block = self.blocks[at]
            hours = block.user_hours.to_pylist()
            rows = to_table(block).drop_columns(["revision"]).to_pylist()
            out.append(
                (
                    sorted(rows, key=lambda r: (r["minute"], *map(str, list(r.values())[1:5]))),
                    sorted(
                        (block.cells[c], code, v.tolist()) for (c, code), v in block.codes.items()
                    ),
                    sorted(hours, key=str),
                    block.gaps,
                    block.settle,
                )
            )
        return out


def memory_of(feed):
    """What the next hours will be counted and judged on with."""
    held = feed.state.memory
    hours = held.open_hours
    keys = zip(
        *(a.tolist() for a in (hours.cell, hours.user, hours.hour, hours.tries)), strict=True
    )
    return (
        held.cells,
        sorted(keys),
        held.codes,
        held.mailboxes,
        {k: a.counts.tolist() for k, a in held.arrivals.items()},
        {k: (r.total.tolist(), r.seen.tolist(), r.met) for k, r in held.rates.items()},
    )


def deliver(feed, rows, delay):
    """Each row in the hour it happened, or ``delay(row)`` hours after; then hours of silence."""
    by_hour = {}
    for row in rows:
        by_hour.setdefault(row["minute"] // 60 + delay(row), []).append(row)
    for hour in range(HOURS + 4):
        feed.hour(hour, by_hour.get(hour, []))
    return feed


@pytest.mark.parametrize("seed", range(6))
def test_late_events_leave_the_windows_they_would_have_made_in_time(events, start, seed):
    rows = traffic(seed, start)
    rng = random.Random(seed)
    late = {r["id"]: rng.choice([1, 1, 2, 4]) for r in rows if rng.random() < 0.1}
    in_time = deliver(Feed(events, start), rows, lambda _: 0)
    tardy = deliver(Feed(events, start), rows, lambda r: late.get(r["id"], 0))
    assert tardy.answer() == in_time.answer()
    assert memory_of(tardy) == memory_of(in_time)
    assert tardy.state.reopened == len(late)
    assert tardy.state.outside == 0
    assert tardy.state.events == in_time.state.events == len(rows)


def test_a_late_failure_moves_the_users_next_one_and_both_rows_are_revised(events, start):
    fail = {
        "user": 3600,
        "outcome": "service_fault",
        "error_code": 90033,
    }  # its hour is the clock's
    feed = Feed(events, start)
    feed.hour(0, [{"id": 1, "minute": 5}, {"id": 2, "minute": 50, **fail}])
    feed.hour(1, [])
    reopened = feed.hour(2, [{"id": 3, "minute": 20, **fail}])
    assert [b.start for b in reopened.blocks] == [start, start + HOUR]
    (block,) = reopened.changed
    newly = block.counts["newly_failing_service"].sum(axis=0)
    assert np.flatnonzero(newly).tolist() == [20]
    assert np.flatnonzero(block.revisions[0] == 2).tolist() == [20, 50]
    revisions = to_table(block).column("revision").to_pylist()
    assert sorted(set(revisions)) == [1, 2]
    (block,) = feed.hour(3, [{"id": 4, "minute": 20}]).changed
    assert block.revisions[0][[19, 20, 50]].tolist() == [1, 3, 2]


def test_what_depends_on_the_hour_before_is_revised_in_the_next_block_too(events, start):
    fail = {"user": 3630, "outcome": "service_fault", "error_code": 90033}  # its hour begins at :30
    feed = Feed(events, start)
    feed.hour(0, [])
    feed.hour(1, [{"id": 1, "minute": 70, **fail}])
    changed = feed.hour(2, [{"id": 2, "minute": 45, **fail}]).changed
    assert [b.start for b in changed] == [start, start + HOUR]
    assert changed[1].counts["newly_failing_service"].sum() == 0
    assert changed[1].revisions.max() == 2


def test_a_late_copy_of_a_counted_event_changes_nothing(events, start):
    feed = Feed(events, start)
    feed.hour(0, [{"id": 1, "minute": 5}])
    assert feed.hour(1, [{"id": 1, "minute": 5}]) is None
    assert feed.hour(2, [{"id": 2, "minute": 6}]) is not None
    assert feed.hour(3, [{"id": 2, "minute": 6}, {"id": 1, "minute": 5}]) is None
    assert feed.state.duplicates == 3
    assert feed.blocks[start].counts["attempts"].sum() == 2


def test_an_event_beyond_the_horizon_is_counted_and_changes_nothing(events, start):
    feed = Feed(events, start, horizon=2 * HOUR)
    for hour in range(4):
        feed.hour(hour, [{"id": hour, "minute": hour * 60}])
    before = feed.answer()
    assert feed.hour(4, [{"id": "old", "minute": 70}]) is None
    assert feed.answer()[:4] == before
    assert feed.state.outside == 1
    assert feed.hour(5, [{"id": "young", "minute": 190}]) is not None


def test_what_is_kept_is_bounded_by_the_horizon(events, start):
    feed = Feed(events, start, horizon=3 * HOUR)
    for hour in range(40):
        feed.hour(hour, [{"id": (hour, i), "minute": hour * 60 - 60 * i} for i in range(3)])
    assert len(feed.state.kept) == 3
    assert sum(c.events.num_rows for c in feed.state.kept) <= 9
    assert Feed(events, start, horizon=timedelta(0)).hour(0, [{"minute": 1}]) is None


def test_without_a_horizon_nothing_is_kept_or_re_opened(events, start):
    feed = Feed(events, start, horizon=timedelta(0))
    feed.hour(0, [{"id": 1, "minute": 1}])
    assert feed.hour(1, [{"id": 2, "minute": 2}]) is None
    assert feed.state.kept == ()
    assert feed.state.outside == 1


def test_a_late_arrival_is_dated_by_when_it_came(events, start):
    feed = Feed(events, start)
    feed.hour(0, [{"id": 1, "minute": 1}])
    untold = feed.hour(1, [{"id": 2, "minute": 2}])
    assert untold.arrived_at == start + HOUR
    told = feed.hour(2, [{"id": 3, "minute": 3, "received_time": start + 2.5 * HOUR}])
    assert told.arrived_at == start + 2.5 * HOUR


def test_a_gap_that_late_records_fill_is_no_gap(events, start):
    def hours(*some):
        return [
            {"id": (hour, i), "minute": hour * 60 + i, "source": "exchange_audit"}
            for hour in some
            for i in range(60)
        ]

    feed = Feed(events, start)
    for hour in range(184):
        feed.hour(hour, [] if hour in {180, 181} else hours(hour))
    mailboxes = ("t", "exchange_audit")
    usual = feed.blocks[start + 179 * HOUR].completeness[mailboxes]
    assert feed.blocks[start + 181 * HOUR].completeness[mailboxes].max() == 0.0
    assert len(feed.blocks[start + 182 * HOUR].gaps) == 1
    feed.hour(184, hours(180, 181, 184))
    found = feed.blocks[start + 181 * HOUR]
    np.testing.assert_array_equal(found.completeness[mailboxes], usual)
    assert (found.revisions == 2).all()
    assert not any(b.gaps for b in feed.blocks.values())


def test_a_restart_between_changes_nothing(events, start):
    rows = traffic(3, start)
    late = {r["id"] for r in rows if r["id"] % 9 == 0}
    straight = deliver(Feed(events, start), rows, lambda r: 2 * (r["id"] in late))
    broken = Feed(events, start)
    hop = broken.hour

    def hour(at, some):
        broken.state = pickle.loads(pickle.dumps(broken.state))  # noqa: S301 # our own bytes
        return hop(at, some)

    broken.hour = hour
    assert deliver(broken, rows, lambda r: 2 * (r["id"] in late)).answer() == straight.answer()
