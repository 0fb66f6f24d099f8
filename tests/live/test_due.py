"""When a tenant is judged: each minute once it has caught up, each week of a backlog."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.runtime.live.engine import CATCHING_UP, Engine
from pipeline.runtime.live.messages import Kind, Message
from pipeline.runtime.live.reading import event_messages
from pipeline.runtime.live.tenant import Tenant
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

MINUTE = timedelta(minutes=1)


@pytest.fixture
def engine():
    return Engine(SETTINGS, lambda _: Tenant(SETTINGS))


def at(engine, moment):
    engine.take(Message("t", Kind.CLOCK, moment))


def test_a_backlog_is_judged_a_week_after_its_begin_and_each_week_of_it(engine):
    judged = []
    for hour in range(3 * 7 * 24):
        at(engine, MONDAY + hour * HOUR)
        for name in engine.due(caught_up=False):
            engine.judge(name)
            judged.append(hour * HOUR)
    assert judged == [CATCHING_UP, 2 * CATCHING_UP]


def test_whoever_has_caught_up_is_judged_at_once_and_once_a_minute(engine):
    at(engine, MONDAY + HOUR)
    assert engine.due(caught_up=False) == []
    assert engine.due(caught_up=True) == ["t"]
    engine.judge("t")
    at(engine, MONDAY + HOUR + timedelta(seconds=59))
    assert engine.due(caught_up=True) == []
    at(engine, MONDAY + HOUR + MINUTE)
    assert engine.due(caught_up=True) == ["t"]


def test_a_tenant_that_comes_back_begins_its_backlog_anew(engine):
    at(engine, MONDAY)
    assert engine.due(caught_up=False) == []
    engine.drop("t")
    at(engine, MONDAY + CATCHING_UP)
    assert engine.due(caught_up=False) == []


def test_a_message_after_a_month_of_silence_beats_for_each_day_that_it_closes():
    beats = []
    engine = Engine(SETTINGS, lambda _: Tenant(SETTINGS), lambda: beats.append(1))
    (events,) = event_messages([table(usual(0))], "t", MONDAY + HOUR)
    engine.take(replace(events, tenant="t"))
    assert beats == []
    at(engine, MONDAY + 30 * 24 * HOUR)
    assert len(beats) == 28, "days that are over for 26 hours"
