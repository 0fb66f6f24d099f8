"""Advisories from Graph: every version once, no storm of requests, and each refusal told."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.advisories.service_health import ServiceHealthFeed
from connectors.auth import Identity
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from pipeline.match.score import score
from pipeline.model.advisory import Symptom
from pipeline.model.clock import ManualClock
from pipeline.model.errors import AuthError, FatalError, RetriableError, StateError, ThrottledError
from pipeline.model.knowledge import known_at
from tests.services.entra import TENANT, Entra
from tests.services.health import AUDIENCE, PERMISSIONS, Health
from tests.services.server import Faults, Reply, serving
from tests.unit.match.making import incident

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
USER = "adele.vance@contoso.example"
DOWN = "Title: T\n\nUser impact: Users can't access their mailbox.\n\nMore info: IMAP4"


@pytest.fixture
def clock():
    return ManualClock(NOON)


@pytest.fixture
def graph(clock):
    with serving(Health(clock)) as service:
        yield service


def feed_of(service, clock, **more):
    return ServiceHealthFeed(
        HttpClient("Microsoft Graph", service.root, clock=clock), clock=clock, **more
    )


def asked(service, name="issues"):
    return [r for r in service.requests if r.path.endswith(f"/{name}")]


class Reader:
    """Reads as a loop does: each answer's cursor is stored as JSON and handed back."""

    def __init__(self, feed, clock):
        self.feed, self.clock, self.cursor = feed, clock, None

    def read(self, after=FIVE):
        self.clock.advance(after)
        poll = self.feed.changed_since(self.cursor)
        self.cursor = json.loads(json.dumps(poll.cursor, allow_nan=False))
        assert poll.received >= len(poll.advisories) + poll.ignored
        return poll

    def told(self, after=FIVE):
        return [(a.advisory_id, a.status) for a in self.read(after).advisories]


def began(moment):
    """An incident of ours that began then."""
    return replace(incident(), onset_at=moment, raised_at=moment + FIVE, published_at=moment + FIVE)


def problem(call):
    with pytest.raises(Exception) as caught:  # which one is what tests look at
        call()
    assert USER not in "".join(traceback.format_exception(caught.value))
    return caught.value


def test_each_version_of_an_issue_is_told_once_with_the_moment_it_was_first_seen(graph, clock):
    graph.issue("EX1", text=DOWN)
    reader = Reader(feed_of(graph, clock), clock)
    (old,) = reader.read().advisories
    assert old.first_seen_at is None  # it may be older than this program
    assert reader.told() == []
    graph.issue("EX1", status="serviceInterruption", text="Current status: We restart servers.")
    (new,) = reader.read().advisories
    assert (new.status, len(new.posts)) == ("serviceInterruption", 2)
    assert new.first_seen_at == clock.now()
    assert reader.told() == []


def test_a_start_that_is_dated_back_is_a_version_of_its_own(graph, clock):
    graph.issue("EX1", text=DOWN)
    reader = Reader(feed_of(graph, clock), clock)
    (first,) = reader.read().advisories
    graph.issue("EX1", startDateTime="2026-03-13T00:00:00Z")
    (again,) = reader.read().advisories
    assert again.start_at == datetime(2026, 3, 13, tzinfo=UTC)
    known = known_at([first, again], clock.now())
    assert known.start_at == again.start_at
    assert known.first_published_at == first.first_published_at


def test_an_outage_that_comes_back_under_another_id_is_told_beside_the_first(graph, clock):
    graph.issue("EX1256020", text=DOWN)
    reader = Reader(feed_of(graph, clock), clock)
    assert reader.told() == [("EX1256020", "serviceDegradation")]
    graph.issue("EX1256020", status="serviceRestored", isResolved=True)
    graph.issue("EX1268771", text=f"{DOWN}\n\nThis continues EX1256020.")
    assert reader.told() == [
        ("EX1256020", "serviceRestored"),
        ("EX1268771", "serviceDegradation"),
    ]


def test_what_is_rewritten_without_a_new_time_is_found_within_hours(graph, clock):
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    modified = graph.tables["issues"]["EX1"]["lastModifiedDateTime"]
    clock.advance(timedelta(hours=3))
    graph.issue("EX2")
    assert reader.told() == [("EX2", "serviceDegradation")]
    graph.issue("EX1", title="Users in Europe cannot sign in", lastModifiedDateTime=modified)
    assert reader.told() == []
    assert reader.told(timedelta(hours=6)) == [("EX1", "serviceDegradation")]


def test_between_two_looks_only_what_was_modified_since_is_asked_for(graph, clock):
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock, messages=False), clock)
    for _ in range(3):
        reader.read()
    first, *later = asked(graph)
    assert "$filter" not in first.query
    assert {r.query["$filter"] for r in later} == {"lastModifiedDateTime ge 2026-03-19T11:00:00Z"}
    assert {r.headers["prefer"] for r in asked(graph)} == {"odata.maxpagesize=1000"}


def test_a_service_that_knows_no_filter_is_listed_in_full(graph, clock):
    graph.filters = False
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock), clock)
    assert reader.told() == [("EX1", "serviceDegradation")]
    graph.issue("EX2")
    assert reader.told() == [("EX2", "serviceDegradation")]
    before = len(asked(graph))
    reader.read()
    assert ["$filter" in r.query for r in asked(graph)[before:]] == [False]


def test_a_time_of_the_future_hides_nothing(graph, clock):
    graph.issue("EX9", lastModifiedDateTime="2099-01-01T00:00:00Z")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    graph.issue("EX1")
    assert reader.told() == [("EX1", "serviceDegradation")]


def test_many_rounds_and_new_tenants_cost_one_look_in_five_minutes(graph, clock):
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    before = len(graph.requests)
    for _ in range(100):
        assert reader.told(timedelta(seconds=2)) == []  # 200 s
        everything = reader.feed.changed_since(None)
        assert [a.advisory_id for a in everything.advisories] == ["EX1"]
    assert len(graph.requests) == before
    assert reader.read(FIVE).cursor == reader.cursor
    assert len(graph.requests) > before


def test_a_harvest_that_was_not_kept_is_told_again_without_a_request(graph, clock):
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    graph.issue("EX1")
    clock.advance(FIVE)
    lost = reader.feed.changed_since(reader.cursor)
    before = len(graph.requests)
    again = reader.feed.changed_since(reader.cursor)
    assert [a.advisory_id for a in lost.advisories] == ["EX1"]
    assert (again.advisories, again.cursor) == (lost.advisories, lost.cursor)
    assert len(graph.requests) == before


def test_a_new_process_goes_on_where_the_old_one_was(graph, clock):
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    graph.issue("EX2")
    reader.feed = feed_of(graph, clock)
    assert reader.told() == [("EX2", "serviceDegradation")]


def test_all_pages_are_read_and_a_page_that_links_to_itself_ends_the_look(graph, clock):
    graph.largest = 10
    for number in range(21):
        graph.issue(f"EX{number}")
    feed = feed_of(graph, clock)
    assert len(feed.changed_since(None).advisories) == 21
    assert len(asked(graph)) == 3
    graph.repeats = True
    error = problem(lambda: feed_of(graph, clock).changed_since(None))
    assert isinstance(error, RetriableError)
    assert "links to a page that was read already" in str(error)


def test_a_failure_is_told_again_without_a_request_until_its_pause_is_over(graph, clock):
    graph.issue("EX1")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    graph.broken = Reply(503, {"error": {"code": "serviceNotAvailable"}}, {"Retry-After": "90"})
    pauses = []
    for _ in range(3):
        clock.advance(timedelta(minutes=20))
        first = problem(lambda: reader.feed.changed_since(reader.cursor))
        before = len(graph.requests)
        pauses.append(first.retry_after)
        clock.advance(timedelta(seconds=10))
        again = problem(lambda: reader.feed.changed_since(reader.cursor))
        assert (type(again), str(again)) == (type(first), str(first))
        assert again.retry_after <= 900
        # Whoever is new gets what is held meanwhile.
        assert [a.advisory_id for a in reader.feed.changed_since(None).advisories] == ["EX1"]
        assert len(graph.requests) == before
    assert pauses == [90.0, 90.0, 90.0]
    graph.broken = None
    graph.issue("EX2")
    assert reader.told(timedelta(minutes=20)) == [("EX2", "serviceDegradation")]


def test_pauses_get_longer_while_nothing_answers(clock):
    feed = ServiceHealthFeed(HttpClient("Graph", "http://127.0.0.1:9", clock=clock), clock=clock)
    waited = []
    for _ in range(7):
        begun = clock.now()
        problem(lambda: feed.changed_since(None))
        while True:
            left = problem(feed._pace.check).retry_after
            if not left:
                break
            clock.advance(timedelta(seconds=left))
        waited.append((clock.now() - begun).total_seconds())
    assert waited == [30, 60, 120, 240, 480, 900, 900]


def test_a_budget_that_is_used_up_in_the_middle_tells_nothing_of_that_look(graph, clock):
    graph.largest = 10
    for number in range(15):
        graph.issue(f"EX{number}")
    seconds = [0.0]
    budget = Budget(2, 60, "service health", monotonic=lambda: seconds[0])
    http = HttpClient("Microsoft Graph", graph.root, budget=budget, clock=clock)
    feed = ServiceHealthFeed(http, messages=False, clock=clock)
    error = problem(lambda: feed.changed_since(None))
    assert isinstance(error, ThrottledError)
    assert "used up" in str(error)
    budget = Budget(9, 60, "service health", monotonic=lambda: seconds[0])
    feed._issues._http = feed._http = HttpClient("Graph", graph.root, budget=budget, clock=clock)
    clock.advance(timedelta(minutes=2))
    assert len(feed.changed_since(None).advisories) == 15


def test_with_five_percent_of_everything_going_wrong_no_version_is_lost_or_told_twice(clock):
    faults = Faults(seed=7, throttled=0.05, failing=0.02, hung_up=0.02, cut=0.02)
    told = []
    with serving(Health(clock, faults)) as service:
        reader = Reader(feed_of(service, clock), clock)
        published = 0
        for minute in range(2000):
            if minute % 37 == 0 and minute < 1900:
                service.issue(f"EX{minute % 5}", title=f"Users cannot sign in, {published}")
                published += 1
            clock.advance(timedelta(minutes=1))
            try:
                poll = reader.feed.changed_since(reader.cursor)
            except RetriableError:
                continue
            reader.cursor = poll.cursor
            told += [a.title for a in poll.advisories]
            if minute % 400 == 399:
                reader.feed = feed_of(service, clock)
        assert all(service.faults.dealt.values())
    assert len(told) == len(set(told))
    # Two rewritings of one issue within a pause of 15 minutes would be one; here they are 185 apart.
    assert set(told) == {f"Users cannot sign in, {n}" for n in range(published)}


def test_a_record_of_no_use_is_set_aside_once_and_the_rest_goes_on(graph, clock):
    graph.issue("EX1", startDateTime=f"asked by {USER}")
    graph.issue("EX2")
    reader = Reader(feed_of(graph, clock), clock)
    poll = reader.read()
    assert [a.advisory_id for a in poll.advisories] == ["EX2"]
    (reject,) = poll.rejects
    assert "startdatetime" in reject.detail
    assert USER not in repr(reject)
    assert not reader.read().rejects


def test_the_cursor_forgets_what_is_listed_no_more_after_weeks(graph, clock):
    graph.issue("EX1")
    graph.issue("EX2")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    del graph.tables["issues"]["EX1"]
    graph.issue("EX2", lastModifiedDateTime="2025-11-01T00:00:00Z")  # old, open and still listed
    for _ in range(50):
        reader.read(timedelta(days=1))
    assert set(reader.cursor["seen"]) == {"EX2"}
    assert reader.told() == []


@pytest.mark.parametrize("cursor", [{"v": 2, "seen": {}, "overviews": {}}, {"seen": []}, {"v": 1}])
def test_a_foreign_cursor_is_refused_without_a_request(graph, clock, cursor):
    with pytest.raises(StateError, match="service health"):
        feed_of(graph, clock).changed_since(cursor)
    assert not graph.requests


# Health overviews


def test_a_service_that_is_interrupted_without_an_issue_is_told_at_the_second_look(graph, clock):
    graph.overview("Exchange", "Exchange Online")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    graph.overview("Exchange", "Exchange Online", "serviceInterruption")
    assert reader.told() == []
    seen = clock.now()
    (told,) = reader.read().advisories
    assert (told.origin, told.status, told.symptom) == (
        "health_overview", "serviceInterruption", Symptom.ACCESS,
    )  # fmt: skip
    assert told.start_at == seen
    assert told.first_published_at is None  # it never counts as Microsoft's first word
    assert reader.told() == []
    match = score(began(seen - FIVE), told)
    assert match is not None
    assert match.lead_seconds is None


def test_a_service_that_is_only_degraded_is_listed_and_matches_nothing_by_itself(graph, clock):
    graph.overview("Exchange", "Exchange Online", "serviceDegradation")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    (told,) = reader.read().advisories
    assert "Exchange Online is shown as degraded" in told.title
    assert score(began(clock.now()), told) is None


def test_an_issue_explains_the_overview_and_withdraws_what_was_told_of_it(graph, clock):
    graph.overview("Exchange", "Exchange Online", "serviceInterruption")
    graph.overview("Teams", "Microsoft Teams", "serviceDegradation")
    graph.issue("TM1", service="Microsoft Teams", title="Users cannot join meetings")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    (told,) = reader.read().advisories
    graph.issue("EX1", text=DOWN)
    issue, withdrawn = reader.read().advisories
    assert (issue.advisory_id, withdrawn.advisory_id) == ("EX1", told.advisory_id)
    assert withdrawn.is_false_positive
    assert withdrawn.refers_to == ("EX1",)
    assert score(began(clock.now()), withdrawn) is None
    assert reader.cursor["overviews"] == {}


def test_a_service_that_is_shown_as_well_again_is_told_to_be_over(graph, clock):
    graph.overview("Exchange", "Exchange Online", "serviceDegradation")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    (told,) = reader.read().advisories
    graph.overview("Exchange", "Exchange Online", "serviceInterruption")
    (worse,) = reader.read().advisories
    assert (worse.advisory_id, worse.status) == (told.advisory_id, "serviceInterruption")
    # Who is new hears of it as well, and of nothing that is over.
    assert worse in reader.feed.changed_since(None).advisories
    graph.overview("Exchange", "Exchange Online")
    (over,) = reader.read().advisories
    assert over.is_resolved
    assert over.restored_at == clock.now()
    assert reader.told() == []
    assert not reader.feed.changed_since(None).advisories


def test_an_issue_that_was_just_resolved_explains_an_overview_that_lags_behind(graph, clock):
    graph.issue("EX1", status="serviceRestored", isResolved=True)
    graph.overview("Exchange", "Exchange Online", "extendedRecovery")
    reader = Reader(feed_of(graph, clock), clock)
    reader.read()
    for _ in range(20):
        assert reader.told() == []
    assert len([t for _ in range(10) for t in reader.told()]) == 1


# Message Center


def test_posts_that_speak_of_failing_access_are_kept_and_never_taken_for_the_outage(graph, clock):
    graph.message("MC1", "stayInformed", "New look", "A new look is coming.")
    graph.message("MC2", "preventOrFixIssue", "Act now", "Old certificates will be replaced.")
    graph.message(
        "MC3", "preventOrFixIssue", "Some users can't access their mailbox with IMAP4",
        "<p>Users on TLS 1.0 are unable to access their mailbox.</p>",
    )  # fmt: skip
    reader = Reader(feed_of(graph, clock), clock)
    poll = reader.read()
    (told,) = poll.advisories
    assert (told.advisory_id, told.origin, told.symptom) == ("MC3", "message_center", Symptom.ADMIN)
    assert "IMAP4" in told.protocols
    assert (poll.ignored, poll.received) == (2, 3)
    assert score(began(clock.now()), told) is None
    assert told.first_published_at is None
    graph.message("MC3", "preventOrFixIssue", "Users can't access their mailbox", "By June.")
    assert reader.told() == []
    assert [a for a, _ in reader.told(timedelta(hours=1))] == ["MC3"]
    assert len(asked(graph, "messages")) == 2


def test_a_post_of_no_use_is_set_aside_once(graph, clock):
    down = "Users can't access their mailbox"
    graph.message("MC4", "preventOrFixIssue", down, "Now.", lastModifiedDateTime="soon")
    graph.message("one", "preventOrFixIssue", down, "Now.")
    reader = Reader(feed_of(graph, clock), clock)
    details = sorted(r.detail for r in reader.read().rejects)
    assert [d.split(":")[0] for d in details] == ["id", "lastmodifieddatetime"]
    assert not reader.read(timedelta(hours=2)).rejects


def test_without_the_permission_for_posts_everything_else_is_read(clock):
    entra = Entra(clock, roles={AUDIENCE: ["ServiceHealth.Read.All"]})
    with serving(Health(clock, entra=entra)) as graph:
        graph.issue("EX1")
        graph.message("MC3", "preventOrFixIssue", "Users can't access their mailbox", "Now.")
        reader = Reader(signed_in(graph, entra, clock), clock)
        assert reader.told() == [("EX1", "serviceDegradation")]
        assert reader.told() == []
        assert len(asked(graph, "messages")) == 1


# Refusals


class Granted:
    """Signs in at the service's own desk."""

    def __init__(self, entra):
        self._entra = entra

    def sign_in(self, scope):
        given = self._entra.grant(TENANT, scope.removesuffix("/.default"))
        return given["access_token"], given["expires_in"]


def signed_in(graph, entra, clock):
    http = HttpClient(
        "Microsoft Graph", graph.root, tokens=Identity(Granted(entra), clock=clock), clock=clock,
        scope=f"{AUDIENCE}/.default",
    )  # fmt: skip
    return ServiceHealthFeed(http, clock=clock)


def test_a_missing_permission_is_named_and_looked_at_again_after_five_minutes(clock):
    entra = Entra(clock, roles={AUDIENCE: ["AuditLog.Read.All"]}, lifetime=240)
    with serving(Health(clock, entra=entra)) as graph:
        graph.issue("EX1")
        feed = signed_in(graph, entra, clock)
        error = problem(lambda: feed.changed_since(None))
        assert isinstance(error, AuthError)
        assert "ServiceHealth.Read.All" in str(error)
        assert "consent" in str(error)
        entra.roles[AUDIENCE] = list(PERMISSIONS.values())
        assert isinstance(problem(lambda: feed.changed_since(None)), AuthError)
        clock.advance(FIVE)
        assert [a.advisory_id for a in feed.changed_since(None).advisories] == ["EX1"]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(403, {"error": {"code": "UnknownError"}}), AuthError, "ServiceHealth.Read.All"),
        (Reply(404, {"error": {"code": "ResourceNotFound"}}), FatalError, "microsoft.cloud"),
        (Reply(410, {"error": {"code": "Gone"}}), FatalError, "retired"),
        (Reply(400, {"error": {"code": "BadRequest"}}), FatalError, "graph_address"),
        (Reply(429, {}, {"Retry-After": "44"}), ThrottledError, "asked too often"),
        (Reply(500, {"error": {"code": "Internal"}}), RetriableError, "a failure of its own"),
        (Reply(503, {}), RetriableError, "a failure of its own"),
        (Reply(200, body=b"<html>Sign in</html>"), RetriableError, "proxy"),
        (Reply(200, {"value": "none"}), RetriableError, "without a list"),
        (Reply(200, {"error": USER}), RetriableError, "without a list"),
    ],
    ids=lambda x: str(getattr(x, "status", "")) or None,
)
def test_each_refusal_is_told_with_its_remedy(graph, clock, reply, kind, words):
    graph.broken = reply
    error = problem(lambda: feed_of(graph, clock).changed_since(None))
    assert type(error) is kind
    assert words in str(error)


def test_a_page_that_is_gone_starts_the_listing_anew(graph, clock):
    graph.largest = 10
    for number in range(12):
        graph.issue(f"EX{number}")
    page = graph.page
    graph.page = lambda request, name: (
        Reply(410, {"error": {"code": "Gone"}}) if "$skip" in request.query else page(request, name)
    )
    error = problem(lambda: feed_of(graph, clock).changed_since(None))
    assert isinstance(error, RetriableError)
    assert "starts anew" in str(error)
