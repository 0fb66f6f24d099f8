"""People at work without their usual client: habits, lanes, and the flag that names both ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.bank import BankSettings, TenantBank
from detectors.flags import JOINT
from detectors.habits import MAIL_CLIENTS, Habits
from detectors.shift import ShiftLanes, ShiftSettings
from detectors.single import ClientShift
from pipeline.model.vocabulary import Client, FlagKind, Service, Source
from pipeline.model.window import COUNT_COLUMNS, USER_HOUR_SCHEMA, Cell, WindowBlock
from pipeline.report.explain import explain
from pipeline.report.explain_text import explanation_text
from pipeline.report.trace import read_traces

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FIRST_HOUR = int(MONDAY.timestamp()) // 3600
IOS, OWA = Client.OUTLOOK_IOS, Client.OWA
CLASSIC, NEW = Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_WINDOWS_NEW
CLIENTS = (IOS, OWA, CLASSIC, NEW)
PEOPLE = np.arange(1, 121, dtype=np.uint64)
WORK = range(7, 17)


def sighted(seen):
    """(user, client) pairs as the arrays that habits are told."""
    users = np.concatenate([np.asarray(u, np.uint64) for u in seen.values()])
    at = np.concatenate([np.full(len(u), MAIL_CLIENTS.index(c)) for c, u in seen.items()])
    return users, at


def a_day(rng, hour, *, leaves=None, to=OWA, share=1.0, people=PEOPLE):
    """Who is seen in an hour: half hold iOS and classic Outlook, some look into the web."""
    if hour % 24 not in WORK or (hour // 24) % 7 >= 5:
        people = people[:0]
    phones = people[rng.random(len(people)) < 0.8]
    desks = people[rng.random(len(people)) < 0.9]
    web = people[rng.random(len(people)) < 0.1]
    seen = {IOS: phones, CLASSIC: desks, OWA: web, NEW: people[:0]}
    if leaves is not None:
        gone = rng.random(len(seen[leaves])) < share
        seen[to] = np.union1d(seen[to], seen[leaves][gone])
        seen[leaves] = seen[leaves][~gone]
    return seen


def learned(days=10):
    """Habits of two working weeks and a half, up to the first hour of a Thursday."""
    rng = np.random.default_rng(1)
    habits = Habits()
    for hour in range(days * 24 + 1):
        habits.take(FIRST_HOUR + hour, *sighted(a_day(rng, hour)), hold=False)
    return habits, rng


def at(client):
    return MAIL_CLIENTS.index(client)


def test_whoever_is_missed_is_found_where_they_are():
    habits, rng = learned()
    usual = habits.take(FIRST_HOUR + 10 * 24 + 9, *sighted(a_day(rng, 9)), hold=False)
    seen = a_day(rng, 10, leaves=IOS)
    told = habits.take(FIRST_HOUR + 10 * 24 + 10, *sighted(seen), hold=False)
    assert usual.absent[at(IOS)].sum() < 0.35 * usual.at_work[at(IOS)].sum()
    assert told.absent[at(IOS)].sum() == told.at_work[at(IOS)].sum() > 100
    assert told.found[at(IOS), at(OWA)] >= 0.7 * told.at_work[at(IOS)].sum()
    assert told.absent[at(CLASSIC)].sum() < 0.25 * told.at_work[at(CLASSIC)].sum()


def test_an_upgrade_within_a_product_line_leaves_nobody_missing():
    habits, rng = learned()
    seen = a_day(rng, 10, leaves=CLASSIC, to=NEW)
    told = habits.take(FIRST_HOUR + 10 * 24 + 10, *sighted(seen), hold=False)
    assert told.absent[at(CLASSIC)].sum() < 0.25 * told.at_work[at(CLASSIC)].sum()


def test_a_holiday_is_not_ordinary_and_teaches_nothing():
    habits, rng = learned()
    before = habits.used.copy()
    for hour in range(241, 264):
        told = habits.take(
            FIRST_HOUR + hour, *sighted(a_day(rng, hour, people=PEOPLE[:20])), hold=False
        )
        assert told.ordinary is (hour % 24 not in WORK)
    habits.take(FIRST_HOUR + 264, *sighted(a_day(rng, 264)), hold=False)
    assert np.array_equal(habits.used, before)


@pytest.mark.parametrize(("hours", "changed"), [(24, False), (21 * 24, True)])
def test_what_is_amiss_teaches_nothing_for_ten_days_at_most(hours, changed):
    habits, rng = learned()
    before = habits.used.sum(axis=0)[at(OWA)]
    for hour in range(241, 240 + hours):
        seen = a_day(rng, hour, leaves=IOS)
        habits.take(FIRST_HOUR + hour, *sighted(seen), hold=True)
    habits.take(FIRST_HOUR + 240 + hours, *sighted(a_day(rng, 240)), hold=False)
    assert bool(habits.used.sum(axis=0)[at(OWA)] > 2.0 * before) is changed


def test_lanes_equal_the_river_class_hour_by_hour():
    rng = np.random.default_rng(3)
    hours, lanes = 21 * 24, 3
    at_work = rng.poisson((8, 20, 30), (hours, lanes, 3)).astype(float)
    rate = np.broadcast_to((0.4, 0.3, 0.1), at_work.shape).copy()
    rate[18 * 24 + 8 : 18 * 24 + 12, 1] += 0.3
    absent = rng.binomial(at_work.astype(int), rate).astype(float)
    many = ShiftLanes(ShiftSettings())
    many.grow(lanes)
    found = []
    for hour in range(hours):
        told = at_work[hour], absent[hour], np.ones(lanes, bool)
        found += many.advance(FIRST_HOUR + hour, *told, 16.0)
    for lane in range(lanes):
        one = ClientShift(threshold=16.0)
        changes = []
        for hour in range(hours):
            x = {"t": 60 * (FIRST_HOUR + hour)}
            x |= {f"n{k}": at_work[hour, lane, k] for k in range(3)}
            x |= {f"f{k}": absent[hour, lane, k] for k in range(3)}
            one.learn_one(x)
            changes += one.changes
        assert one.lanes.evidence.r[0] == pytest.approx(many.evidence.r[lane], rel=1e-9)
        mine = [c for c in found if c.lane == lane]
        assert [(c.onset, c.minute, c.end) for c in mine] == [
            (c.onset, c.minute, c.end) for c in changes
        ]
        assert bool(mine) is (lane == 1)


CELLS = tuple(Cell("t", Source.EXCHANGE_AUDIT, Service.EXCHANGE_ONLINE, c) for c in CLIENTS)


def block(day, seen_by_hour):
    rows = [
        (MONDAY + timedelta(days=day, hours=hour), str(client), user)
        for hour, seen in seen_by_hour.items()
        for client, users in seen.items()
        for user in users.tolist()
    ]
    hours, clients, users = zip(*rows, strict=True) if rows else ((), (), ())
    same = {"tenant": "t", "source": "exchange_audit", "service": "exchange_online"}
    columns = {name: [value] * len(rows) for name, value in same.items()}
    columns |= {"hour": hours, "client": clients, "user": users}
    ones = [1] * len(rows)
    table = pa.table(
        [
            pa.array(columns.get(f.name, ones if "failed" not in f.name else [0] * len(rows)))
            .cast(pa.string() if pa.types.is_dictionary(f.type) else f.type)
            .cast(f.type)
            for f in USER_HOUR_SCHEMA
            if f.name not in {"country", "network", "client_version", "code"}
        ],
        schema=pa.schema(
            [
                f
                for f in USER_HOUR_SCHEMA
                if f.name not in {"country", "network", "client_version", "code"}
            ]
        ),
    )
    feed = ("t", Source.EXCHANGE_AUDIT)
    return WindowBlock(
        start=MONDAY + timedelta(days=day),
        minutes=1440,
        cells=CELLS,
        counts={name: np.zeros((len(CELLS), 1440), np.int32) for name in COUNT_COLUMNS},
        codes={},
        completeness={feed: np.ones(1440, np.float32)},
        user_hours=table,
        settle={feed: (3600.0, 5400.0)},
    )


def judged(leaves, to, share):
    """Flags of seventeen days, and the minutes kept of them."""
    rng = np.random.default_rng(6)
    bank = TenantBank("t", BankSettings(1.0, {}))
    flags, minutes = [], []
    for day in range(17):
        move = {"leaves": leaves, "to": to, "share": share} if day == 16 else {}
        seen = {h: a_day(rng, day * 24 + h, **(move if h >= 9 else {})) for h in range(24)}
        flags += bank.advance(block(day, seen))
        minutes.append(bank.trace.take())
    return flags, pa.concat_tables(minutes)


def test_a_shift_is_flagged_with_the_client_left_and_the_one_turned_to():
    flags, _ = judged(IOS, OWA, 0.4)
    assert {f.kind for f in flags} == {FlagKind.CLIENT_SHIFT}
    assert {f.client for f in flags} == {IOS}
    first = flags[0]
    assert first.onset_at == MONDAY + timedelta(days=16, hours=9)
    assert first.alarm_at - first.onset_at <= timedelta(hours=3)
    assert first.raised_at == first.alarm_at + timedelta(minutes=1 + 90)
    assert first.observed["users"] > 1.5 * first.expected["users"]
    assert first.observed["owa"] > first.expected["owa"]
    assert "outlook_windows_new" not in first.observed


def test_a_move_within_a_product_line_is_no_shift():
    assert judged(CLASSIC, NEW, 0.4)[0] == []


def test_the_minutes_kept_of_a_shift_raise_it_again(tmp_path):
    flags, minutes = judged(IOS, OWA, 0.4)
    pq.write_table(minutes, tmp_path / "evidence.parquet")
    flag = flags[0]
    trace = read_traces(tmp_path, [flag.flag_id])[flag.flag_id]
    told = explain(flag, trace)
    assert flag.detector == "client_shift"
    assert told.score_again == pytest.approx(flag.score, rel=1e-6)
    assert told.onset_again == int(flag.onset_at.timestamp()) // 60
    assert "the same onset" in explanation_text(told)
    joint = explanation_text(explain(replace(flag, detector=JOINT, score=20.0), trace))
    assert "what several lanes say together, score 20" in " ".join(joint.split())
