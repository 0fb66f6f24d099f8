"""The Management Activity API: each blob once, whatever happens on the way."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from connectors.sources.activity import KINDS
from connectors.sources.activity_api import KEPT
from connectors.sources.activity_blobs import is_whole
from pipeline.model.clock import parse_rfc3339
from pipeline.model.errors import RetriableError, StateError
from tests.live_sources.activity_case import DAY, HOUR, MINUTE, NOON, Collector, rig
from tests.services.activity import EXCHANGE
from tests.services.audit_records import record
from tests.services.server import Faults

FAULTS = {"throttled": 0.05, "failing": 0.02, "hung_up": 0.02, "cut": 0.03}
SECOND = timedelta(seconds=1)


def event_id(a_record):
    return uuid.UUID(a_record["Id"]).bytes


def busy_day(made, *, kinds=(EXCHANGE,), hours=24, per_hour=6):
    """Blobs of a day with everything that the reference warns of."""
    made.service.subscriptions.clear()
    for kind in kinds:
        made.service.subscribe(kind)
    for kind, hour, n in itertools.product(kinds, range(hours), range(per_hour)):
        ago = hours * HOUR - hour * HOUR - n * (60 // per_hour) * MINUTE - 7 * SECOND
        made.blob(ago, kind=kind, late=HOUR if n == 3 else None, cut=2 if n == 4 else 0)
        if n == 5:  # the same records once more, in a blob of their own
            made.blob(ago, kind=kind, ids=range(made.number - 3, made.number + 1))


def test_each_blob_once_under_faults_and_restarts_at_every_poll():
    faults = Faults(seed=5, **FAULTS)
    with rig(faults, page=7, lifetime=1200, pace=0.4) as made:
        busy_day(made, kinds=KINDS[:2])
        collector = Collector(made, killed=0.2, seed=3, kinds=KINDS[:2])

        def never_ahead():
            # What was listed before that moment was given, or stands in the cursor as owed.
            reached = collector.polls[-1].complete_to
            owed = {o["name"] for o in collector.cursor["owed"]}
            for blob in made.service.blobs.values():
                if blob.created < reached and blob.shown is None and blob.name not in owed:
                    assert all(event_id(r) in collector.given for r in blob.records)

        collector.for_(4 * HOUR, check=never_ahead)
        assert collector.given == made.expected()
        assert collector.kills > 5
        assert all(faults.dealt.values())
        assert len(made.entra.issued) > 1
        assert not collector.missing
        assert made.service.without_publisher == 0


def test_a_blob_that_shows_long_after_its_time_is_given_all_the_same():
    with rig() as made:
        made.service.subscribe()
        collector = Collector(made, idle=300)
        collector.for_(HOUR)
        for late in (5, 30, 60, 90, 110):
            made.blob(SECOND, late=late * MINUTE)
            made.blob(SECOND)
            collector.for_(10 * MINUTE)
        assert collector.given.total() < made.expected().total()
        collector.for_(2 * HOUR)
        assert collector.given == made.expected()


def test_a_token_that_expires_between_two_pages_is_renewed():
    with rig(page=2, lifetime=120, pace=50.0) as made:
        made.service.subscribe()
        for n in range(12):
            made.blob(HOUR + n * MINUTE)
        collector = Collector(made)
        collector.for_(HOUR)
        assert collector.given == made.expected()
        assert len(made.entra.issued) > 5
        assert not collector.errors


def test_a_record_in_several_blobs_is_given_with_each_and_each_blob_once():
    with rig() as made:
        made.service.subscribe()
        made.blob(3 * HOUR, ids=range(1, 11))
        made.blob(2 * HOUR, ids=range(6, 16))
        collector = Collector(made)
        collector.for_(10 * MINUTE)
        assert sorted(collector.given.values()) == [1] * 10 + [2] * 5
        assert [b.fetched for b in made.service.blobs.values()] == [1, 1]


@pytest.mark.parametrize("name", ["NextPageUri", "NextPageUrl", "nextpageuri", "NEXTPAGEURL"])
def test_the_link_to_the_next_page_is_found_in_any_spelling(name):
    with rig(page=3) as made:
        made.service.next_header = name
        made.service.subscribe()
        for n in range(10):
            made.blob(HOUR + n * MINUTE)
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        assert collector.given == made.expected()
        assert made.service.without_publisher == 0


def test_pages_that_lead_in_a_circle_are_told_and_read_when_they_end():
    with rig(page=2) as made:
        made.service.subscribe()
        for n in range(7):
            made.blob(HOUR + n * MINUTE)
        made.service.loops = True
        collector = Collector(made)
        while not collector.errors:
            collector.for_(MINUTE)
        assert "read already" in str(collector.errors[0])
        assert not collector.given
        made.service.loops = False
        collector.for_(5 * MINUTE)
        assert collector.given == made.expected()


def test_records_stand_by_their_own_time_and_arrive_with_their_blob():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(5 * HOUR)
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        (table,) = [b for p in collector.polls for b in p.batches]
        assert set(table["received_time"].to_pylist()) == {blob.created}
        times = table["event_time"].to_pylist()
        assert max(times) <= blob.created - HOUR


def test_a_record_that_is_no_json_is_set_aside_and_its_blob_is_not_asked_for_again():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(HOUR, count=3)
        blob.raw = blob.body[:-1] + b', {"Id": tru}]'
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        rejects = [r for p in collector.polls for r in p.rejects]
        assert [r.reason.value for r in rejects] == ["not_json"]
        assert rejects[0].path.startswith("activity/Audit.Exchange/2026")
        assert (collector.given.total(), blob.fetched) == (3, 1)


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"[]", True),
        (b'[{"a": "x]"}]', True),
        (b'[{"a": "x', False),
        (b'[{"a": 1}]]', False),
        (b'{"error": {}}', False),
        (b"<html></html>", False),
        (b"", False),
    ],
)
def test_only_a_whole_array_counts_as_a_blob(body, whole):
    assert is_whole(body) is whole


def test_a_blob_that_is_listed_again_days_later_is_known():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(HOUR)
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        made.clock.advance(5 * DAY)
        blob.created = made.clock.now() - HOUR
        collector.for_(5 * MINUTE)
        assert blob.fetched == 1
        assert set(collector.given.values()) == {1}


def test_a_kind_that_is_added_is_read_from_its_start_and_nothing_goes_back():
    with rig() as made:
        made.service.subscribe()
        made.service.subscribe("Audit.General")
        made.blob(HOUR)
        made.blob(3 * DAY, kind="Audit.General")
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        collector.options = {"kinds": (EXCHANGE, "Audit.General")}
        collector.for_(5 * MINUTE)
        assert collector.given == made.expected()


def test_a_link_to_another_host_is_not_followed():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        made.service.next_header = "X"
        collector = Collector(made)
        listed = made.service._page

        def elsewhere(request, found):
            reply = listed(request, found)
            reply.headers["NextPageUri"] = "https://manage.example.net/api/v1/x"
            return reply

        made.service._page = elsewhere
        with pytest.raises(RetriableError, match="another address"):
            collector.once()


@pytest.mark.parametrize(
    "cursor",
    [
        {"v": 2},
        {"position": 3},
        {"v": 1},
        {"v": 1, "feeds": {EXCHANGE: {}}, "seen": {}},
        {"v": 1, "feeds": {}, "seen": {"2026-03-19": "###"}},
    ],
)
def test_a_cursor_of_another_version_or_shape_is_refused(cursor):
    with rig() as made, pytest.raises(StateError, match="activity"):
        made.make().poll(cursor)


def test_the_cursor_names_availability_in_full_seconds():
    with rig() as made:
        made.clock.advance(timedelta(microseconds=123_456))
        made.service.subscribe()
        collector = Collector(made)
        collector.for_(MINUTE)
        feed = collector.cursor["feeds"][EXCHANGE]
        assert parse_rfc3339(feed["to"]).microsecond == 0
        assert collector.polls[0].complete_to >= NOON - KEPT
        assert collector.given == Counter()


@pytest.mark.parametrize("ahead", [-30 * MINUTE, 3 * HOUR])
def test_a_clock_of_ours_that_is_wrong_loses_nothing(ahead):
    with rig() as made:
        made.service.subscribe()
        collector = Collector(made)
        theirs = made.clock

        class Ours:
            advance = theirs.advance

            def now(self):
                return theirs.now() + ahead

        made.blob(5 * HOUR)
        made.clock = Ours()
        for _ in range(20):
            collector.for_(10 * MINUTE)
            made.service.add(EXCHANGE, theirs.now() - SECOND, [record(made.number + 1, NOON)])
            made.number += 1
        collector.for_(3 * HOUR)
        assert collector.given == made.expected()
