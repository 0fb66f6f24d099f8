"""The file feed keeps the promises of every advisory feed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.advisories.files import FileAdvisoryFeed
from tests.contracts.advisory_feed_checks import ADVISORY_FEED_CHECKS, FeedCase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def issue(advisory_id: str, day: int, **more: Any) -> dict[str, Any]:
    return {
        "id": advisory_id,
        "title": "Users can't access their mailbox",
        "service": "Exchange Online",
        "status": "serviceDegradation",
        "startDateTime": "2026-03-02T07:00:00+01:00",
        "lastModifiedDateTime": f"2026-03-{day:02}T09:00:00Z",
        "posts": [
            {
                "createdDateTime": "2026-03-02T08:00:00Z",
                "description": {"contentType": "html", "content": "More info: IMAP4"},
            }
        ],
        **more,
    }


@pytest.fixture
def case(tmp_path: Path) -> FeedCase:
    secret = "jane.doe@contoso.example"  # noqa: S105 # a made-up address that must not be quoted
    pages = [issue("EX900001", 2), issue("EX900001", 3), issue("TM900002", 2), {"id": "MC1"}]
    (tmp_path / "a.json").write_text(json.dumps({"value": pages}))
    broken = [issue("EX900003", 2, title=secret, posts=secret), {"title": secret}]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(i) for i in [*broken, pages[0]]))
    return FeedCase(
        make=lambda: FileAdvisoryFeed([str(tmp_path)]),
        versions={"EX900001": 2, "TM900002": 1},
        rejects=2,
        secrets=(secret,),
    )


@pytest.mark.parametrize("check", ADVISORY_FEED_CHECKS, ids=lambda c: c.__name__)
def test_the_file_feed(case: FeedCase, check: Callable[[FeedCase], None]) -> None:
    check(case)
