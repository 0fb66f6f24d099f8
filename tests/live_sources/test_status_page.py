"""Public status pages: what stands there becomes an advisory that says where it is from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.advisories.page_feed import MOST_BYTES, FormError, read_entries
from connectors.advisories.status_page import StatusPageFeed
from connectors.http.client import HttpClient
from pipeline.model.clock import ManualClock
from pipeline.model.errors import FatalError, RetriableError, StateError, ThrottledError
from pipeline.model.knowledge import known_at
from pipeline.model.vocabulary import Client, Service
from tests.services.server import Reply, serving
from tests.services.status import SHELL, Status

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
MAC, POST, AZURE = "/api/feed/mac", "/api/posts/mac", "/en-us/status/feed/"
DOWN = "<p>Users can't access Exchange Online with Outlook for iOS.</p>"


@pytest.fixture
def clock():
    return ManualClock(NOON)


@pytest.fixture
def page(clock):
    with serving(Status(clock)) as service:
        yield service


class Reader:
    def __init__(self, page, clock, path):
        self.page, self.clock, self.path, self.cursor = page, clock, path, None
        self.again()

    def again(self):
        """A new process."""
        http = HttpClient("Status page", self.page.root, clock=self.clock)
        self.feed = StatusPageFeed(http, self.page.address(self.path), clock=self.clock)

    def told(self, after=FIVE):
        self.clock.advance(after)
        poll = self.feed.changed_since(self.cursor)
        self.cursor = json.loads(json.dumps(poll.cursor, allow_nan=False))
        assert poll.received >= len(poll.advisories) + poll.ignored
        assert {a.origin for a in poll.advisories} <= {"status_page"}
        return list(poll.advisories)


@pytest.mark.parametrize("path", [MAC, POST])
def test_trouble_is_told_once_and_to_be_over_when_the_page_says_so(page, clock, path):
    reader = Reader(page, clock, path)
    for _ in range(5):
        assert reader.told() == []
    clock.advance(timedelta(minutes=2))
    page.say("ServiceDegradation", DOWN)
    looked = clock.now() - timedelta(minutes=2)
    (told,) = reader.told()
    assert (told.status, told.is_resolved) == ("ServiceDegradation", False)
    assert told.services == (Service.EXCHANGE_ONLINE,)
    assert told.clients == (Client.OUTLOOK_IOS,)
    # Of RSS only the look before is known; a lead is never a gift of our own pause.
    assert told.first_published_at == (looked if path == MAC else page.post[-1])
    assert reader.told() == []
    page.say("ServiceDegradation", f"{DOWN}<p>We restart servers.</p>")
    (more,) = reader.told()
    assert more.advisory_id == told.advisory_id
    assert more.first_published_at == told.first_published_at
    assert "restart" not in known_at([told, more], clock.now() - FIVE).posts[0].text
    page.say("Available", "All is well.")
    (over,) = reader.told()
    assert (over.advisory_id, over.status, over.is_resolved) == (
        told.advisory_id, "serviceRestored", True,
    )  # fmt: skip
    assert over.restored_at == over.end_at == clock.now()
    assert over.clients == told.clients
    assert reader.told() == []
    page.say("ServiceDegradation", DOWN)
    (other,) = reader.told()
    assert other.advisory_id != told.advisory_id


def test_azure_tells_no_status_and_takes_away_what_is_over(page, clock):
    reader = Reader(page, clock, AZURE)
    assert reader.told() == []
    published = clock.now() + timedelta(minutes=3)
    page.azure["1"] = (
        "Microsoft Entra ID - Sign-in failures - Investigating",
        "<p>Users in Europe are unable to sign in through Microsoft Entra ID.</p>",
        published,
    )
    page.azure["2"] = ("Issues connecting to resources in West US", "Virtual machines.", published)
    told = {a.title: a for a in reader.told()}
    entra = told["Microsoft Entra ID - Sign-in failures - Investigating"]
    assert entra.first_published_at == published
    assert entra.services == (Service.IDENTITY,)
    assert told["Issues connecting to resources in West US"].services == (Service.OTHER,)
    page.azure.clear()
    over = reader.told()
    assert {a.status for a in over} == {"resolved"}
    assert {a.advisory_id for a in over} == {a.advisory_id for a in told.values()}
    assert reader.told() == []


def test_services_for_private_persons_are_not_taken_for_ours(page, clock):
    reader = Reader(page, clock, "/api/posts/m365Consumer")
    assert reader.told() == []
    page.consumer["OneDrive"] = "ServiceDegradation"
    (told,) = reader.told()
    assert (told.title, told.services) == ("OneDrive", (Service.OTHER,))


def test_a_new_process_and_whoever_is_new_hear_the_same(page, clock):
    reader = Reader(page, clock, MAC)
    reader.told()
    page.say("ServiceDegradation", DOWN)
    (told,) = reader.told()
    assert reader.feed.changed_since(None).advisories == [told]
    reader.again()
    assert reader.told() == []
    assert reader.feed.changed_since(None).advisories == [told]


def test_the_page_is_asked_once_in_five_minutes_whoever_asks(page, clock):
    reader = Reader(page, clock, MAC)
    for _ in range(110):
        reader.told(timedelta(seconds=3))
        reader.feed.changed_since(None)
    assert len(page.requests) == 2
    assert {r.headers["accept"].split(",")[0] for r in page.requests} == {"application/rss+xml"}
    assert not any("authorization" in r.headers for r in page.requests)


def test_a_failure_is_told_until_its_pause_is_over_and_nothing_counts_as_over_meanwhile(
    page, clock
):
    reader = Reader(page, clock, MAC)
    page.say("ServiceDegradation", DOWN)
    (told,) = reader.told()
    page.broken = Reply(503)
    for _ in range(4):
        with pytest.raises(RetriableError):
            reader.told()
    assert reader.feed.changed_since(None).advisories == [told]
    page.broken = None
    assert reader.told(timedelta(minutes=20)) == []


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    b"<rss><channel><title>&b;</title></channel></rss>"
)
HOSTILE = {
    "the page itself": (SHELL, "document type|web page"),
    "a page without a doctype": (b"<html><body>Sign in<br></body></html>", "web page"),
    "entities": (LAUGHS, "document type"),
    "an outside document type": (
        b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd"><rss><channel><title/></channel></rss>',
        "document type",
    ),
    "broken XML": (b"<rss><channel>", "neither RSS nor JSON"),
    "Atom": (b"<feed xmlns='http://www.w3.org/2005/Atom'><title>x</title></feed>", "no RSS 2.0"),
    "an error of a store": (b"<Error><Code>AccessDenied</Code></Error>", "no RSS 2.0"),
    "nothing": (b"", "neither RSS nor JSON"),
    "broken JSON": (b'{"Status": ', "broken JSON"),
    "deep JSON": (b"[" * 100_000, "broken JSON"),
    "other JSON": (b'{"Message": "No HTTP resource was found"}', "without a Status"),
    "too large": (b" " * (MOST_BYTES + 1), "larger than 4 MiB"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="none"?><rss/>', "neither RSS"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_status_feed_is_named(name):
    body, words = HOSTILE[name]
    with pytest.raises(FormError, match=words):
        read_entries(body)


def test_odd_items_are_read_as_far_as_they_go():
    body = (
        b"<rss><channel><title>Azure Status</title><item/>"
        b"<item><title>A</title><pubDate>yesterday</pubDate></item>"
        b"<item><title>B</title><pubDate>Thu, 23 Jul 2026 16:29:09 Z</pubDate></item>"
        b"</channel></rss>"
    )
    found = [(e.name, e.published_at) for e in read_entries(body)]
    told = datetime(2026, 7, 23, 16, 29, 9, tzinfo=UTC)
    assert found == [("item", None), ("A", None), ("B", told)]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(200, body=SHELL), FatalError, "status_page.address"),
        (Reply(301, headers={"Location": "https://elsewhere.example/"}), FatalError, "HTTP 301"),
        (Reply(403), FatalError, "HTTP 403"),
        (Reply(404), FatalError, "status_page.address"),
        (Reply(429, {}, {"Retry-After": "40"}), ThrottledError, "asked too often"),
        (Reply(500), RetriableError, "a failure of its own"),
        (None, RetriableError, "check the network"),
    ],
    ids=["page", "301", "403", "404", "429", "500", "hung up"],
)
def test_each_refusal_is_told_with_its_remedy(page, clock, reply, kind, words):
    page.broken = (lambda _request: None) if reply is None else reply
    with pytest.raises(Exception, match=words) as caught:
        Reader(page, clock, MAC).told()
    assert type(caught.value) is kind


@pytest.mark.parametrize("cursor", [{"v": 2, "open": {}, "looked": {}}, {"v": 1}, {"open": 3}])
def test_a_foreign_cursor_is_refused_without_a_request(page, clock, cursor):
    reader = Reader(page, clock, MAC)
    with pytest.raises(StateError, match="Status page"):
        reader.feed.changed_since(cursor)
    assert not page.requests
