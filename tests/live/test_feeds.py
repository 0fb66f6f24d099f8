"""Live sources: none is waited for, one that fails stops nobody, and none stops without a word."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import structlog

from connectors.advisories.issue import read_issue
from pipeline.model.clock import ManualClock
from pipeline.model.contracts import AdvisoryPoll, Missing, Poll
from pipeline.model.errors import AuthError, PacedError, RetriableError, ThrottledError
from pipeline.model.feed import FeedState
from pipeline.model.vocabulary import Source
from pipeline.runtime.live.background import Live
from pipeline.runtime.live.feeds import Feeds
from pipeline.runtime.live.messages import Kind, unpack_advisories, unpack_events, unpack_notice
from pipeline.runtime.live.reading import Reading
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import table, usual

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SIGN_INS = (Source.ENTRA_SIGNIN_NONINTERACTIVE,)


class Log:
    """A source over hours of records, one a poll; ``trouble`` is raised instead, while set."""

    def __init__(self, hours=range(3)):
        self.hours = hours
        self.trouble = None
        self.complete_to = None
        self.missing = ()
        self.asked = []

    def poll(self, cursor):
        self.asked.append(cursor)
        if self.trouble is not None:
            raise self.trouble
        at = (cursor or {"at": 0})["at"]
        batches = [table(usual(self.hours[at]))] if at < len(self.hours) else []
        rows = sum(b.num_rows for b in batches)
        return Poll(
            batches, (), {"v": 1, "at": at + len(batches)}, self.complete_to,
            received=rows, missing=self.missing,
        )  # fmt: skip


class Advisories:
    def __init__(self):
        self.asked = []
        self.trouble = None

    def changed_since(self, cursor):
        self.asked.append(cursor)
        if self.trouble is not None:
            raise self.trouble
        held = ["EX1", "EX2"]
        new = held[(cursor or {"n": 0})["n"] :]
        return AdvisoryPoll([advisory(a) for a in new], (), {"v": 1, "n": 2}, received=len(new))


def advisory(name):
    return read_issue({"id": name, "title": "mail", "service": "Exchange Online", "posts": []})


class Run:
    """A reader with its store of cursors, and a clock that the test moves."""

    def __init__(self, *sources, advisories=(), pool=None):
        self.clock, self.cursors, self.metrics = ManualClock(NOON), {}, Metrics()
        self.seconds = 0.0
        self.feeds = Feeds(
            sources, advisories, unnamed=lambda: "t", clock=self.clock, metrics=self.metrics,
            log=structlog.get_logger(), pool=pool, monotonic=lambda: self.seconds,
        )  # fmt: skip
        self.reading = Reading({}, {}, unnamed=lambda: "t", clock=self.clock, live=self.feeds)
        self.tenants = set()

    def read(self, *, keep=True, after=timedelta(0)):
        self.clock.advance(after)
        self.seconds += after.total_seconds()
        harvest = self.reading.read(self.cursors.get, self.tenants)
        if keep:
            self.cursors |= harvest.cursors
            self.tenants |= harvest.tenants
            self.reading.keep(harvest)
        return harvest

    def notices(self, harvest):
        return [unpack_notice(m.body) for m in harvest.messages if m.kind is Kind.FEED]


def live(what, kind="graph_signins", tenant="t", alarm=30, **more):
    feed = hasattr(what, "changed_since")
    ask, sources = (what.changed_since, ()) if feed else (what.poll, SIGN_INS)
    return Live(kind, tenant, ask, sources, timedelta(minutes=alarm), **more)


def rows(harvest):
    return sum(unpack_events(m.body).num_rows for m in harvest.messages if m.kind is Kind.EVENTS)


def metric(run, name, **labels):
    return run.metrics.registry.get_sample_value(f"outrider_{name}", labels)


def test_a_source_is_read_to_its_end_and_then_asked_now_and_then():
    log = Log()
    run = Run(live(log, idle_seconds=30.0))
    counts = [rows(run.read()) for _ in range(5)]
    assert counts == [len(usual(hour)) for hour in range(3)] + [0, 0]
    assert len(log.asked) == 4
    run.read(after=timedelta(seconds=29))
    assert len(log.asked) == 4
    run.read(after=timedelta(seconds=1))
    assert len(log.asked) == 5


def test_a_source_that_fails_stops_no_other():
    bad, good = Log(), Log()
    bad.trouble = AuthError("Graph: the secret has expired; make a new one")
    run = Run(live(bad), live(good, "event_hubs", None))
    assert sum(rows(run.read()) for _ in range(4)) == sum(len(usual(h)) for h in range(3))
    assert metric(run, "source_errors_total", feed="graph_signins", error="AuthError") == 1


def test_a_throttled_source_is_left_alone_for_as_long_as_it_asked():
    log = Log()
    log.trouble = ThrottledError("too often", retry_after=90)
    run = Run(live(log))
    run.read()
    log.trouble = None
    run.read(after=timedelta(seconds=89))
    assert len(log.asked) == 1
    assert rows(run.read(after=timedelta(seconds=1)))


def test_nothing_is_lost_or_told_twice_when_a_step_is_undone():
    log = Log()
    run = Run(live(log))
    run.read(keep=False)
    run.seconds += 60
    counts = [rows(run.read()) for _ in range(4)]
    assert counts == [*(len(usual(hour)) for hour in range(3)), 0]


def test_what_came_for_an_older_cursor_is_thrown_away():
    gate = threading.Event()

    class Slow(Log):
        def poll(self, cursor):
            gate.wait(10)
            return super().poll(cursor)

    log = Slow()
    with ThreadPoolExecutor(1) as pool:
        run = Run(live(log), pool=pool)
        assert rows(run.read()) == 0  # it is on its way, and nobody waits
        run.cursors["graph_signins/t"] = {"v": 1, "at": 2}
        gate.set()
        run.feeds._sources[0]._task.future.result()  # it has answered
        assert rows(run.read()) == 0
        while not (found := rows(run.read())):
            pass
        assert found == len(usual(2))
        assert log.asked == [None, {"v": 1, "at": 2}]


def test_time_goes_on_for_everybody_though_every_source_fails():
    log = Log()
    log.trouble = RetriableError("no answer")
    run = Run(live(log))
    run.tenants = {"t", "u"}
    ticks = [m for m in run.read(after=MINUTE).messages if m.kind is Kind.CLOCK]
    assert {(m.tenant, m.read_at) for m in ticks} == {("t", NOON + MINUTE), ("u", NOON + MINUTE)}


def test_its_tenant_hears_that_a_source_works_when_it_starts():
    run = Run(live(Log()))
    (notice,) = run.notices(run.read())
    assert (notice.feed, notice.state, notice.sources) == ("graph_signins/t", "working", SIGN_INS)
    assert not run.notices(run.read(after=MINUTE))


def test_a_short_trouble_is_nobodys_business_and_a_long_one_is():
    log = Log(hours=())
    run = Run(live(log))
    run.read()
    log.trouble = RetriableError("Graph: no whole answer; check the network", retry_after=10)
    assert not run.notices(run.read(after=2 * MINUTE))
    (notice,) = run.notices(run.read(after=2 * MINUTE))
    assert notice.state is FeedState.FAILING
    assert notice.complete_to == NOON
    assert notice.problem == "Graph: no whole answer; check the network"
    assert run.reading.problem == "graph_signins/t: Graph: no whole answer; check the network"
    assert metric(run, "source_unwell", feed="graph_signins") == 1
    assert metric(run, "source_lag_seconds", feed="graph_signins") == 240
    log.trouble = None
    (mended,) = run.notices(run.read(after=MINUTE))
    assert mended.state is FeedState.WORKING
    assert run.reading.problem is None


def test_while_it_fails_its_tenant_hears_of_it_each_five_minutes():
    log = Log(hours=())
    log.trouble = RetriableError("no answer", retry_after=10)
    run = Run(live(log))
    run.read()
    heard = [bool(run.notices(run.read(after=MINUTE))) for _ in range(13)]
    assert heard == [False, False, *([True] + [False] * 4) * 2, True]


def test_a_source_far_behind_says_so_though_it_works():
    log = Log(hours=())
    log.complete_to = NOON - timedelta(hours=3)
    run = Run(live(log, alarm=30))
    run.read()
    notice = run.feeds._each[0].notice()  # what is told next
    assert notice.state is FeedState.BEHIND
    assert notice.late == timedelta(hours=3)


def test_what_a_source_knows_to_be_missing_is_counted_and_named_once():
    log = Log(hours=())
    log.missing = (Missing(NOON - 2 * MINUTE, NOON, "one blob has expired; nothing helps"),)
    run = Run(live(log))
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            run.read(after=MINUTE)
    assert metric(run, "source_missing_seconds", feed="graph_signins") == 120
    (named,) = [s for s in said if s["outcome"] == "missing"]
    assert named["error"] == "one blob has expired; nothing helps"
    assert (named["begin"], named["end"]) == ("2026-03-10T11:58:00Z", "2026-03-10T12:00:00Z")
    log.missing = ()
    run.read(after=MINUTE)
    assert metric(run, "source_missing_seconds", feed="graph_signins") == 0


def test_a_bug_in_a_source_is_no_end_and_shows_no_record():
    log = Log()
    log.trouble = KeyError("ada@example.net")
    run = Run(live(log))
    run.read()
    problem = run.feeds._sources[0].standing.problem  # what is shown
    assert problem == "KeyError while reading; please report it"


def test_advisories_reach_who_comes_later_whole_and_once():
    feed = Advisories()
    run = Run(advisories=[live(feed, "service_health", None)])
    told = []

    def heard(harvest):
        return [
            (m.tenant, a.advisory_id)
            for m in harvest.messages
            if m.kind is Kind.ADVISORIES
            for a in unpack_advisories(m.body)
        ]

    run.tenants = {"t"}
    for _ in range(3):
        told += heard(run.read(after=MINUTE))
    assert sorted(told) == [("t", "EX1"), ("t", "EX2")]
    run.tenants.add("u")
    told = [x for _ in range(3) for x in heard(run.read(after=MINUTE))]
    assert sorted(told) == [("u", "EX1"), ("u", "EX2")]


def test_feeds_of_several_tenants_have_cursors_of_their_own():
    run = Run(*(live(Log(), tenant=n) for n in ("a", "b")))
    harvest = run.read()
    assert set(harvest.cursors) == {"graph_signins/a", "graph_signins/b"}
    assert {n.feed for n in run.notices(harvest)} == set(harvest.cursors)


def test_before_its_first_answer_nobody_says_that_a_source_is_well():
    log = Log(hours=())
    log.trouble = RetriableError("no answer", retry_after=10)
    run = Run(live(log))
    assert not run.notices(run.read())
    log.trouble, log.complete_to = None, NOON - timedelta(days=7)
    (notice,) = run.notices(run.read(after=MINUTE))
    assert notice.state is FeedState.BEHIND


def test_on_its_way_to_the_present_a_source_does_not_rest_where_it_was_quiet():
    log = Log(hours=())
    log.complete_to = NOON - timedelta(days=1)
    run = Run(live(log, idle_seconds=30.0))
    for _ in range(4):
        run.read(after=timedelta(seconds=1))
    assert len(log.asked) == 4


def test_to_keep_to_a_limit_by_oneself_is_no_trouble():
    log = Log(hours=())
    run = Run(live(log))
    run.read()
    log.trouble = PacedError("5 requests in 10 s are used up", retry_after=6)
    for _ in range(10):
        assert not run.notices(run.read(after=MINUTE))
    assert run.feeds._sources[0].standing.errors == 0
    assert len(log.asked) == 11
