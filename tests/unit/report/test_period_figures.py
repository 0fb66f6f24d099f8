"""The numbers of a period: each is counted once, parts add up, nothing unpleasant is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.ledger.store import Ledger
from pipeline.model.advisory import Answer, Symptom
from pipeline.model.clock import to_us
from pipeline.model.incident import AdvisoryMatch, IncidentState
from pipeline.model.vocabulary import Client, Verdict
from pipeline.report.periodic.from_folder import FolderOrigin
from pipeline.report.periodic.from_ledger import LedgerOrigin
from pipeline.report.periodic.origin import Blind, Watched
from pipeline.report.periodic.parts import rounded, shares
from pipeline.report.periodic.report import PeriodReport
from tests.unit.report.period_making import (
    DAYS,
    MARCH,
    SAMPLE,
    Held,
    at,
    day,
    fill,
    lonely,
    short_incident,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return SAMPLE.write_folder(tmp_path_factory.mktemp("period") / "out")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("period") / "ledger.sqlite")


@pytest.fixture(params=["folder", "ledger"])
def origin(request):
    path = request.getfixturevalue(request.param)
    made = FolderOrigin(path) if request.param == "folder" else LedgerOrigin(path)
    yield made
    made.close()


def now(origin, period, **more):
    return PeriodReport(origin, period, **more).now


def test_minutes_of_clients_add_up_to_the_incident(origin):
    found = now(origin, MARCH)
    assert found.lost_minutes == pytest.approx(SAMPLE.incident().user_minutes_lost)
    assert {c for where in found.minutes for c in where.clients} == set(SAMPLE.HURT)
    assert found.outage_minutes == pytest.approx(found.lost_minutes)


def test_minutes_of_days_add_up_to_the_month(origin):
    month = now(origin, MARCH)
    assert sum(month.by_day) == pytest.approx(month.lost_minutes)
    each = [now(origin, d).lost_minutes for d in DAYS]
    assert each == pytest.approx(month.by_day)
    assert [n for n, minutes in enumerate(each, 1) if minutes] == [19, 20, 21]


def test_the_written_minutes_add_up_as_well(origin):
    found = now(origin, day(19))
    told = sum(int(s.minutes.replace("\u202f", "")) for s in shares(found))
    assert told == round(found.lost_minutes)
    assert sum(rounded([1 / 3] * 7)) == 2


def test_both_origins_tell_the_same(folder, ledger):
    first, second = FolderOrigin(folder), LedgerOrigin(ledger)
    for period in (MARCH, day(19), day(9)):
        left, right = now(first, period), now(second, period)
        assert left.minutes == pytest.approx(right.minutes)
        assert [i.incident_id for i in left.incidents] == [i.incident_id for i in right.incidents]
        assert left.leads.known == right.leads.known
        assert left.blind == right.blind
        assert left.watched_hours == right.watched_hours
    second.close()


def test_an_incident_of_many_clients_without_a_timeline_is_told_of_them_together():
    found = now(Held(incidents=[short_incident("inc-1", at(5, 23), 2.0)]), day(5))
    ((where, minutes),) = found.minutes.items()
    assert where.clients == SAMPLE.HURT
    assert minutes == pytest.approx(SAMPLE.incident().user_minutes_lost / 2)


def test_an_incident_counts_in_each_period_that_it_touches():
    origin = Held(incidents=[short_incident("inc-1", at(5, 23), 2.0)])
    assert [len(now(origin, day(d)).incidents) for d in (4, 5, 6, 7)] == [0, 1, 1, 0]
    assert [now(origin, day(d)).carried for d in (5, 6)] == [0, 1]


def test_one_that_goes_on_reaches_every_later_period():
    going = short_incident("inc-1", at(5, 23), state=IncidentState.OPEN, resolved_at=None)
    origin = Held(incidents=[going])
    assert [len(now(origin, day(d)).incidents) for d in (4, 5, 20)] == [0, 1, 1]
    assert now(origin, day(20)).lost_minutes == 0.0


def test_what_was_taken_back_counts_in_no_number():
    gone = short_incident("inc-1", at(5, 3), state=IncidentState.RETRACTED)
    found = now(Held(incidents=[gone]), day(5))
    assert (found.incidents, found.lost_minutes) == ([], 0.0)
    assert [i.incident_id for i in found.retracted] == ["inc-1"]


def test_only_what_is_microsofts_counts_as_theirs():
    own = short_incident("inc-2", at(5, 3), verdict=Verdict.TENANT_CHANGE, user_minutes_lost=60.0)
    theirs = short_incident("inc-1", at(5, 3), user_minutes_lost=30.0)
    found = now(Held(incidents=[own, theirs]), day(5))
    assert (found.lost_minutes, found.outage_minutes) == (90.0, 30.0)
    assert len(found.outages) == 1


def matched(name, onset, lead, advisory="EX1"):
    """An incident whose advisory was published so many seconds after it was raised."""
    match = AdvisoryMatch(advisory, 0.9, (), lead, None, "api")
    return short_incident(name, onset, advisory=match)


def with_leads(*leads):
    incidents, advisories = [], []
    for n, lead in enumerate(leads):
        found = matched(f"inc-{n}", at(5, n), lead, f"EX{n}")
        incidents.append(found)
        advisories.append(lonely(f"EX{n}", found.raised_at + timedelta(seconds=lead)))
    return Held(incidents=incidents, advisories=advisories)


def test_the_median_has_the_late_ones_in_it():
    found = now(with_leads(3600.0, 600.0, -1200.0), day(5)).leads
    assert (found.median, found.known, found.late) == (600.0, [3600.0, 600.0, -1200.0], 1)
    assert now(with_leads(3600.0, -1200.0), day(5)).leads.median == 1200.0


def test_of_several_ids_of_one_outage_the_first_post_is_the_one_to_beat():
    found = matched("inc-1", at(5, 1), 600.0)
    found = replace(
        found, advisory=replace(found.advisory, relisted_as=("EX2",)),
    )  # fmt: skip
    first = lonely("EX1", found.raised_at + timedelta(seconds=600))
    second = lonely("EX2", found.raised_at + timedelta(days=9))
    leads = now(Held(incidents=[found], advisories=[second, first]), day(5)).leads
    assert [(r.advisory_id, r.seconds) for r in leads.rows] == [("EX1", 600.0)]


def test_outages_without_an_advisory_and_advisories_without_an_incident_are_told():
    held = Held(
        incidents=[short_incident("inc-1", at(5, 1))],
        advisories=[
            lonely("EX7", at(5, 8)),
            lonely("EX8", at(5, 9)),
            lonely("MO9", at(5, 9), symptom=Symptom.FEATURE),
            lonely("EX6", at(4, 8)),
        ],
        impacts=[SAMPLE.impact("EX7", Answer.CANNOT_TELL)],
    )
    leads = now(held, day(5)).leads
    assert [i.incident_id for i in leads.without] == ["inc-1"]
    assert [(a.advisory_id, a.answer) for a in leads.alone] == [
        ("EX7", "cannot_tell"),
        ("EX8", None),
    ]


def test_an_advisory_that_stands_beside_another_tenants_incident_is_no_miss():
    held = with_leads(600.0)
    (row,) = held.leads([])
    alone = replace(row, kind="unmatched_advisory", incident_id=None, tenants=(), raised_at=None)
    rows = [alone, alone, row]
    assert now(Held(incidents=held.incidents(at(1), at(31)), rows=rows), day(5)).leads.alone == ()


def test_an_incident_raised_late_has_its_lead_in_the_period_in_which_it_was_raised():
    late = matched("inc-1", at(5, 22), 600.0)
    late = replace(late, raised_at=at(6, 1))
    held = Held(incidents=[late], advisories=[lonely("EX1", at(6, 1, 10))])
    assert [len(now(held, day(d)).leads.rows) for d in (5, 6, 7)] == [0, 1, 0]
    assert [len(now(held, day(d)).incidents) for d in (5, 6)] == [1, 0]


def test_blind_hours_are_cut_to_the_period_and_told_once():
    gaps = (
        Blind("t", "entra_signin", at(4, 22), at(5, 3)),
        Blind("t", "entra_signin", at(5, 2), at(5, 4)),
        Blind("t", "exchange_audit", at(5, 23), at(6, 5)),
    )
    sources = ("entra_signin", "exchange_audit", "entra_directory_audit")
    held = Held(watched=Watched(((at(1), at(31)),), sources, gaps))
    found = {h.source: (h.blind_hours, h.gaps) for h in now(held, day(5)).health}
    assert found == {
        "entra_signin": (4.0, 1),
        "exchange_audit": (1.0, 1),
        "entra_directory_audit": (0.0, 0),
    }


def test_what_nobody_watched_is_told():
    held = Held(watched=Watched(((at(4), at(5, 6)), (at(5, 8), at(5, 20))), ("entra_signin",)))
    found = now(held, day(5))
    assert found.watched_hours == 18.0
    assert found.unwatched == [(at(5, 6), at(5, 8)), (at(5, 20), at(6))]
    assert not now(held, day(7)).watched


def test_a_ledger_is_blind_in_gaps_and_in_hours_that_are_not_half_complete(ledger, tmp_path):
    thin = fill(tmp_path / "thin.sqlite", gap=False)
    for path in (ledger, thin):
        origin = LedgerOrigin(path)
        found = now(origin, day(9))
        assert [(h.source, h.blind_hours, h.gaps) for h in found.health] == [
            ("exchange_audit", 3.0, 1)
        ]
        origin.close()


def test_refused_deliveries_of_the_period_are_counted_and_what_waits_is_told(ledger):
    origin = LedgerOrigin(ledger)
    found = now(origin, day(19)).deliveries
    assert [r.sink for r in found.refusals] == ["splunk.main"] * 2
    assert found.waiting == {"splunk.main": 2}
    assert len(now(origin, MARCH).deliveries.refusals) == 3
    assert now(origin, day(20)).deliveries.refusals == ()
    origin.close()


def test_one_tenant_alone_is_told_of(ledger):
    for tenant, number in ((SAMPLE.TENANT, 1), ("another", 0)):
        origin = LedgerOrigin(ledger, tenant=tenant)
        found = now(origin, day(19), tenant=tenant)
        assert (len(found.incidents), len(found.advisories)) == (number, 2 * number)
        assert bool(found.lost_minutes) == bool(number)
        assert len(found.deliveries.refusals) == 2 * number
        origin.close()


def test_a_coarse_lane_tells_of_its_one_finer_client(tmp_path):
    lost = SAMPLE.incident(clients=(Client.OUTLOOK_MAC_NEW, Client.OWA))
    table = SAMPLE.timeline()
    names = ["outlook_mac" if c == "outlook_mac_new" else c for c in table["client"].to_pylist()]
    table = table.set_column(
        table.column_names.index("client"), table.schema.field("client"), [names]
    )
    out = SAMPLE.write_folder(tmp_path / "out", incidents=[lost], timeline=table)
    found = now(FolderOrigin(out), MARCH)
    assert {w.clients[0] for w in found.minutes} == {Client.OUTLOOK_MAC_NEW, Client.OWA}
    assert found.lost_minutes == pytest.approx(lost.user_minutes_lost)


def test_running_hours_count_when_they_are_over_and_are_blind_when_they_had_time(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    hours = [int(at(5, h).timestamp()) for h in range(12)]
    lanes = [["entra_signin", "exchange_online", "owa", "active_users", *[[1.0] * 12] * 4]]
    body = {
        "at": to_us(at(5, 11, 30)), "hours": hours, "cells": [], "lanes": lanes, "feeds": [],
        "sources": {"entra_signin": [1.0] * 4 + [0.1] * 8}, "logs": {}, "completeness": {},
        "gaps": [["entra_signin", hours[1], hours[1] + 1800, 9.0]],
    }  # fmt: skip
    with ledger.transaction():
        ledger.put_now("t", body, 0)
    ledger.close()
    origin = LedgerOrigin(path)
    found = now(origin, day(5))
    assert found.watched == [(at(5), at(5, 11))]
    # The hour from four o'clock had its six hours; those behind it may still fill up.
    assert [(b.start, b.end) for b in found.blind] == [
        (at(5, 1), at(5, 1, 30)),
        (at(5, 4), at(5, 5)),
    ]
    origin.close()
