"""Sign-ins from Microsoft Graph on loopback: each once, late ones too, whatever happens."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from connectors.sources.graph_signins import signins
from pipeline.model.vocabulary import Source
from tests.live_sources.graph_tenant import (
    HOUR,
    MINUTE,
    START,
    TRAIL,
    Collector,
    names_of,
    rows_of,
    signed_in,
    tenant,
    traffic,
)
from tests.services.server import Faults
from tests.unit.connectors import vendor_records as v

DAY = 24 * HOUR
SETTLED = timedelta(minutes=150)
FAULTS = {"throttled": 0.05, "failing": 0.02, "hung_up": 0.02, "cut": 0.02}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_record_comes_once_whatever_fails_and_however_often_the_collector_is_killed(seed):
    with tenant(faults=Faults(seed=seed, **FAULTS), slow=0.4) as world:
        world.graph.entra.lifetime = 1200
        expected = traffic(world.graph, START - HOUR, 4, 400, seed)
        collector = Collector(world, world.signins, killed=0.1, seed=seed)
        collector.run(START + 4 * HOUR + SETTLED, every=3 * MINUTE)
        assert Counter(collector.names) == Counter(dict.fromkeys(expected, 1))
        assert collector.kills > 5
        assert all(world.graph.faults.dealt.values())
        assert len(world.graph.entra.issued) > 10


def test_after_each_single_poll_a_new_process_goes_on_without_loss_or_repetition():
    with tenant() as world:
        expected = traffic(world.graph, START - HOUR, 2, 600)
        collector = Collector(world, world.signins)
        while world.clock.now() < START + HOUR + SETTLED:
            collector.source = world.signins()
            world.clock.advance(max(collector.poll(), 2 * MINUTE))
        assert Counter(collector.names) == Counter(dict.fromkeys(expected, 1))


def test_what_could_be_seen_in_time_is_never_behind_the_cursor_unread():
    with tenant(faults=Faults(seed=9, **FAULTS)) as world:
        expected = traffic(world.graph, START - HOUR, 3, 300)
        collector = Collector(world, world.signins, killed=0.1)
        while world.clock.now() < START + 2 * HOUR:
            told = len(collector.polls)
            world.clock.advance(max(collector.poll(), MINUTE))
            if len(collector.polls) > told:
                reached, given = collector.polls[-1].complete_to, set(collector.names)
                due = {
                    n for n, (at, seen) in expected.items() if seen - at < TRAIL and at < reached
                }
                assert due <= given
                assert due


def test_a_record_that_appears_late_is_found_and_told_with_no_other():
    with tenant() as world:
        late = {0: 2, 1: 12, 2: 25, 3: 60, 4: 100, 5: 120}
        for number, minutes in late.items():
            at = START + timedelta(minutes=5, seconds=number)
            world.graph.add("signIns", signed_in(number, at), minutes * MINUTE)
        collector = Collector(world, world.signins).run(START + 3 * HOUR, every=2 * MINUTE)
        told = [p for p in collector.polls if p.received]
        assert sum(p.received for p in told) == 6
        # With the first reading, at half an hour, and at two hours.
        assert [p.received for p in told] == [1, 2, 3]


def test_a_record_that_comes_again_with_another_outcome_is_told_again_and_only_then():
    with tenant() as world:
        at = START + MINUTE
        first = signed_in(1, at, status={"errorCode": 50140})
        world.graph.add("signIns", first, MINUTE, until=20 * MINUTE)
        world.graph.add("signIns", {**first, "status": {"errorCode": 0}}, 20 * MINUTE)
        # A risk that was found later is no other outcome.
        world.graph.add("signIns", {**first, "riskState": "atRisk"}, 25 * MINUTE)
        collector = Collector(world, world.signins).run(START + 3 * HOUR, every=2 * MINUTE)
        assert [code for _, code in collector.names] == [50140, 0]


def test_only_the_looked_for_fields_are_asked_for_and_the_events_are_those_of_whole_records():
    with tenant(page=40) as world:
        for number in range(120):
            at = START + timedelta(seconds=number)
            kinds = ["interactiveUser" if number % 3 == 0 else "nonInteractiveUser"]
            record = signed_in(number, at, signInEventTypes=kinds)
            if number % 10 == 0:
                record |= {"userId": "", "appId": v.guid(number), "resourceId": None}
            world.graph.add("signIns", record)
        world.clock.advance(20 * MINUTE)
        by_fields = Collector(world, world.signins)
        by_fields.run(START + 40 * MINUTE)
        asked = [r.query for r in world.graph.requests if "$filter" in r.query]
        assert {q["$select"] for q in asked} == {",".join(signins("beta").fields)}
        assert {q["$top"] for q in asked} == {"1000"}
        assert {r.headers["prefer"] for r in world.graph.requests} == {
            "include-unknown-enum-members"
        }
        world.graph.selects = False
        world.budget = None
        world.graph.limit = None
        whole = Collector(world, lambda: world.signins(lookback=HOUR))
        whole.run(START + 41 * MINUTE)
        assert whole.cursor["whole"]

        def key(row):
            return row["event_id"]

        assert sorted(rows_of(by_fields.polls), key=key) == sorted(rows_of(whole.polls), key=key)
        assert len(by_fields.names) == 120


def test_beta_tells_both_kinds_and_leaves_machines_out():
    with tenant() as world:
        kinds = ["interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"]
        for number, kind in enumerate(kinds):
            record = signed_in(number, START, signInEventTypes=[kind])
            world.graph.add("signIns", {**record, "isInteractive": number == 0})
        collector = Collector(world, world.signins).run(START + 10 * MINUTE)
        assert sorted(r["source"] for r in rows_of(collector.polls)) == [
            Source.ENTRA_SIGNIN,
            Source.ENTRA_SIGNIN_NONINTERACTIVE,
        ]
        assert not collector.source.remark


def test_one_kind_can_be_read_alone():
    with tenant() as world:
        for number, kind in enumerate(["interactiveUser", "nonInteractiveUser"]):
            record = signed_in(number, START, signInEventTypes=[kind], isInteractive=number == 0)
            world.graph.add("signIns", record)
        alone = Collector(world, lambda: world.signins(kinds=("nonInteractiveUser",)))
        alone.run(START + 10 * MINUTE)
        assert [r["source"] for r in rows_of(alone.polls)] == [Source.ENTRA_SIGNIN_NONINTERACTIVE]


def test_v1_tells_interactive_sign_ins_only_and_says_so():
    with tenant() as world:
        for number in range(30):
            world.graph.add("signIns", signed_in(number, START + number * MINUTE / 10))
        collector = Collector(world, lambda: world.signins(version="v1.0"))
        collector.run(START + 15 * MINUTE)
        assert {r["source"] for r in rows_of(collector.polls)} == {Source.ENTRA_SIGNIN}
        assert {r["tenant"] for r in rows_of(collector.polls)} == {v.TENANT}
        assert len(collector.names) == 10
        assert "interactive sign-ins only" in collector.source.remark
        assert 'version = "beta"' in collector.source.remark


def test_a_quiet_tenant_is_asked_seldom_and_never_more_often_than_graph_allows():
    with tenant(faults=Faults()) as world:
        traffic(world.graph, START - 4 * HOUR, 5, 200)
        collector = Collector(world, lambda: world.signins(4 * HOUR)).run(START + 5 * MINUTE)
        before = len(world.graph.requests)
        collector.errors.clear()
        collector.run(START + HOUR)
        assert not collector.errors
        # One first reading in 30 s, and two more of every five minutes.
        assert 110 < len(world.graph.requests) - before <= 110 + 2 * 11 + 5


def test_what_two_sources_share_is_one_budget():
    with tenant(page=5) as world:
        traffic(world.graph, START - 2 * HOUR, 2, 200)
        collectors = [Collector(world, world.signins), Collector(world, world.audits, seed=2)]
        answers = []
        graph_throttle = world.graph.throttle
        world.graph.throttle = lambda: answers.append(1) or graph_throttle()
        while world.clock.now() < START + 20 * MINUTE:
            waits = [c.poll() for c in collectors]
            world.clock.advance(max(min(waits), timedelta(milliseconds=500)))
        assert any("used up" in str(e) for c in collectors for e in c.errors)
        assert not answers


def test_an_unusable_record_is_set_aside_once_and_named_by_its_place_only():
    with tenant() as world:
        record = signed_in(1, START)
        record["createdDateTime"] = stamp = "2026-03-19T08:00:00Z"
        world.graph.add("signIns", {**record, "status": None, "userId": None})
        world.graph.add("signIns", {**record, "id": None})
        world.graph.add("signIns", {**record, "id": None, "appId": v.guid(8)})
        world.graph.add("signIns", signed_in(3, START))
        kept = world.graph._kept["signIns"]
        kept[0].record["createdDateTime"] = f"yesterday, says {v.USER}"
        collector = Collector(world, world.signins).run(START + 3 * HOUR, every=2 * MINUTE)
        assert sum(p.received for p in collector.polls) == 4
        rejects = [r for p in collector.polls for r in p.rejects]
        assert len(rejects) == 1
        assert rejects[0].path.startswith("graph_signins 2026-03-19T0")
        shown = repr([rejects, [p.cursor for p in collector.polls], rows_of(collector.polls)])
        assert not [s for s in (v.USER, "Adele", v.ADDRESS, "yesterday") if s in shown]
        assert stamp  # the others are sound


def test_above_the_bound_of_what_is_remembered_records_come_again_and_none_is_lost():
    with tenant() as world:
        expected = traffic(world.graph, START - HOUR, 2, 600)
        collector = Collector(world, lambda: _small(world), killed=0.05)
        collector.run(START + HOUR + SETTLED, every=3 * MINUTE)
        assert set(collector.names) == set(expected)
        assert len(collector.names) > len(expected)
        assert all(_digests(p.cursor) <= 100 for p in collector.polls)


def _small(world):
    source = world.signins()
    source._most_digests = 100
    return source


def _digests(cursor):
    return sum(len(text) * 3 // 4 // 8 for text in cursor["seen"].values())


def test_the_cursor_stays_small_and_knows_no_name():
    with tenant() as world:
        traffic(world.graph, START - HOUR, 5, 400)
        collector = Collector(world, world.signins).run(START + 4 * HOUR, every=4 * MINUTE)
        assert max(_digests(p.cursor) for p in collector.polls) < 400 * 3
        assert len(str(collector.cursor)) < 400 * 3 * 11 + 2000
        shown = repr([p.cursor for p in collector.polls])
        assert not [s for s in (v.USER, "Adele", v.ADDRESS, v.guid(3)) if s in shown]


def test_a_poll_is_pure_in_its_cursor():
    with tenant() as world:
        traffic(world.graph, START - HOUR, 1, 600)
        world.budget = world.graph.limit = None
        source = world.signins()
        first = source.poll(None)
        source.poll(first.cursor)
        again = source.poll(None)
        assert names_of([again]) == names_of([first])
        assert again.cursor == first.cursor
