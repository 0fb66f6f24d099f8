"""Every feed of advisories in the product, through the one list of checks."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.advisories.files import FileAdvisoryFeed
from connectors.advisories.service_health import ServiceHealthFeed
from connectors.advisories.status_page import StatusPageFeed
from connectors.http.client import HttpClient
from pipeline.model.clock import ManualClock
from tests.contracts.advisory_feed_checks import ADVISORY_FEED_CHECKS, FeedCase
from tests.services.health import Health
from tests.services.server import serving
from tests.services.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER = "adele.vance@contoso.example"


def issue(advisory_id: str, modified: str) -> dict[str, Any]:
    return {
        "id": advisory_id,
        "title": "Users may be unable to access Exchange Online",
        "service": "Exchange Online",
        "status": "serviceDegradation",
        "classification": "incident",
        "startDateTime": "2026-03-19T07:30:00Z",
        "endDateTime": None,
        "lastModifiedDateTime": modified,
        "isResolved": False,
        "posts": [
            {
                "createdDateTime": modified,
                "postType": "regular",
                "description": {"contentType": "html", "content": "<p>We investigate.</p>"},
            }
        ],
    }


@pytest.fixture
def files(tmp_path: Path) -> FeedCase:
    first, second = issue("EX1", "2026-03-19T08:30:00+01:00"), issue("EX1", "2026-03-19T09:00:00Z")
    bad = {**issue("EX9", "2026-03-19T09:00:00Z"), "startDateTime": f"asked by {USER}"}
    (tmp_path / "page.json").write_text(json.dumps({"value": [first, bad]}))
    with gzip.open(tmp_path / "lines.jsonl.gz", "wt") as out:
        out.writelines(
            json.dumps(i) + "\n" for i in (first, second, issue("EX2", "2026-03-19T10:00:00Z"))
        )
    return FeedCase(
        make=lambda: FileAdvisoryFeed([str(tmp_path)]),
        versions={"EX1": 2, "EX2": 1},
        rejects=1,
        secrets=(USER,),
    )


@pytest.fixture
def service_health() -> Iterator[FeedCase]:
    clock = ManualClock(datetime(2026, 3, 19, 12, tzinfo=UTC))
    graph = Health(clock)
    graph.issue("EX1", text="User impact: Users can't access their mailbox.")
    graph.issue("EX2", startDateTime="2026-03-19T08:30:00+01:00")
    graph.issue("EX9", startDateTime=f"asked by {USER}")
    graph.overview("Exchange", "Exchange Online", "serviceDegradation")
    graph.message("MC1", "stayInformed", "New look", "A new look is coming.")
    graph.message("MC2", "preventOrFixIssue", "Users can't access their mailbox", "IMAP4")
    graph.largest = 2
    with serving(graph):
        yield FeedCase(
            make=lambda: ServiceHealthFeed(
                HttpClient("Microsoft Graph", graph.root, clock=clock), clock=clock
            ),
            versions={"EX1": 1, "EX2": 1, "MC2": 1},
            rejects=1,
            secrets=(USER,),
        )


@pytest.fixture
def status_page() -> Iterator[FeedCase]:
    now = datetime(2026, 3, 19, 12, tzinfo=UTC)
    clock = ManualClock(now)
    page = Status(clock)
    text = "Users are unable to sign in through Microsoft Entra ID."
    page.azure = {n: ("Microsoft Entra ID", text, now - timedelta(hours=int(n))) for n in "12"}
    with serving(page):
        address = page.address("/en-us/status/feed/")

        def make() -> StatusPageFeed:
            http = HttpClient("Status page", page.root, clock=clock)
            return StatusPageFeed(http, address, clock=clock)

        told = make().changed_since(None).advisories
        yield FeedCase(make=make, versions={a.advisory_id: 1 for a in told})
        assert len(told) == 2


CASES = ("files", "service_health", "status_page")


@pytest.mark.parametrize("check", ADVISORY_FEED_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", CASES)
def test_feed(name: str, check: Callable[[FeedCase], None], request: pytest.FixtureRequest) -> None:
    check(request.getfixturevalue(name))
