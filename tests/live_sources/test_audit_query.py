"""Searching the audit log: each record once, over slow, failing and lost searches."""

from __future__ import annotations

import itertools
import json
import uuid

import pytest

from connectors.sources.audit_query_position import MOST_SEEN, Position
from pipeline.model.clock import rfc3339
from tests.live_sources.activity_case import ids_of, nothing_shown
from tests.live_sources.audit_query_case import DAY, HOUR, MINUTE, NOON, SECOND, rig
from tests.services.audit_records import record
from tests.services.server import Faults


def test_each_record_once_under_faults_and_restarts_at_every_poll():
    faults = Faults(seed=2, throttled=0.05, failing=0.03, hung_up=0.03, cut=0.03)
    with rig(faults, page=40, lifetime=1200, pace=1.0) as made:
        made.killed = 0.15
        made.service.fates.extend(["succeeded", "failed", "succeeded", "lost", "cancelled"])
        made.service.links_expire = 3
        for n in range(1200):  # before we came, and while we read
            made.happened(n, DAY - MINUTE - n * 108 * SECOND, late=HOUR + n % 40 * MINUTE)
        made.for_(20 * HOUR, idle=MINUTE)
        assert made.given == made.once_each
        assert all(faults.dealt.values())
        assert len(made.entra.issued) > 5
        assert not made.service.fates
        assert not made.missing


def test_a_record_that_comes_late_is_found_a_day_later():
    with rig() as made:
        made.happened(1, HOUR, late=0 * HOUR)
        made.happened(2, HOUR, late=9 * HOUR)
        made.happened(3, HOUR, late=20 * HOUR)
        made.for_(5 * HOUR, idle=5 * MINUTE)
        assert made.given.total() == 1
        made.for_(32 * HOUR, idle=5 * MINUTE)
        assert made.given == made.once_each


def test_the_records_are_those_of_the_management_activity_api():
    with rig() as made:
        made.happened(5, 3 * HOUR)
        made.happened(6, 3 * HOUR, RecordType=1)
        made.for_(10 * MINUTE)
        (table,) = [b for p in made.polls for b in p.batches]
        (row,) = table.to_pylist()
        assert row["event_id"] == uuid.UUID(int=5).bytes
        assert (row["source"], row["client"], row["weight"]) == ("exchange_audit", "owa", 2)
        assert row["event_time"] == NOON - 3 * HOUR
        nothing_shown([row["user"]], made.cursor)


def test_a_search_is_begun_looked_at_and_read_in_polls_of_their_own():
    with rig(takes=90) as made:
        made.happened(1, 3 * HOUR)
        made.lookback = 5 * HOUR
        made.once()
        assert len(made.service.requests) == 1
        assert made.cursor["query"]["name"] in made.service.searches
        for _ in range(4):  # asked for at most each 20 seconds
            made.once()
        assert len(made.service.requests) == 2
        made.clock.advance(100 * SECOND)
        made.once()
        assert not made.given
        made.once()
        assert made.given.total() == 1
        assert "query" not in made.cursor
        assert made.polls[-1].complete_to == NOON


def test_a_poll_reads_a_few_pages_and_its_cursor_stands_behind_them():
    with rig(page=10) as made:
        for n in range(230):
            made.happened(n, 3 * HOUR - n * SECOND)
        made.lookback = 5 * HOUR
        made.for_(10 * MINUTE)
        sizes = [n for p in made.polls if (n := len(ids_of(p)))]
        assert sizes == [50, 50, 50, 50, 30]
        assert made.given == made.once_each


def test_searches_come_half_an_hour_apart_and_no_faster_when_catching_up():
    with rig() as made:
        made.lookback = 3 * DAY
        made.for_(6 * HOUR, idle=MINUTE)
        times = [t for t, _, _ in made.service.asked]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert min(gaps) >= MINUTE
        assert all(g >= 25 * MINUTE for g in gaps[-3:])
        assert all(end - start <= 6 * HOUR for _, start, end in made.service.asked)
        assert not made.errors


@pytest.mark.parametrize("fate", ["failed", "cancelled", "lost", "stuck"])
def test_a_search_that_comes_to_nothing_is_made_anew_and_shorter(fate):
    with rig() as made:
        made.happened(1, 3 * HOUR)
        made.service.fates.extend([fate])
        made.lookback = 4 * HOUR
        made.for_(2 * HOUR)
        made.for_(HOUR)
        (_, start, end), (_, *anew) = made.service.asked[:2]
        assert anew[0] == start
        assert anew[1] - anew[0] < end - start
        assert made.given == made.once_each
        assert not made.missing


def test_searches_that_go_on_failing_are_told_and_made_less_and_less_often():
    with rig() as made:
        made.service.fates.extend(["failed"] * 8)
        made.for_(6 * HOUR, idle=MINUTE)
        told = [m.reason for p in made.polls for m in p.missing]
        assert "3 searches in a row failed" in told[0]
        times = [t for t, _, _ in made.service.asked]
        assert times[7] - times[6] > 30 * MINUTE
        nothing_shown(told)
        made.happened(1, 2 * HOUR)
        made.for_(6 * HOUR, idle=MINUTE)
        assert not made.missing
        assert made.given == made.once_each


def test_a_search_with_too_many_records_is_cut_in_two():
    with rig() as made:
        made.service.most = 40
        for n in range(240):
            made.happened(n, 5 * HOUR - n * MINUTE)
        made.lookback = 6 * HOUR
        made.for_(3 * HOUR)
        assert made.given == made.once_each
        assert not made.missing


def test_what_cannot_be_cut_any_shorter_is_given_and_told_as_missing():
    with rig() as made:
        made.service.most = 40
        for n in range(60):
            made.happened(n, 3 * HOUR)
        made.lookback = 4 * HOUR
        made.for_(3 * HOUR)
        assert 40 <= made.given.total() < 60
        assert any("more records than a search gives" in m.reason for m in made.missing)
        made.service.most = 10**6  # by the time it is searched again, a day later
        made.for_(36 * HOUR, idle=5 * MINUTE)
        assert not made.missing
        assert made.given == made.once_each


def test_links_that_lead_in_a_circle_end_the_search():
    with rig(page=10) as made:
        made.service.loops = True
        for n in range(60):
            made.happened(n, 3 * HOUR)
        made.lookback = 4 * HOUR
        while made.cursor is None or not made.cursor["fails"]:
            made.for_(MINUTE)
        made.service.loops = False
        made.for_(HOUR)
        assert made.given == made.once_each


def test_a_link_that_is_good_no_more_is_answered_by_reading_anew():
    with rig(page=10) as made:
        made.service.links_expire = 2
        for n in range(60):
            made.happened(n, 3 * HOUR)
        made.for_(HOUR)
        assert made.given == made.once_each
        assert made.cursor["fails"] == 0


def test_where_only_beta_offers_it_beta_is_used_from_then_on():
    with rig() as made:
        made.service.versions = {"beta"}
        made.happened(1, 3 * HOUR)
        made.for_(HOUR)
        assert made.given == made.once_each
        posts = [r.path for r in made.service.requests if r.method == "POST"]
        assert posts[0].startswith("/v1.0/")
        assert all(p.startswith("/beta/") for p in posts[1:])


def test_what_is_too_old_to_be_caught_up_is_told_for_eight_days():
    with rig() as made:
        made.for_(HOUR)
        stopped = made.polls[-1].complete_to
        made.clock.advance(40 * DAY)
        made.once()
        (missing,) = made.missing
        assert missing.start == stopped
        assert missing.end == made.clock.now().replace(microsecond=0) - 30 * DAY
        assert "30 days" in missing.reason
        later = made.clock.now() + 9 * DAY
        assert not Position(made.cursor, later, DAY).missing(later)


def test_the_cursor_stays_bounded():
    with rig(page=1000) as made:
        for n in range(1500):
            made.happened(n, 3 * HOUR - n * SECOND)
        made.lookback = 4 * HOUR
        made.for_(5 * MINUTE)
        assert 1500 * 10 < len(json.dumps(made.cursor)) < 1500 * 11 + 2000
        assert MOST_SEEN * 11 < 750_000
        made.for_(3 * DAY, idle=15 * MINUTE)  # a slow reader comes to the late searches too
        assert len(json.dumps(made.cursor)) < 2000


def test_a_clock_of_ours_that_is_ahead_loses_nothing():
    with rig() as made:
        theirs = made.clock

        class Ours:
            advance = theirs.advance

            def now(self):
                return theirs.now() + 3 * HOUR

        made.clock = Ours()
        for number in range(20):
            at = theirs.now()
            made.service.add(record(number, at), at + 50 * MINUTE)
            made.for_(15 * MINUTE)
        made.for_(4 * HOUR, idle=MINUTE)
        assert made.given == made.once_each


def test_a_clock_that_was_set_back_pauses_nothing():
    position = Position(None, NOON, DAY)
    position.asked = NOON + 5 * HOUR
    assert position.next(NOON) is not None
    with rig() as made:
        made.once()
        query = made.cursor["query"]
        query["looked"] = rfc3339(made.clock.now() + 5 * HOUR)
        made.happened(1, 3 * HOUR)
        made.for_(10 * MINUTE)
        assert made.given == made.once_each
