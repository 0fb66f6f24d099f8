"""Outages made to order: the effect that was asked for, on the clients that were asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline.model.clock import to_us
from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import Client
from pipeline.simulate.activity import day_uses
from pipeline.simulate.disturb import disturb
from pipeline.simulate.outage import Outage
from pipeline.simulate.run import simulate_day
from pipeline.simulate.scenarios import make_plan
from pipeline.simulate.spec import SimulationSpec, stream
from pipeline.simulate.world import World

DAY = datetime(2026, 3, 4, tzinfo=UTC)
CLIENTS = (Client.OUTLOOK_IOS, Client.OUTLOOK_MAC_NEW)


def ordered(**more):
    outage = Outage(CLIENTS, DAY + timedelta(hours=9), timedelta(hours=6), **more)
    return World(SimulationSpec(users=600, weeks=1, seed=7, outages=(outage,)))


def unanswered(world):
    """(holding, whether it failed) of every use of the clients within the outage."""
    used = disturb(world, day_uses(world, DAY.date()), stream(7, "test"))
    hold, t = used.uses.hold, used.uses.t
    start, end = world.plan.effects[0].span
    mine = world.holds(CLIENTS)[hold] & (t >= start) & (t < end)
    assert used.works[~mine].all()
    return hold[mine], ~used.works[mine]


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("effect", [0.1, 0.3, 1.0])
def test_a_silent_outage_has_the_effect_it_was_given(effect, lasting):
    _, failed = unanswered(ordered(effect=effect, silent=True, lasting=lasting))
    assert failed.mean() == pytest.approx(effect, abs=0.07)


def test_a_lasting_outage_hits_the_same_people_all_the_time():
    hold, failed = unanswered(ordered(effect=0.3, silent=True, lasting=True))
    ever = np.unique(hold[failed])
    assert failed[np.isin(hold, ever)].mean() > 0.85
    hold, failed = unanswered(ordered(effect=0.3, silent=True))
    ever = np.unique(hold[failed])
    assert failed[np.isin(hold, ever)].mean() < 0.6


def test_a_loud_outage_refuses_tokens_with_service_codes():
    world = ordered(effect=0.6)
    signins, _ = simulate_day(world, DAY.date())
    during = (signins["t"] >= to_us(DAY + timedelta(hours=9))) & (
        signins["t"] < to_us(DAY + timedelta(hours=15))
    )
    faults = np.isin(signins["code"], [90033, 90025, 50033, 90024, 50000])
    assert faults[during].sum() > 50
    assert faults[~during].sum() < 0.1 * faults[during].sum()


def test_the_label_says_what_each_log_can_name():
    label = make_plan(ordered(effect=0.3, silent=True).spec).labels[0]
    assert (label.kind, label.effect, label.signin_failures) == ("service_outage", 0.3, False)
    assert label.entra == (Client.OUTLOOK_IOS, Client.OUTLOOK_MAC)
    assert label.exchange_audit == CLIENTS
    assert label.advisory_ids == ()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"clients": ()}, "outage of no client"),
        ({"clients": (Client.SYSTEM,)}, "outage of system: choose from"),
        ({"effect": 0.0}, "an effect of 0.0"),
        ({"effect": 1.1}, "an effect of 1.1"),
        ({"length": timedelta(0)}, "want a length above 0"),
    ],
)
def test_a_wrong_order_is_told_plainly(wrong, words):
    given = {"clients": CLIENTS, "start": DAY, "length": timedelta(hours=1), "effect": 0.5}
    with pytest.raises(ConfigError, match=words):
        Outage(**(given | wrong))
