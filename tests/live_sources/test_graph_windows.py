"""Windows of a report of Microsoft Graph: catching up, splitting, clocks, and what is missing."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from connectors.http.budget import Budget
from connectors.sources.graph_cursor import Place
from connectors.sources.graph_listing import application_budget, reports_budget
from pipeline.model.clock import parse_rfc3339
from pipeline.model.errors import AuthError, RetriableError, StateError, ThrottledError
from tests.live_sources.graph_tenant import (
    HOUR,
    MINUTE,
    SECRETS,
    START,
    TRAIL,
    Collector,
    changed,
    name_of,
    names_of,
    signed_in,
    tenant,
    traffic,
)
from tests.services.server import Faults
from tests.services.server import Reply as Answer
from tests.unit.connectors import vendor_records as v

DAY = 24 * HOUR
SETTLED = timedelta(minutes=150)


def listed(requests):
    """First pages and next pages, by listing: how deep each was paged."""
    depths = []
    for request in requests:
        if "$filter" in request.query:
            depths.append(1)
        else:
            depths[-1] += 1
    return depths


def test_after_an_outage_of_three_days_everything_is_caught_up_in_short_windows():
    with tenant(page=100) as world:
        expected = traffic(world.graph, START - HOUR, 2, 400)
        collector = Collector(world, world.signins).run(START + 30 * MINUTE, every=MINUTE)
        expected |= traffic_of(world, START + HOUR, 71, 40)
        world.clock.advance(3 * DAY)
        before = len(world.graph.requests)
        began = world.clock.now()
        while parse_rfc3339(collector.cursor["at"][0]) < began - TRAIL:
            world.clock.advance(max(collector.poll(), timedelta(milliseconds=200)))
        asked = world.graph.requests[before:]
        assert max(listed(asked)) <= 3
        # 3,000 records on pages of 100 are 30 pages; what was read before is read again once.
        assert len(asked) < 120
        before = len(world.graph.requests)
        collector.run(world.clock.now() + SETTLED, every=5 * MINUTE)
        assert Counter(collector.names) == Counter(dict.fromkeys(expected, 1))
        later = [r.query["$filter"] for r in world.graph.requests[before:] if "$filter" in r.query]
        assert min(parse_rfc3339(f.split()[2]) for f in later) > began - 3 * HOUR


def traffic_of(world, start, hours, an_hour):
    """More sign-ins, of other numbers."""
    expected = {}
    for number in range(hours * an_hour):
        record = signed_in(10**6 + number, start + timedelta(hours=number / an_hour))
        world.graph.add("signIns", record)
        expected[name_of(record)] = None
    return expected


def test_what_is_old_enough_when_it_is_first_read_is_read_once():
    with tenant() as world:
        for number in range(300):
            world.graph.add("signIns", signed_in(number, START - 20 * HOUR + number * MINUTE))
        collector = Collector(world, lambda: world.signins(lookback=DAY))
        collector.run(START + 10 * MINUTE)
        filters = [r.query["$filter"] for r in world.graph.requests if "$filter" in r.query]
        starts = [f.split()[2] for f in filters if parse_rfc3339(f.split()[2]) < START - 3 * HOUR]
        assert len(starts) == len(set(starts))
        assert len(collector.names) == 300


def test_a_window_with_too_many_pages_is_split_until_it_fits():
    with tenant(page=20, limit=None) as world:
        world.budget = None
        for number in range(600):
            world.graph.add("signIns", signed_in(number, START + number * timedelta(seconds=0.5)))
        world.clock.advance(2 * HOUR)
        collector = Collector(world, lambda: world.signins(lookback=3 * HOUR))
        while not collector.polls or collector.polls[-1].complete_to < START + HOUR:
            world.clock.advance(max(collector.poll(), timedelta(milliseconds=200)))
        # 30 pages if every window were full and none too long.
        assert len(world.graph.requests) < 100
        assert max(listed(world.graph.requests)) <= 3
        assert sorted(collector.names) == sorted({(v_id(n), v.CODES[n % 7]) for n in range(600)})


def v_id(number):
    return name_of({"id": v.guid(number), "status": {"errorCode": 0}})[0]


def test_windows_widen_again_when_the_night_comes():
    with tenant(page=20) as world:
        for number in range(200):
            world.graph.add("signIns", signed_in(number, START + number * timedelta(seconds=1)))
        world.clock.advance(DAY)
        collector = Collector(world, lambda: world.signins(lookback=DAY)).run(START + 25 * HOUR)
        assert collector.cursor["width"] >= 3600
        assert len(collector.names) == 200


def test_more_in_one_second_than_graph_gives_is_told_as_missing_and_what_came_is_kept():
    with tenant(page=10) as world:
        for number in range(80):
            world.graph.add("signIns", signed_in(number, START + timedelta(milliseconds=number)))
        for number in range(80, 90):
            world.graph.add("signIns", signed_in(number, START + number * timedelta(seconds=1)))
        collector = Collector(world, world.signins).run(START + HOUR, every=MINUTE)
        missing = collector.polls[-1].missing
        assert [(m.start, m.end) for m in missing] == [(START, START + timedelta(seconds=1))]
        assert "Event Hubs" in missing[0].reason
        assert len(collector.names) == 50 + 10
        # The pages hold more by the time of a later reading: what was missing is filled.
        world.graph.page = 1000
        collector.run(START + 3 * HOUR, every=5 * MINUTE)
        assert not collector.polls[-1].missing
        assert len(set(collector.names)) == len(collector.names) == 90


def test_what_entra_keeps_no_more_is_told_as_missing_for_eight_days():
    with tenant() as world:
        for day in range(40):
            world.graph.add("signIns", signed_in(day, START + day * DAY + 12 * HOUR))
        collector = Collector(world, world.signins).run(START + MINUTE)
        reached = collector.polls[-1].complete_to
        world.clock.advance(40 * DAY)
        collector.run(START + 40 * DAY + 15 * MINUTE)
        (missing,) = collector.polls[-1].missing
        assert missing.start == reached
        assert timedelta(0) <= missing.end - (START + 10 * DAY) < 2 * MINUTE
        assert "older than the 30 days that Entra keeps" in missing.reason
        assert len(collector.names) == 30
        world.clock.advance(7 * DAY)
        collector.poll()
        assert collector.polls[-1].missing == (missing,)
        world.clock.advance(DAY + MINUTE)
        collector.poll()
        assert not collector.polls[-1].missing


def test_without_a_licence_directory_audits_are_kept_for_seven_days():
    with tenant() as world:
        world.graph.kept = 7 * DAY
        source = world.audits(kept=timedelta(days=7))
        first = source.poll(None)
        world.clock.advance(9 * DAY)
        (missing,) = source.poll(first.cursor).missing
        assert missing.end - missing.start == 2 * DAY + TRAIL
        assert "7 days" in missing.reason


@pytest.mark.parametrize("ahead", [-3 * HOUR, -20 * MINUTE, 20 * MINUTE, 3 * HOUR])
def test_a_clock_of_ours_that_is_wrong_neither_overtakes_nor_loses_a_record(ahead):
    class Ours:
        def __init__(self, clock):
            self.clock, self.wrong = clock, ahead

        def now(self):
            return self.clock.now() + self.wrong

    with tenant() as world:
        expected = traffic(world.graph, START - HOUR, 3, 100)
        world.ours = Ours(world.clock)
        source, cursor, given = world.signins(lookback=4 * HOUR), None, []
        while world.clock.now() < START + 6 * HOUR:
            try:
                poll = source.poll(cursor)
            except ThrottledError as error:
                world.clock.advance(timedelta(seconds=error.retry_after))
                continue
            assert poll.complete_to <= world.clock.now() - TRAIL + timedelta(seconds=1)
            given, cursor = given + names_of([poll]), poll.cursor
            # A process that has not heard the service's clock yet, every now and then.
            source = world.signins(lookback=4 * HOUR)
            world.clock.advance(5 * MINUTE)
        assert set(given) <= set(expected)
        assert len(given) == len(set(given))
        due = {n for n, (at, _) in expected.items() if at > START - 50 * MINUTE}
        assert due <= set(given)


def test_a_clock_that_is_ahead_is_corrected_by_the_first_answer():
    with tenant() as world:
        for number in range(12):
            at = START - 12 * MINUTE + number * MINUTE
            world.graph.add("signIns", signed_in(number, at), late=timedelta(seconds=30))
        world.graph.skew = -3 * HOUR  # what our clock shows is three hours ahead of theirs
        start = Place([START - 12 * MINUTE] * 3).cursor()
        world.graph.clock.advance(3 * HOUR)
        poll = world.signins().poll(start)
        assert poll.complete_to == START - TRAIL
        assert poll.cursor["at"][1] == stamped(START - 12 * MINUTE)
        assert len(world.graph.requests) == 1


def test_a_clock_that_was_set_back_by_hours_is_told():
    with tenant() as world:
        source = world.signins()
        poll = source.poll(None)
        world.clock.advance(-HOUR)
        with pytest.raises(RetriableError, match="still to come by this machine's clock; set the"):
            source.poll(poll.cursor)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_nights_when_clocks_are_changed_have_all_their_hours(day, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - HOUR
        with tenant(start=start + 5 * HOUR) as world:
            expected = {}
            for number in range(300):
                record = signed_in(number, start + number * MINUTE)
                world.graph.add("signIns", record)
                expected[name_of(record)] = record
            collector = Collector(world, lambda: world.signins(lookback=6 * HOUR))
            collector.run(start + 9 * HOUR, every=5 * MINUTE)
            assert Counter(collector.names) == Counter(dict.fromkeys(expected, 1))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def three_pages(world):
    """75 sign-ins within the first window of a source that looks back 50 minutes."""
    for number in range(75):
        at = START - 50 * MINUTE + number * timedelta(seconds=7)
        world.graph.add("signIns", signed_in(number, at))


def test_a_record_that_newcomers_push_onto_the_next_page_is_told_once():
    with tenant(page=30) as world:
        three_pages(world)
        answer, last, given = world.graph.answer, [], []

        def shifting(request):
            reply = answer(request)
            records = reply.document["value"]
            records[:0], last[:] = last, records[-1:]
            given.append(len(records))
            return reply

        world.graph.answer = shifting
        assert world.signins(lookback=50 * MINUTE).poll(None).received == 75
        assert given[:3] == [30, 31, 16]


def test_a_token_that_runs_out_between_two_pages_is_renewed_there():
    with tenant(page=30, slow=100.0) as world:
        world.graph.entra.lifetime = 300
        three_pages(world)
        poll = world.signins(lookback=50 * MINUTE).poll(None)
        assert poll.received == 75
        assert len(world.graph.entra.issued) > 1


def test_a_token_that_is_taken_back_between_two_pages_is_renewed_there():
    with tenant(page=30) as world:
        three_pages(world)
        answer = world.graph.answer

        def revoking(request):
            if len(world.graph.requests) == 2:
                world.graph.entra.bearer = once_refused(world.graph.entra)
            return answer(request)

        world.graph.answer = revoking
        assert world.signins(lookback=50 * MINUTE).poll(None).received == 75


def once_refused(entra):
    real, told = type(entra).bearer, []

    def bearer(request, audience):
        told.append(1)
        return None if len(told) == 1 else real(entra, request, audience)

    return bearer


def test_a_link_that_has_expired_makes_the_window_start_anew_and_shorter():
    with tenant(page=30, links_live=100.0, slow=150.0) as world:
        three_pages(world)
        collector = Collector(world, world.signins).run(START + 4 * HOUR, every=5 * MINUTE)
        assert len(set(collector.names)) == len(collector.names) == 75
        assert max(listed(world.graph.requests)) == 2  # none of which answered


def test_links_in_a_circle_are_left_for_shorter_windows():
    with tenant(page=30, loops=True) as world:
        three_pages(world)
        collector = Collector(world, world.signins).run(START + 4 * HOUR, every=5 * MINUTE)
        assert len(set(collector.names)) == len(collector.names) == 75
        assert max(listed(world.graph.requests)) <= 3


def test_links_in_a_circle_that_no_window_is_short_enough_for_are_told():
    with tenant(page=3, loops=True) as world:
        for number in range(10):
            world.graph.add("signIns", signed_in(number, START + timedelta(milliseconds=number)))
        collector = Collector(world, world.signins).run(START + 20 * MINUTE)
        assert not collector.names
        assert "links to a page that was read already" in str(collector.errors[-1])
        # And that is not the end of it.
        world.graph.loops = False
        collector.run(START + 25 * MINUTE)
        assert len(collector.names) == 10


@pytest.mark.parametrize(
    "fault", [{"cut": 1.0}, {"hung_up": 1.0}, {"failing": 1.0}, {"throttled": 1.0}]
)
def test_of_a_window_that_broke_nothing_is_told_and_the_cursor_stays(fault):
    with tenant(page=30) as world:
        three_pages(world)
        source = world.signins()
        start = Place([START - 50 * MINUTE] * 3).cursor()
        answer = world.graph.answer

        def breaking(request):
            reply = answer(request)
            world.graph.faults = Faults(**fault)
            return reply

        world.graph.answer = breaking
        # The second page fails: what is told is a narrower window, and no record.
        poll = source.poll(start)
        assert len(world.graph.requests) == 2
        assert not poll.received
        assert poll.cursor["at"] == start["at"]
        assert poll.cursor["width"] < start["width"]
        # The first page fails: it is an error.
        world.clock.advance(MINUTE)
        with pytest.raises(RetriableError) as caught:
            source.poll(poll.cursor)
        assert not [s for s in SECRETS if s in repr(caught.value)]
        world.graph.faults, world.graph.answer = Faults(), answer
        world.clock.advance(MINUTE)
        collector = Collector(world, world.signins)
        collector.cursor = poll.cursor
        collector.run(START + 20 * MINUTE)
        assert len(collector.names) == len(set(collector.names)) == 75


def stamped(moment):
    return moment.isoformat().replace("+00:00", "Z")


def test_a_window_that_graph_cannot_answer_at_all_is_tried_shorter_before_anybody_is_told():
    with tenant() as world:
        source = world.signins(lookback=DAY)
        first = source.poll(None)
        wide = first.cursor | {"at": [stamped(START - DAY)] * 3, "width": 43200}
        world.graph.broken = lambda _: Answer(504, {"error": {"code": "UnknownError"}})
        world.clock.advance(MINUTE)
        once = source.poll(wide)
        assert once.cursor["width"] == 2700
        twice = source.poll(once.cursor)
        assert twice.cursor["width"] == 168
        with pytest.raises(RetriableError, match="HTTP 504"):
            source.poll(twice.cursor)


def test_an_answer_that_is_no_page_is_told_without_what_it_says():
    with tenant() as world:
        for body in (b"<html>Adele</html>", b'{"value": "Adele"}', b"[" * 20_000, b'["Adele"]'):
            world.graph.broken = Answer(200, body=body)
            world.clock.advance(MINUTE)
            with pytest.raises(RetriableError, match=r"proxy|what stands between") as caught:
                world.signins(lookback=8 * MINUTE).poll(None)
            assert "Adele" not in repr(caught.value)


def test_a_link_to_another_address_is_not_followed():
    with tenant() as world:
        page = {"value": [], "@odata.nextLink": "http://localhost:1/beta/auditLogs/signIns?x=1"}
        world.graph.broken = Answer(200, page)
        collector = Collector(world, lambda: world.signins(lookback=8 * MINUTE))
        collector.run(START + 5 * MINUTE)
        assert "our token would go there" in str(collector.errors[-1])
        assert not collector.names


def test_what_is_whole_is_told_when_the_budget_is_used_up_in_the_middle():
    with tenant(page=30) as world:
        for number in range(300):
            world.graph.add("signIns", signed_in(number, START - HOUR + number * MINUTE / 6))
        world.budget = Budget(4, 10.0, "reports", monotonic=world.seconds)
        polls, cursor, throttled = [], None, 0
        source = world.signins()
        while not polls or polls[-1].complete_to < START - TRAIL:
            try:
                polls.append(source.poll(cursor))
                cursor = polls[-1].cursor
            except ThrottledError as error:
                throttled += 1
                world.clock.advance(timedelta(seconds=error.retry_after))
        assert throttled
        assert len(names_of(polls)) == len(set(names_of(polls))) > 250


def test_a_refusal_that_a_person_must_mend_ends_a_poll_only_if_it_has_nothing_to_tell():
    with tenant(page=30) as world:
        for number in range(100):
            world.graph.add("signIns", signed_in(number, START - HOUR + number * MINUTE / 2))
        source = world.signins()
        answer = world.graph.answer

        def refusing(request):
            if len(world.graph.requests) > 2:
                world.graph.entra.roles.clear()
                world.graph.entra.bearer = lambda *_: {"roles": []}
            return answer(request)

        world.graph.answer = refusing
        first = source.poll(None)
        assert first.received
        with pytest.raises(AuthError, match=r"AuditLog\.Read\.All"):
            source.poll(first.cursor)


@pytest.mark.parametrize(
    "cursor",
    [
        {"v": 2, "at": ["2026-03-19T07:00:00Z"] * 3},
        {"position": 3},
        {},
    ],
)
def test_a_cursor_of_another_version_is_refused_by_name(cursor):
    with (
        tenant() as world,
        pytest.raises(StateError, match="cursor of graph_signins: want version 1"),
    ):
        world.signins().poll(cursor)


@pytest.mark.parametrize(
    "change",
    [
        {"at": []},
        {"at": ["yesterday"] * 3},
        {"at": ["2026-03-19T07:00:00Z", "2026-03-19T07:10:00Z", "2026-03-19T07:00:00Z"]},
        {"width": None},
        {"width": 10**30},
        {"seen": []},
        {"seen": {"2026-03-19T07:00:00Z": "%"}},
        {"missing": [["2026-03-19T07:00:00Z"]]},
    ],
    ids=str,
)
def test_a_damaged_cursor_is_refused_with_the_remedy(change):
    with tenant() as world:
        good = world.signins().poll(None).cursor
        with pytest.raises(StateError, match="damaged; restore it from a backup, or start anew"):
            world.signins().poll(good | change)


def test_a_cursor_with_another_number_of_readings_is_taken_over():
    with tenant() as world:
        for number in range(20):
            world.graph.add("signIns", signed_in(number, START + number * MINUTE))
        collector = Collector(world, world.signins).run(START + HOUR, every=MINUTE)
        for at in (collector.cursor["at"][:1], [*collector.cursor["at"], "2026-03-19T07:00:00Z"]):
            world.clock.advance(MINUTE)
            poll = world.signins().poll(collector.cursor | {"at": at})
            assert len(poll.cursor["at"]) == 3


def test_a_window_is_shorter_where_the_budget_leaves_fewer_requests_than_it_may_need():
    place, ages = Place([START] * 3), (TRAIL, HOUR, 2 * HOUR)
    now = START + DAY
    lengths = [place.next(now, ages, pages).length for pages in (0, 1, 2, 3)]
    assert lengths == [10 * MINUTE, 4 * MINUTE, 7 * MINUTE, 10 * MINUTE]


def test_stretches_that_are_missing_are_joined_and_cut():
    place = Place([START] * 3)
    hours = [START + n * HOUR for n in range(6)]
    place.lack(hours[0], hours[1], "old", hours[0])
    place.lack(hours[1], hours[2], "old", hours[1])
    place.lack(hours[3], hours[5], "dense", hours[1])
    place.lack(hours[3], hours[5], "dense", hours[2])
    assert [(k.start, k.end) for k in place.lacks] == [
        (hours[0], hours[2]),
        (hours[3], hours[5]),
    ]
    place.fill(hours[1], hours[4])
    assert [(k.start, k.end) for k in place.lacks] == [
        (hours[0], hours[1]),
        (hours[4], hours[5]),
    ]
    place.fill(hours[0] + MINUTE, hours[0] + 2 * MINUTE)
    assert len(place.lacks) == 3


def test_the_limits_are_those_that_microsoft_tells():
    now = [0.0]
    everybody = application_budget(monotonic=lambda: now[0])
    tenants = [reports_budget(everybody, monotonic=lambda: now[0]) for _ in range(30)]
    taken, waits = 0, set()
    for budget in tenants:
        for _ in range(6):
            try:
                budget.take()
                taken += 1
            except ThrottledError as error:
                waits.add(error.retry_after)
    assert (taken, waits) == (122, {10.0})
    assert [b.left for b in tenants[:2]] == [0, 0]
    now[0] = 10.0
    assert tenants[0].left == 5
    assert everybody.left == 122


def test_directory_audits_come_once_and_late_ones_too():
    with tenant(faults=Faults(seed=3, throttled=0.05, failing=0.05, cut=0.05)) as world:
        for number in range(200):
            late = MINUTE * (100 if number % 10 == 0 else 3)
            world.graph.add("directoryAudits", changed(number, START + number * MINUTE), late)
        collector = Collector(world, world.audits, killed=0.1)
        collector.run(START + 200 * MINUTE + SETTLED, every=4 * MINUTE)
        names = [name for name, _ in collector.names]
        assert sorted(names) == sorted(v_id(n) for n in range(200))
        asked = {r.query["$select"] for r in world.graph.requests if "$select" in r.query}
        assert asked == {",".join(collector.source.listing.fields)}
        assert {r.path for r in world.graph.requests} == {"/v1.0/auditLogs/directoryAudits"}
        rows = [row for p in collector.polls for b in p.batches for row in b.to_pylist()]
        assert {r["operation"] for r in rows} == {"conditional_access"}
        assert {r["tenant"] for r in rows} == {v.TENANT}
        assert all(r["user"] for r in rows)
        shown = repr([rows, [p.cursor for p in collector.polls]])
        assert not [s for s in SECRETS if s in shown]


def test_the_fields_asked_for_give_the_same_audit_events_as_whole_records():
    with tenant() as world:
        for number in range(5):
            result = ("success", "failure", "timeout", "success", None)[number]
            record = changed(number, START - number * MINUTE, result=result)
            record |= {} if number else {"initiatedBy": {"app": {"displayName": "Sync"}}}
            world.graph.add("directoryAudits", record, late=timedelta(0))
        start = Place([START - 6 * MINUTE] * 3).cursor()
        world.clock.advance(HOUR)
        by_fields = world.audits().poll(start)
        world.graph.selects = False
        world.clock.advance(MINUTE)
        whole = world.audits().poll(start)
        assert (by_fields.cursor["whole"], whole.cursor["whole"]) == (False, True)
        assert by_fields.received == 5
        assert by_fields.batches[0].to_pylist() == whole.batches[0].to_pylist()
