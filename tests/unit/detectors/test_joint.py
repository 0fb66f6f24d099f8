"""The joint evidence: what it promises, when it is earlier, and whom it names."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from detectors.failure import FailureLanes, FailureSettings
from detectors.flags import JOINT, Lane, flag_of
from detectors.joint import JointEvidence, JointLanes, Membership
from detectors.together import Together
from pipeline.model.vocabulary import CLIENT_LABELS, Client, OutcomeFamily, Service, Signal, Source
from pipeline.model.window import USER_HOUR_SCHEMA, Cell, WindowBlock
from pipeline.report.explain_joint import factors, joint_score, joint_text
from pipeline.report.trace import Joint

NAMES = tuple("abcdef")


def alike(lanes):
    """Every lane a unit and a line of its own."""
    every = np.arange(lanes)
    return Membership.of(every, every, np.ones(lanes))


def gaussian(rng, hours, lanes, shift=0.0, hit=()):
    """Log-likelihood ratios of a mean of 0.7 against 0, in standard deviations."""
    x = rng.normal(size=(hours, lanes))
    x[:, list(hit)] += shift
    return 0.7 * x - 0.245


def first_alarm(gains, threshold):
    joint, members = JointLanes(), alike(gains.shape[1])
    for hour, gain in enumerate(gains):
        joint.advance({"lanes": gain[:, None]})
        if joint.standing(members).score >= threshold:
            return hour + 1
    return len(gains)


def first_alone(gains, most):
    r = np.zeros(gains.shape[1])
    for hour, gain in enumerate(gains):
        r = (60.0 + r) * np.exp(gain)
        if r.max() >= most:
            return hour + 1
    return len(gains)


def test_false_alarms_come_no_oftener_than_promised():
    rng = np.random.default_rng(5)
    threshold = math.log(60.0 * 100.0)  # one in a hundred hours
    waits = [first_alarm(gaussian(rng, 1000, 6), threshold) for _ in range(60)]
    # The standard error of the mean of sixty waits is about an eighth of it.
    assert np.mean(waits) >= 100.0 * (1.0 - 2.0 / 8.0)


def test_faint_evidence_in_several_lanes_is_found_earlier_than_in_one():
    rng = np.random.default_rng(6)
    promise = 43_200.0
    jointly, singly = [], []
    for _ in range(40):
        gains = gaussian(rng, 200, 6, shift=0.7, hit=(0, 1, 2))
        jointly.append(first_alarm(gains, math.log(promise)))
        singly.append(first_alone(gains, promise * 6))
    assert np.mean(jointly) < 0.8 * np.mean(singly)


def test_lanes_of_the_same_people_do_not_count_twice():
    rng = np.random.default_rng(7)
    gain = gaussian(rng, 24, 1, shift=0.7, hit=(0,))
    one, twice = JointLanes(), JointLanes()
    same = Membership.of(np.array([0, 0]), np.array([0]), np.ones(2))
    for row in gain:
        one.advance({"lanes": row[:, None]})
        twice.advance({"lanes": np.repeat(row, 2)[:, None]})
    assert twice.standing(same).score == pytest.approx(one.standing(alike(1)).score, rel=1e-12)


def test_a_whole_product_line_costs_less_than_two_lanes_apart():
    gain = np.full((2, 1), 2.0)
    together, apart = JointLanes(), JointLanes()
    line = Membership.of(np.arange(6), np.array([0, 0, 1, 2, 3, 4]), np.ones(6))
    quiet = np.full((4, 1), -0.2)
    for _ in range(3):
        for joint in (together, apart):
            joint.advance({"lanes": np.concatenate([gain, quiet])})
    assert together.standing(line).score > apart.standing(alike(6)).score


def test_lanes_that_say_nothing_are_not_named():
    joint = JointLanes()
    for _ in range(6):
        joint.advance({"lanes": np.array([[2.0], [2.0], [-0.3], [-0.3]])})
    assert joint.standing(alike(4)).carriers.tolist() == [True, True, False, False]
    joint.forget("lanes", 0)
    assert joint.standing(alike(4)).carriers.tolist() == [False, True, False, False]


def test_the_bank_adds_up_as_the_river_class_does():
    rng = np.random.default_rng(8)
    gains = gaussian(rng, 60, 3, shift=0.5, hit=(1,))
    # Three clients of three lines; four equal alternatives say what one does.
    lanes = [lane(c) for c in (Client.OWA, Client.OUTLOOK_IOS, Client.TEAMS)]
    part, together = Fixed(3), Together()
    river = JointEvidence(("a", "b", "c"))
    for hour, gain in enumerate(gains):
        part.gain = np.repeat(gain[:, None], 4, axis=1)
        x = dict(zip("abc", gain.tolist(), strict=True))
        told = river.score_one(x)
        assert together.advance(60 * hour + 59, {"failures": part}, {"failures": lanes}, 99.0) == []
        river.learn_one(x)
        members = together.members({"failures": part}, {"failures": lanes})
        if hour >= 24:
            assert together.evidence.standing(members).score == pytest.approx(told, rel=1e-9)


class Fixed(FailureLanes):
    """Lanes that are all warm."""

    def __init__(self, lanes):
        super().__init__(FailureSettings())
        self.grow(lanes)

    def warm(self):
        return np.ones(self.lanes, bool)


def lane(client, source=Source.ENTRA_SIGNIN, signal=Signal.FAILURE_RATE):
    cell = Cell("t", source, Service.EXCHANGE_ONLINE, client)
    return Lane(cell, signal, "failure_spike", OutcomeFamily.SERVICE)


START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = int(START.timestamp()) // 60


def test_a_joint_flag_names_its_lanes_and_waits_for_the_slowest_source():
    audit = Lane(
        Cell("t", Source.EXCHANGE_AUDIT, Service.EXCHANGE_ONLINE, Client.OUTLOOK_ANDROID),
        Signal.ACTIVE_USERS,
        "volume_drop",
    )
    lanes = {"failures": [lane(Client.OUTLOOK_IOS), lane(Client.TEAMS)], "users": [audit]}
    parts = {"failures": Fixed(2), "users": Fixed(1)}
    together = Together()
    opened = []
    for hour in range(4):
        parts["failures"].gain = np.array([[2.5] * 4, [-0.5] * 4])
        parts["users"].gain = np.array([[2.5] * 4])
        opened += together.advance(MINUTE + 60 * hour + 59, parts, lanes, 14.0)
    assert [(name, change.lane) for name, change in opened] == [("failures", 0), ("users", 0)]
    assert all(parts[name].evidence.is_open[change.lane] for name, change in opened)
    settle = {
        ("t", Source.ENTRA_SIGNIN): (60.0, 300.0),
        ("t", Source.EXCHANGE_AUDIT): (3600.0, 5400.0),
    }
    block = WindowBlock(
        start=START,
        minutes=240,
        cells=(),
        counts={},
        codes={},
        completeness={key: np.ones(240) for key in settle},
        user_hours=USER_HOUR_SCHEMA.empty_table(),
        settle=settle,
    )
    for name, change in opened:
        carriers = together.carriers(name, change)
        flag = flag_of(lanes[name][0], change, block, carriers)
        assert flag.detector == JOINT
        assert flag.raised_at == flag.alarm_at + timedelta(seconds=60 + 5400)
        assert flag.score >= 14.0
        account = together.account(name, change)
        assert account is not None
        kept = Joint(np.array(account.since), list(account.lanes))
        assert joint_score(kept) == pytest.approx(flag.score, rel=1e-9)
        product = np.prod(list(factors(kept).values()), axis=0)
        assert np.log(product.mean()) == pytest.approx(max(account.since), rel=1e-9)
        told = "\n".join(joint_text(kept))
        assert f"score = ln(60 * sum) = {flag.score:.3f}" in told
        assert {"Outlook for iOS", "Outlook for Android"} <= {
            client for client in CLIENT_LABELS.values() if f": {client}: " in told
        }
        assert together.account(name, change) is None


def test_a_lane_that_has_closed_starts_from_nothing():
    lanes, parts, together = {"failures": [lane(Client.OWA)]}, {"failures": Fixed(1)}, Together()
    opened = []
    for hour in range(3):
        parts["failures"].gain = np.full((1, 4), 6.0)
        opened += together.advance(60 * hour + 59, parts, lanes, 14.0)
    closed = replace(opened[0][1], opened=False, minute=200, end=190)
    assert together.carriers("failures", closed) == (lanes["failures"][0],)
    parts["failures"].evidence.is_open[0] = False
    parts["failures"].gain = np.full((1, 4), 1.0)
    assert together.advance(239, parts, lanes, 14.0) == []
    assert together.carriers("failures", closed) == ()
