"""The bank against the one-lane River classes, and what it finds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from detectors.bank import BankSettings, TenantBank
from detectors.failure import FailureLanes, FailureSettings
from detectors.single import FailureSpike, VolumeDrop
from pipeline.model.vocabulary import Client, FlagKind, OutcomeFamily, Service, Signal, Source
from pipeline.model.window import COUNT_COLUMNS, USER_HOUR_SCHEMA, Cell, WindowBlock

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = int(START.timestamp()) // 60
IOS = Cell("t", Source.ENTRA_SIGNIN_NONINTERACTIVE, Service.EXCHANGE_ONLINE, Client.OUTLOOK_IOS)
OWA = Cell("t", Source.ENTRA_SIGNIN_NONINTERACTIVE, Service.EXCHANGE_ONLINE, Client.OWA)
TEAMS = Cell("t", Source.ENTRA_SIGNIN_NONINTERACTIVE, Service.TEAMS, Client.TEAMS)


def block(day, counts, cells=(IOS, OWA, TEAMS), codes=None, blind=None):
    shape = (len(cells), 1440)
    full = {name: np.zeros(shape, np.int32) for name in COUNT_COLUMNS}
    full.update(counts)
    seen = np.ones(1440, np.float32)
    if blind is not None:
        seen[blind] = 0.0
    feed = (IOS.tenant, IOS.source)
    return WindowBlock(
        start=START + timedelta(days=day),
        minutes=1440,
        cells=cells,
        counts=full,
        codes=codes or {},
        completeness={feed: seen},
        user_hours=USER_HOUR_SCHEMA.empty_table(),
        settle={feed: (60.0, 300.0)},
    )


# People come in the morning and go in the evening; nobody stops at midnight sharp.
WORKDAY = 0.05 + np.exp(-(((np.arange(1440) - 760) / 190.0) ** 2))


def quiet_day(rng, users=4.0, shape=None):
    rate = np.broadcast_to(users * (1.0 if shape is None else shape), (3, 1440))
    n = rng.poisson(rate).astype(np.int32)
    f = rng.binomial(n, 0.01).astype(np.int32)
    counts = {f"eligible_{family}": n for family in OutcomeFamily}
    counts |= {"users": n, "newly_active": n, "eligible_pressing": n}
    counts["newly_failing_service"] = f
    return counts


@pytest.fixture
def bank():
    return TenantBank("t", BankSettings(1.0, {90033: OutcomeFamily.SERVICE}))


def test_lanes_of_a_bank_equal_the_river_class_minute_by_minute():
    rng = np.random.default_rng(3)
    days, lanes = 4, 3
    n = rng.poisson(6, (lanes, days * 1440)).astype(float)
    p = np.full(days * 1440, 0.01)
    p[3 * 1440 + 600 : 3 * 1440 + 700] = 0.4
    f = rng.binomial(n.astype(int), p).astype(float)
    many = FailureLanes(FailureSettings())
    many.grow(lanes)
    seen = np.ones((lanes, 60), bool)
    found = []
    for hour in range(days * 24):
        span = slice(hour * 60, hour * 60 + 60)
        found += many.advance(MINUTE + hour * 60, n[:, span], f[:, span], seen, 10.67)
    for lane in range(lanes):
        one = FailureSpike(threshold=10.67)
        changes = []
        for at in range(days * 1440):
            one.learn_one({"t": MINUTE + at, "n": n[lane, at], "f": f[lane, at]})
            changes += one.changes
        assert one.lanes.evidence.r[0] == pytest.approx(many.evidence.r[lane], rel=1e-9)
        assert one.lanes.evidence.cusum[0] == pytest.approx(
            many.evidence.cusum[lane], rel=1e-9, abs=1e-9
        )
        mine = [c for c in found if c.lane == lane]
        assert [(c.opened, c.onset, c.minute, c.end) for c in mine] == [
            (c.opened, c.onset, c.minute, c.end) for c in changes
        ]
        assert [c.opened for c in mine] == [True, False]


def test_an_outage_is_flagged_with_its_onset_and_closed_after_it(bank):
    rng = np.random.default_rng(1)
    flags = []
    for day in range(4):
        counts = quiet_day(rng)
        if day == 3:
            n = counts["users"]
            hit = rng.binomial(n[0, 600:720], 0.4)
            counts["newly_failing_service"][0, 600:720] = hit
        flags += bank.advance(block(day, counts))
    spikes = [f for f in flags if f.kind is FlagKind.FAILURE_SPIKE]
    assert {f.client for f in spikes} == {Client.OUTLOOK_IOS}
    opened, closed = spikes
    onset = START + timedelta(days=3, minutes=600)
    assert abs(opened.onset_at - onset) <= timedelta(minutes=5)
    assert opened.raised_at - onset <= timedelta(minutes=15)
    assert closed.flag_id == opened.flag_id
    assert closed.revision == 2
    assert abs(closed.closed_at - onset - timedelta(minutes=120)) <= timedelta(minutes=10)


def test_no_flag_in_quiet_weeks(bank):
    rng = np.random.default_rng(2)
    flags = []
    for day in range(14):
        flags += bank.advance(block(day, quiet_day(rng)))
    assert flags == []


def test_a_drop_of_one_client_is_flagged_and_a_holiday_is_not(bank):
    rng = np.random.default_rng(5)
    flags = []
    for day in range(14):
        counts = quiet_day(rng, 4.0, WORKDAY)
        active = counts["newly_active"].copy()
        if day == 9:
            active = rng.binomial(active, 0.2).astype(np.int32)  # everybody is away
        if day == 11:
            active[0, 540:900] = rng.binomial(active[0, 540:900], 0.4)
        counts["newly_active"] = active
        flags += bank.advance(block(day, counts))
    drops = [f for f in flags if f.kind is FlagKind.VOLUME_DROP]
    assert {f.client for f in drops} == {Client.OUTLOOK_IOS}
    assert drops[0].signal is Signal.ACTIVE_USERS
    assert drops[0].onset_at >= START + timedelta(days=11, minutes=500)
    assert drops[0].observed["users"] < drops[0].expected["users"]


def test_blind_minutes_are_neither_judged_nor_learned(bank):
    rng = np.random.default_rng(6)
    flags = []
    for day in range(12):
        counts = quiet_day(rng)
        blind = None
        if day == 10:
            blind = slice(600, 960)
            counts = {k: v.copy() for k, v in counts.items()}
            for values in counts.values():
                values[:, 600:960] = 0
        flags += bank.advance(block(day, counts, blind=blind))
    assert flags == []


def test_a_code_that_rises_from_nothing_is_flagged_at_once(bank):
    rng = np.random.default_rng(7)
    flags = []
    for day in range(4):
        counts = quiet_day(rng)
        codes = {}
        if day == 3:
            met = np.zeros(1440, np.int32)
            met[700:705] = 1
            codes = {(1, 90033): met}
        flags += bank.advance(block(day, counts, codes=codes))
    new = [f for f in flags if f.kind is FlagKind.NEW_ERROR]
    assert new
    assert new[0].client is Client.OWA
    assert new[0].error_code == 90033
    assert new[0].family is OutcomeFamily.SERVICE


def test_a_drop_detector_forgets_nothing_over_a_snapshot():
    one, two = VolumeDrop(), VolumeDrop()
    for t in range(9 * 1440):
        one.learn_one({"t": t, "a": 3 + t % 4})
    two.restore(one.snapshot())
    for t in range(9 * 1440, 9 * 1440 + 120):
        sample = {"t": t, "a": 1}
        assert one.score_one(sample) == two.score_one(sample)
        one.learn_one(sample)
        two.learn_one(sample)
    assert one.snapshot() == two.snapshot()


def by_the_hour(whole):
    for hour in range(24):
        span = slice(60 * hour, 60 * hour + 60)
        yield replace(
            whole,
            start=whole.start + timedelta(hours=hour),
            minutes=60,
            counts={name: values[:, span] for name, values in whole.counts.items()},
            codes={k: v[span] for k, v in whole.codes.items() if v[span].any()},
            completeness={k: v[span] for k, v in whole.completeness.items()},
        )


def test_hours_may_come_one_by_one_or_by_the_day():
    rng = np.random.default_rng(9)
    settings = BankSettings(1.0, {90033: OutcomeFamily.SERVICE})
    days, hours = TenantBank("t", settings), TenantBank("t", settings)
    flags: dict[TenantBank, list[object]] = {days: [], hours: []}
    for day in range(4):
        counts, codes = quiet_day(rng), {}
        if day == 3:
            n = counts["users"]
            counts["newly_failing_service"][0, 600:720] = rng.binomial(n[0, 600:720], 0.4)
            codes = {(1, code): np.zeros(1440, np.int32) for code in (50000, 90033)}
            codes[1, 50000][1300] = 1
            codes[1, 90033][700:705] = 1
        whole = block(day, counts, codes=codes)
        flags[days] += days.advance(whole)
        for part in by_the_hour(whole):
            flags[hours] += hours.advance(part)
    told = {
        bank: [(f.flag_id, f.revision, f.score, f.detector) for f in found]
        for bank, found in flags.items()
    }
    assert told[days] == told[hours]
    assert len(told[days]) >= 4


def test_retries_raise_by_themselves(bank):
    rng = np.random.default_rng(1)
    flags = []
    for day in range(4):
        counts = quiet_day(rng)
        n = counts["users"]
        counts["newly_pressing"] = rng.binomial(n, 0.01).astype(np.int32)
        if day == 3:
            counts["newly_pressing"][0, 600:660] = rng.binomial(n[0, 600:660], 0.3)
        flags += bank.advance(block(day, counts))
    assert {(f.kind, f.client, f.detector) for f in flags} == {
        (FlagKind.RETRY_SURGE, Client.OUTLOOK_IOS, "retry_pressure")
    }
    assert flags[0].alarm_at - START - timedelta(days=3, hours=10) <= timedelta(minutes=15)


def test_every_group_of_lanes_has_a_say_in_the_joint_evidence(bank):
    rng = np.random.default_rng(7)
    for day in range(9):
        met = np.zeros(1440, np.int32)
        met[100 * day + 300] = 1
        bank.advance(block(day, quiet_day(rng, 4.0, WORKDAY), codes={(1, 90033): met}))
    parts, lanes = bank._parts(), bank.roster.lanes()
    weights = bank.together.members(parts, lanes).weights.sum(axis=1)
    edges = np.cumsum([0, *(len(lanes[name]) for name in parts)])
    said = {
        name: float(weights[a:b].sum())
        for name, a, b in zip(parts, edges[:-1], edges[1:], strict=True)
    }
    assert {name for name, weight in said.items() if weight > 0.0} == {
        "failures", "retries", "codes", "users",
    }  # fmt: skip
    assert said["retries"] > 0.9
    assert said["codes"] > 0.3


def test_accesses_of_programs_are_not_judged_and_those_of_people_are(bank):
    rng = np.random.default_rng(8)
    mail = tuple(c._replace(source=Source.EXCHANGE_AUDIT) for c in (IOS, OWA))
    feed = (IOS.tenant, Source.EXCHANGE_AUDIT)
    flags = []
    for day in range(24):
        people = 5.0 if day % 7 in (5, 6) else 20.0
        n = rng.poisson(np.stack([people * WORKDAY, np.full(1440, 6.0)])).astype(np.int32)
        weight = 3 * n
        if day == 23:
            weight[:, 700:900] //= 20
        counts = {"users": n, "newly_active": n, "weight": weight}
        seen = {"completeness": {feed: np.ones(1440, np.float32)}, "settle": {feed: (60.0, 300.0)}}
        flags += bank.advance(replace(block(day, counts, mail), **seen))
    raised = {(f.client, f.signal) for f in flags}
    assert raised == {(Client.OUTLOOK_IOS, Signal.ACCESS_VOLUME)}
