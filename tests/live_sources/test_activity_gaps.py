"""What of the audit log is missing: told with its reason, asked for again, and gone when it came."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.sources.activity_errors import SERVICE
from connectors.sources.activity_gaps import MOST_OWED, Gaps
from pipeline.model.errors import RetriableError
from tests.live_sources.activity_case import DAY, HOUR, MINUTE, Collector, nothing_shown, rig
from tests.services.activity import EXCHANGE

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("code", "words"), [("AF20050", "does not exist"), ("AF20052", "refuses the name of a blob")]
)
def test_a_blob_that_the_service_does_not_know_is_missing_until_it_comes(code, words):
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(3 * HOUR, code=code, refusals=4)
        made.blob(2 * HOUR)
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        (missing,) = collector.missing
        assert missing.start <= blob.created - HOUR
        assert missing.end == blob.created
        assert missing.reason.startswith(f"{SERVICE}, Audit.Exchange: ")
        assert words in missing.reason
        assert code in missing.reason
        # Nothing waits for it.
        assert collector.polls[-1].complete_to >= made.clock.now() - 3 * MINUTE
        assert collector.given.total() == 4
        collector.for_(2 * HOUR)
        assert not collector.missing
        assert collector.given == made.expected()
        assert collector.cursor["owed"] == []
        nothing_shown(missing.reason)


def test_a_blob_that_never_comes_is_told_for_good_and_then_forgotten():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(DAY, code="AF20050", refusals=10_000)
        collector = Collector(made, idle=3600)
        collector.for_(5 * DAY)
        assert [m.end for m in collector.missing] == [blob.created]
        asked = made.service.asked["blob"]
        collector.for_(2 * DAY)
        assert made.service.asked["blob"] > asked
        assert collector.cursor["owed"] == []
        assert [m.end for m in collector.missing] == [blob.created]
        asked = made.service.asked["blob"]
        collector.for_(9 * DAY)
        assert made.service.asked["blob"] == asked
        assert not collector.missing
        assert collector.cursor["lost"] == []


def test_a_blob_that_expired_is_told_at_once_and_not_asked_for_again():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(HOUR, code="AF20051", refusals=10_000)
        collector = Collector(made)
        collector.for_(3 * HOUR)
        (missing,) = collector.missing
        assert missing.end == blob.created
        assert "AF20051" in missing.reason
        assert blob.refusals == 10_000 - 1


def test_a_blob_that_comes_cut_is_missing_from_the_third_time_on():
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(HOUR, cut=5)
        collector = Collector(made, idle=10)
        while blob.cut > 3:
            collector.once()
            made.clock.advance(10 * SECOND)
        # Not told yet: the window waits for it.
        assert not collector.missing
        assert collector.polls[-1].complete_to < blob.created
        while blob.cut > 2:
            collector.once()
            made.clock.advance(10 * SECOND)
        (missing,) = collector.missing
        assert "cut off" in missing.reason
        collector.idle = 300
        collector.for_(2 * HOUR)
        assert collector.given == made.expected()
        assert not collector.missing


@pytest.mark.parametrize(
    "raw", [b"", b"<html>Sign in to the proxy</html>", b'{"error": {"code": "AF50000"}}']
)
def test_what_is_no_blob_at_all_is_never_taken_for_an_empty_one(raw):
    with rig() as made:
        made.service.subscribe()
        blob = made.blob(HOUR)
        blob.raw = raw
        collector = Collector(made)
        collector.for_(HOUR)
        assert [m.end for m in collector.missing] == [blob.created]
        blob.raw = None
        collector.for_(HOUR)
        assert collector.given == made.expected()
        assert not collector.missing
        assert not [r for p in collector.polls for r in p.rejects]


def test_a_failing_blob_does_not_hold_up_the_others_for_long():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR, code="AF50000", refusals=10_000)
        for n in range(20):
            made.blob(HOUR - n * MINUTE - MINUTE)
        collector = Collector(made, idle=20)
        collector.for_(5 * MINUTE)
        assert collector.given.total() == 20 * 4
        assert collector.polls[-1].complete_to >= made.clock.now() - MINUTE
        assert "cannot be fetched" in collector.missing[0].reason


def test_with_too_many_blobs_missing_the_position_is_held_and_all_come_in_the_end():
    with rig() as made:
        made.service.subscribe()
        for n in range(MOST_OWED + 60):
            made.blob(10 * HOUR - n * MINUTE, count=1)
        made.service.refuse["blob"] = "AF50000"
        collector = Collector(made, killed=0.1)
        collector.for_(2 * HOUR)
        held = [m for m in collector.missing if "more than 256 blobs" in m.reason]
        assert held or "more than 256 blobs" in str(collector.errors[-1])
        assert len(collector.cursor["owed"]) == MOST_OWED
        nothing_shown(*held)
        made.service.refuse.clear()
        collector.for_(2 * HOUR)
        assert collector.given == made.expected()
        assert not collector.missing


def test_time_that_was_not_read_within_seven_days_is_missing_for_good():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        stopped = collector.polls[-1].complete_to
        made.clock.advance(9 * DAY)
        made.blob(3 * DAY)
        lost = made.blob(8 * DAY)
        collector.for_(10 * MINUTE)
        (missing,) = collector.missing
        assert missing.start == stopped
        assert missing.start < lost.created < missing.end
        assert "within 7 days" in missing.reason
        assert collector.given.total() == 8
        assert collector.polls[-1].complete_to >= made.clock.now() - 5 * MINUTE
        collector.idle = 3600
        collector.for_(9 * DAY)
        assert not collector.missing


def test_a_clock_that_is_behind_the_services_does_not_ask_for_what_is_gone():
    with rig() as made:
        made.service.subscribe()
        collector = Collector(made)
        collector.for_(5 * MINUTE)
        made.clock.advance(10 * DAY)
        service_clock = made.clock
        made.blob(HOUR)

        class Behind:
            def now(self):
                return service_clock.now() - 20 * MINUTE

        made.clock = Behind()
        made.clock.advance = service_clock.advance
        collector.for_(HOUR)
        assert collector.given == made.expected()
        assert not collector.errors


def test_stretches_that_touch_become_one():
    with rig() as made:
        now = made.clock.now()
        gaps = Gaps()
        for n in range(500):
            start = now - DAY + n * MINUTE
            gaps.lose(EXCHANGE, "old", start, start + MINUTE, now)
        gaps.lose("Audit.General", "old", now - DAY, now, now)
        gaps.lose(EXCHANGE, "off", now - DAY, now, now)
        assert len(gaps.stored(now)["lost"]) == 3
        again = Gaps(**gaps.stored(now))
        assert again.missing([EXCHANGE], now) == gaps.missing([EXCHANGE], now)
        assert len(again.missing([EXCHANGE], now)) == 2
        assert again.missing([EXCHANGE], now + 9 * DAY) == []


def test_an_outage_of_the_service_tells_nothing_as_missing():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        collector = Collector(made)
        made.service.refuse["content"] = "AF50000"
        with pytest.raises(RetriableError, match="failure of its own"):
            collector.once()
        made.service.refuse.clear()
        collector.for_(5 * MINUTE)
        assert not collector.missing
        assert collector.given == made.expected()
