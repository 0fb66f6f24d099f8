"""Every feed of advisories in the product, through the one list of checks."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.advisories.files import FileAdvisoryFeed
from tests.contracts.advisory_feed_checks import ADVISORY_FEED_CHECKS, FeedCase

if TYPE_CHECKING:
    from collections.abc import Callable
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


CASES = ("files",)


@pytest.mark.parametrize("check", ADVISORY_FEED_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", CASES)
def test_feed(name: str, check: Callable[[FeedCase], None], request: pytest.FixtureRequest) -> None:
    check(request.getfixturevalue(name))
