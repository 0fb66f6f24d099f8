"""Subscriptions: looked at before they are started, and missed time told when one was off."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from connectors.sources.activity import EXCHANGE
from pipeline.model.errors import FatalError, RetriableError
from tests.live_sources.activity_case import DAY, HOUR, MINUTE, Collector, rig

GENERAL = "Audit.General"


def test_a_subscription_that_is_enabled_is_never_started():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        Collector(made).for_(3 * HOUR)
        assert made.service.asked["start"] == 0
        # It is looked at once an hour, not with every poll.
        assert 3 <= made.service.asked["list"] <= 4


def test_a_subscription_without_a_status_is_an_enabled_one():
    with rig() as made:
        made.service.subscribe()
        made.service.subscriptions[EXCHANGE].status = None
        assert made.api().subscriptions() == {EXCHANGE: "enabled"}


def test_one_that_is_absent_is_started_once_and_the_wait_is_told_as_normal():
    with rig() as made:
        collector = Collector(made, idle=600)
        collector.for_(HOUR)
        assert made.service.asked["start"] == 1
        (missing,) = collector.missing
        assert "up to 12 hours" in missing.reason
        assert "as it should be" in missing.reason
        assert collector.polls[-1].complete_to >= made.clock.now() - 30 * MINUTE
        collector.for_(12 * HOUR)
        (missing,) = collector.missing
        assert "more than 12 hours ago" in missing.reason
        assert "audit log is on" in missing.reason
        made.blob(MINUTE)
        collector.for_(HOUR)
        assert not collector.missing
        assert collector.given == made.expected()


def test_a_start_that_comes_too_late_by_a_moment_is_no_error():
    with rig() as made:
        made.service.subscribe()
        made.api().start(EXCHANGE)  # AF20024: enabled already
        assert made.service.asked["start"] == 1


def test_one_that_is_killed_right_after_its_start_goes_on_as_if_nothing_had_been():
    with rig() as made:
        collector = Collector(made)
        collector.killed = 1.0
        collector.once()
        collector.killed = 0.0
        made.clock.advance(HOUR)
        made.blob(MINUTE)
        collector.for_(5 * MINUTE)
        assert made.service.asked["start"] == 1
        assert collector.given == made.expected()


@pytest.mark.parametrize("killed", [False, True])
def test_one_that_somebody_disables_is_started_again_and_the_gap_is_told(killed):
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        collector = Collector(made)
        collector.for_(30 * MINUTE)
        read_to = collector.polls[-1].complete_to
        made.service.disable()
        made.clock.advance(30 * MINUTE)
        hidden = made.blob(10 * MINUTE)
        # It is found out, stands in the cursor, and only then is it started.
        while "off" not in collector.cursor["feeds"][EXCHANGE]:
            collector.once()
            assert made.service.asked["start"] == 0
            assert any("disabled" in m.reason or "was off" in m.reason for m in collector.missing)
        if killed:  # between the start and the moment when the cursor is kept
            made.make().poll(json.loads(json.dumps(collector.cursor)))
        collector.once()
        assert made.service.asked["start"] == 1
        restarted = made.clock.now()
        made.clock.advance(HOUR)
        made.blob(MINUTE)
        collector.for_(10 * MINUTE)
        (missing,) = collector.missing
        assert missing.start == read_to
        assert missing.start < hidden.created < missing.end <= restarted
        assert "was off" in missing.reason
        assert hidden.fetched == 0
        assert collector.given.total() == made.expected().total() - 4


def test_one_that_was_stopped_a_moment_ago_is_started_after_fifteen_minutes():
    with rig() as made:
        made.service.subscribe()
        collector = Collector(made)
        collector.for_(10 * MINUTE)
        made.service.disable()
        collector.for_(10 * MINUTE)
        (error,) = collector.errors
        assert "15 minutes" in str(error)
        assert error.retry_after == 900
        collector.for_(20 * MINUTE)
        assert made.service.subscriptions[EXCHANGE].status == "enabled"
        assert len(collector.errors) == 1


def test_a_kind_that_cannot_be_subscribed_to_stops_no_other_and_is_told():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        kinds = (EXCHANGE, "Audit.Nothing")
        collector = Collector(made, kinds=kinds)
        collector.once()
        while not collector.given:
            collector.once()
        assert collector.given == made.expected()
        (missing,) = collector.missing
        assert "AF20020" in missing.reason
        assert "Audit.Nothing" in missing.reason
        # With nothing else to give, it is an error: a feed that is not well.
        with pytest.raises(FatalError, match="AF20020"):
            collector.once()


def test_a_list_that_contradicts_the_content_is_an_error_and_not_a_loop():
    with rig() as made:
        made.service.subscribe()
        made.service.refuse["content"] = "AF20022"
        collector = Collector(made)
        with pytest.raises(RetriableError, match="no subscription"):
            collector.once()
        with pytest.raises(RetriableError, match="no subscription"):
            collector.once()
        assert made.service.asked["start"] == 0


def test_a_subscription_is_looked_at_again_when_a_kind_is_added():
    with rig() as made:
        made.service.subscribe()
        collector = Collector(made)
        collector.for_(10 * MINUTE)
        collector.options = {"kinds": (EXCHANGE, GENERAL)}
        collector.for_(10 * MINUTE)
        assert made.service.subscriptions[GENERAL].status == "enabled"
        assert made.service.asked["start"] == 1
        made.clock.advance(DAY)
        made.blob(HOUR, kind=GENERAL)
        collector.for_(10 * MINUTE)
        assert collector.given == made.expected()


def test_a_clock_that_was_set_back_keeps_nobody_from_looking():
    with rig() as made:
        made.service.subscribe()
        right, made.clock = made.clock, SimpleNamespace(now=lambda: right.now() + 5 * HOUR)
        poll = made.make().poll(None)
        before = made.service.asked["list"]
        made.clock = right
        made.clock.advance(2 * HOUR)
        made.make().poll(poll.cursor)
        assert made.service.asked["list"] == before + 1
