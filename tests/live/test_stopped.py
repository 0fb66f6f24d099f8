"""A feed that stops: its tenant is told within the bound, is blind and not healthy, and catches up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.incident import IncidentState, RevisionReason, Severity
from pipeline.model.vocabulary import Source, Verdict
from pipeline.runtime.live.freezing import freeze, thaw
from pipeline.runtime.live.parts import GroundPart, IssuedPart
from pipeline.runtime.live.tenant import Tenant
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, table, usual

MINUTE = timedelta(minutes=1)
FEED = "graph_signins"
PROBLEM = "sign-in of application 5b0ad9f2: refused with AADSTS7000222: make a new secret"


def notice(state, at, reached, problem=PROBLEM):
    sources = (Source.ENTRA_SIGNIN_NONINTERACTIVE,)
    return FeedNotice(FEED, sources, state, at, reached, reached, 1800, problem)


@pytest.fixture(scope="module")
def learned():
    """A tenant after eight ordinary days and nine hours, as bytes."""
    tenant = Tenant(SETTINGS)
    for at in range(0, LEARNED + 9, 3):
        tenant.take(table([r for hour in range(at, at + 3) for r in usual(hour)]))
    tenant.tell_time(MONDAY + (LEARNED + 9) * HOUR)
    assert not tenant.judge().incidents
    return freeze(tenant.ground), freeze(tenant.issued, whole=True)


class Stopped:
    """The tenant, whose feed stops at ``at``."""

    def __init__(self, learned):
        ground, issued = learned
        self.tenant = Tenant(
            SETTINGS, thaw(ground.body, ground.parts, GroundPart), thaw(issued.body, {}, IssuedPart)
        )
        self.at = MONDAY + (LEARNED + 9) * HOUR
        self.told, self.flags = [], []

    def judge(self, after, state=FeedState.FAILING, *, records=True):
        now = self.at + after
        reached = self.at if state is FeedState.FAILING else now
        problem = PROBLEM if state is FeedState.FAILING else ""
        if state is not None:
            self.tenant.hear("t", notice(state, now, reached, problem))
        if state is FeedState.WORKING and records:
            self.tenant.take(table(usual(int((now - MONDAY) / HOUR))))
        self.tenant.tell_time(now)
        issue = self.tenant.judge()
        self.told += issue.incidents
        self.flags += issue.flags
        return issue.incidents


def test_it_is_an_incident_within_the_bound_and_not_before(learned):
    run = Stopped(learned)
    assert not run.judge(29 * MINUTE)
    (incident,) = run.judge(30 * MINUTE)
    assert incident.verdict is Verdict.TELEMETRY_GAP
    assert incident.state is IncidentState.OPEN
    assert incident.onset_at == run.at
    assert incident.raised_at == run.at + 30 * MINUTE
    assert PROBLEM in incident.headline
    assert incident.evidence[0].numbers == {"minutes_behind": 30.0, "alarm_minutes": 30.0}


def test_who_is_blind_sees_no_outage(learned):
    run = Stopped(learned)
    for minutes in range(10, 400, 30):
        run.judge(minutes * MINUTE)
    assert not run.flags
    assert len({i.incident_id for i in run.told}) == 1


def test_a_log_that_falls_silent_though_its_reader_works_is_told(learned):
    run = Stopped(learned)
    assert not run.judge(15 * MINUTE, FeedState.WORKING, records=False)
    for minutes in range(20, 120, 10):
        run.judge(minutes * MINUTE, FeedState.WORKING, records=False)
    (incident,) = run.told
    assert incident.verdict is Verdict.TELEMETRY_GAP
    assert timedelta(0) <= incident.onset_at - run.at + 2 * MINUTE <= 4 * MINUTE
    assert incident.raised_at - run.at <= 50 * MINUTE
    assert "about" in incident.headline
    assert not run.flags
    run.tenant.take(table(usual(LEARNED + 11)))
    told = run.judge(180 * MINUTE, FeedState.WORKING, records=False)
    (over,) = [i for i in told if i.incident_id == incident.incident_id]
    assert over.state is IncidentState.RESOLVED
    # What is missing for good is told by the windows, as in a backfill.
    assert {i.verdict for i in told} == {Verdict.TELEMETRY_GAP}


def test_long_blind_is_worse_and_told_once(learned):
    run = Stopped(learned)
    for minutes in range(30, 600, 30):
        run.judge(minutes * MINUTE)
    assert [(i.reason, i.severity) for i in run.told] == [
        (RevisionReason.OPENED, Severity.MEDIUM),
        (RevisionReason.SEVERITY_UP, Severity.HIGH),
    ]


def test_it_is_over_once_the_feed_has_worked_for_ten_minutes(learned):
    run = Stopped(learned)
    (opened,) = run.judge(40 * MINUTE)
    assert not run.judge(50 * MINUTE, FeedState.WORKING)
    assert not run.judge(59 * MINUTE, None)
    (over,) = run.judge(60 * MINUTE, None)
    assert (over.incident_id, over.revision) == (opened.incident_id, 2)
    assert over.state is IncidentState.RESOLVED
    assert over.resolved_at == run.at + 50 * MINUTE
    assert not run.judge(70 * MINUTE, None)


def test_a_feed_that_fails_again_at_once_is_the_same_incident(learned):
    run = Stopped(learned)
    run.judge(40 * MINUTE)
    run.judge(45 * MINUTE, FeedState.WORKING, records=False)
    run.judge(50 * MINUTE)
    run.judge(70 * MINUTE)
    assert [i.revision for i in run.told if PROBLEM in i.headline] == [1]


def test_what_comes_after_all_is_judged_as_if_it_had_been_in_time(learned):
    """Two days without a feed: no day is closed over its head, and all its records count."""
    run, straight = Stopped(learned), Stopped(learned)
    hours = range(LEARNED + 9, LEARNED + 60)
    for hour in hours:
        straight.tenant.take(table(usual(hour)))
        if hour % 12:
            continue  # judging costs a second
        straight.judge((hour + 1 - LEARNED - 9) * HOUR, FeedState.WORKING, records=False)
        run.judge((hour + 1 - LEARNED - 9) * HOUR)
    assert run.tenant.ground.closed_to < straight.tenant.ground.closed_to
    for hour in hours:
        run.tenant.take(table(usual(hour)))
    run.judge(52 * HOUR, FeedState.WORKING, records=False)
    straight.judge(52 * HOUR, FeedState.WORKING, records=False)
    assert run.tenant.ground.too_old == 0
    assert run.tenant.ground.closed_to == straight.tenant.ground.closed_to
    assert freeze(run.tenant.ground.ground).body == freeze(straight.tenant.ground.ground).body


def test_it_is_waited_for_a_week_and_no_longer(learned):
    run = Stopped(learned)
    for day in (1, 6, 10):
        run.judge(day * 24 * HOUR)
    assert run.tenant.ground.closed_to >= MONDAY + (LEARNED + 24) * HOUR


def test_what_was_told_survives_a_restart(learned):
    run = Stopped(learned)
    run.judge(40 * MINUTE)
    ground, issued = freeze(run.tenant.ground), freeze(run.tenant.issued, whole=True)
    again = Stopped((ground, issued))
    assert not again.judge(50 * MINUTE)
    again.judge(55 * MINUTE, FeedState.WORKING)
    (over,) = again.judge(70 * MINUTE, None)
    assert (over.incident_id, over.revision) == (run.told[0].incident_id, 2)


def test_the_very_first_reading_may_take_its_time_and_a_later_one_may_not(learned):
    run = Stopped(learned)

    def behind(after):
        now = run.at + after
        run.tenant.hear("t", notice(FeedState.BEHIND, now, run.at - 3 * HOUR, "still reading"))
        run.tenant.tell_time(now)
        return run.tenant.judge().incidents

    assert not behind(10 * MINUTE)
    run.judge(20 * MINUTE, FeedState.WORKING)
    (incident,) = behind(30 * MINUTE)
    assert "behind with graph_signins" in incident.headline


def test_a_first_reading_that_fails_for_a_moment_is_no_alarm_and_one_that_fails_on_is(learned):
    run = Stopped(learned)
    began = run.at

    def failing(after):
        now = began + after
        sources = (Source.ENTRA_SIGNIN_NONINTERACTIVE,)
        reached = began - 20 * HOUR
        run.tenant.hear(
            "t", FeedNotice(FEED, sources, FeedState.FAILING, now, reached, began, 1800, PROBLEM)
        )
        run.tenant.tell_time(now)
        return run.tenant.judge().incidents

    assert not failing(4 * MINUTE)
    (incident,) = failing(30 * MINUTE)
    assert PROBLEM in incident.headline
