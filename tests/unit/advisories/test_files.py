from __future__ import annotations

import bz2
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from connectors.advisories.files import FileAdvisoryFeed
from connectors.advisories.unpack import MAX_BYTES
from pipeline.model.errors import StateError
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def issue(number: int = 1, modified: str = "2026-03-02T09:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "id": f"EX90000{number}",
        "title": "Users can't access their mailbox",
        "service": "Exchange Online",
        "status": "serviceDegradation",
        "classification": "incident",
        "startDateTime": "2026-03-02T07:00:00Z",
        "endDateTime": None,
        "lastModifiedDateTime": modified,
        "isResolved": False,
        "impactDescription": "Users can't connect with IMAP4.",
        "posts": [
            {
                "createdDateTime": "2026-03-02T08:00:00.1234567Z",
                "postType": "regular",
                "description": {"contentType": "html", "content": "Title: T<br>More info: IMAP4"},
            }
        ],
        **more,
    }


def ids(*paths: object) -> list[str]:
    poll = FileAdvisoryFeed([str(p) for p in paths]).changed_since(None)
    assert not poll.rejects
    return [a.advisory_id for a in poll.advisories]


FORMS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "array": json.dumps,
    "page": lambda items: json.dumps({"@odata.context": "x", "value": items}),
    "overviews": lambda items: json.dumps(
        {"value": [{"service": "Exchange Online", "id": "Exchange", "issues": items}]}
    ),
    "lines": lambda items: "\n".join(json.dumps(i) for i in items) + "\n",
    "pages by line": lambda items: "\n".join(json.dumps({"value": [i]}) for i in items),
    "pretty": lambda items: json.dumps(items, indent=1),
    "lower case names": lambda items: json.dumps(
        [{k.lower(): v for k, v in i.items()} for i in items]
    ),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda b: b,
    "gzip": gzip.compress,
    "two gzip members": lambda b: gzip.compress(b[:20]) + gzip.compress(b[20:]),
    "zstd": zstandard.compress,
    "two zstd frames": lambda b: zstandard.compress(b[:20]) + zstandard.compress(b[20:]),
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "utf-16": lambda b: b.decode().encode("utf-16"),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_every_packing(tmp_path: Path, form: str, packing: str) -> None:
    path = tmp_path / "advisories.json"
    path.write_bytes(PACKINGS[packing](FORMS[form]([issue(1), issue(2)]).encode()))
    assert ids(path) == ["EX900001", "EX900002"]


def test_one_issue_folders_globs_and_doubled_paths(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.json").write_text(json.dumps(issue(1)))
    (tmp_path / "b.jsonl").write_text(json.dumps(issue(2)))
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    assert ids(tmp_path) == ["EX900001", "EX900002"]
    assert ids(tmp_path / "*.jsonl") == ["EX900002"]
    assert ids(tmp_path, tmp_path / "b.jsonl", tmp_path / "**" / "*.json*") == [
        "EX900001",
        "EX900002",
    ]


def test_versions_are_kept_in_order_and_told_once(tmp_path: Path) -> None:
    old, new = issue(1), issue(1, "2026-03-03T09:00:00Z", status="serviceRestored")
    (tmp_path / "new.json").write_text(json.dumps(new))
    (tmp_path / "old.json").write_text(json.dumps({"value": [old, old]}))
    feed = FileAdvisoryFeed([str(tmp_path)])
    first = feed.changed_since(None)
    assert [a.status for a in first.advisories] == ["serviceDegradation", "serviceRestored"]
    assert first.received == 3
    (tmp_path / "later.json").write_text(json.dumps(issue(2)))
    second = feed.changed_since(json.loads(json.dumps(first.cursor)))
    assert [a.advisory_id for a in second.advisories] == ["EX900002"]
    assert not feed.changed_since(second.cursor).advisories


def test_the_cursor_holds_what_is_there_and_survives_a_folder_that_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "advisories"
    folder.mkdir()
    feed, cursor = FileAdvisoryFeed([str(folder)]), None
    for number in range(1, 6):
        (folder / "current.json").write_text(json.dumps(issue(number)))
        poll = feed.changed_since(cursor)
        assert [a.advisory_id for a in poll.advisories] == [f"EX90000{number}"]
        cursor = poll.cursor
    assert len(cursor["seen"]) == 1
    folder.rename(tmp_path / "away")
    cursor = feed.changed_since(cursor).cursor
    (tmp_path / "away").rename(folder)
    assert not feed.changed_since(cursor).advisories


@pytest.mark.parametrize("cursor", [{"v": 2, "seen": []}, {"v": 1}, {"seen": []}])
def test_a_foreign_cursor_is_refused(tmp_path: Path, cursor: dict[str, Any]) -> None:
    with pytest.raises(StateError, match="advisory cursor"):
        FileAdvisoryFeed([str(tmp_path)]).changed_since(cursor)


def test_message_center_posts_are_ignored_and_counted(tmp_path: Path) -> None:
    message = {
        "id": "MC100",
        "title": "New thing",
        "body": {"content": "x"},
        "category": "stayInformed",
    }
    unnumbered = {"body": {"content": "x"}, "category": "stayInformed"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([issue(1), message, unnumbered]))
    poll = FileAdvisoryFeed([str(path)]).changed_since(None)
    assert (len(poll.advisories), poll.ignored, poll.received, list(poll.rejects)) == (1, 2, 3, [])


def test_fields_of_graph_and_of_powershell(tmp_path: Path) -> None:
    graph = issue(1)
    shell = {
        "Id": "EX900002",
        "Title": "Users can't access their mailbox",
        "Service": "Exchange Online",
        "Status": "ServiceRestored",
        "StartDateTime": "/Date(1772434800000)/",
        "LastModifiedDateTime": {"value": "/Date(1772442000000)/", "DateTime": "Monday"},
        "Posts": {"CreatedDateTime": "2026-03-02T08:00:00", "Description": {"Content": "More info: IMAP4"}},
    }  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps([graph, shell]))
    one, two = FileAdvisoryFeed([str(path)]).changed_since(None).advisories
    assert one.start_at == two.start_at
    assert one.last_modified_at == two.last_modified_at
    assert one.clients == two.clients
    assert two.is_resolved
    assert one.posts[0].created_at.microsecond == 123456
    assert one.first_seen_at is None


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        ({"id": None}, RejectReason.MISSING_FIELD, "id"),
        ({"id": "one; drop"}, RejectReason.BAD_VALUE, "id"),
        ({"startDateTime": "yesterday"}, RejectReason.BAD_TIME, "startdatetime"),
        ({"lastModifiedDateTime": 5}, RejectReason.BAD_TIME, "lastmodifieddatetime"),
        ({"startDateTime": "2026-13-40T00:00:00Z"}, RejectReason.BAD_TIME, "startdatetime"),
        ({"posts": "none"}, RejectReason.BAD_VALUE, "posts"),
        ({"posts": ["x"]}, RejectReason.BAD_VALUE, "posts[0]"),
        ({"posts": [{"postType": "x"}]}, RejectReason.MISSING_FIELD, "posts[0].createdDateTime"),
    ],
)
def test_a_bad_record_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, change: dict[str, Any], reason: RejectReason, word: str
) -> None:
    path = tmp_path / "a.json"
    private = "jane.doe@contoso.example"
    path.write_text(json.dumps([issue(1), {**issue(2), "title": private, **change}, issue(3)]))
    poll = FileAdvisoryFeed([str(path)]).changed_since(None)
    assert [a.advisory_id for a in poll.advisories] == ["EX900001", "EX900003"]
    (reject,) = poll.rejects
    assert (reject.path, reject.record, reject.reason) == (str(path), 1, reason)
    assert word in reject.detail
    assert private not in repr(reject)


def bomb() -> bytes:
    """Made where it is needed: packing it takes a second."""
    return gzip.compress(b" " * (MAX_BYTES + 10), 9)


HOSTILE: dict[str, tuple[bytes | Callable[[], bytes], RejectReason]] = {
    "no JSON": (b"hello", RejectReason.NOT_JSON),
    "cut JSON": (b'{"id": "EX1", "title": ', RejectReason.NOT_JSON),
    "cut gzip": (gzip.compress(b'{"id":"EX900001"}' * 99)[:-20], RejectReason.TRUNCATED),
    "cut zstd": (zstandard.compress(b'{"id":"EX900001"}')[:-4], RejectReason.TRUNCATED),
    "damaged zstd": (b"\x28\xb5\x2f\xfd" + b"\xff" * 40, RejectReason.TRUNCATED),
    "latin-1": ('{"id":"EX900001","title":"Müller"}'.encode("latin-1"), RejectReason.BAD_ENCODING),
    "other packing": (bz2.compress(b"{}"), RejectReason.BAD_ENCODING),
    "deep": (b"[" * 100_000 + b"]" * 100_000, RejectReason.TOO_DEEP),
    "deep objects": (b'{"value":[' * 50_000 + b"]}" * 50_000, RejectReason.TOO_DEEP),
    "a number": (b"5", RejectReason.UNKNOWN_SHAPE),
    "bomb": (bomb, RejectReason.TOO_LARGE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_one_reject_and_the_next_file_is_read(tmp_path: Path, name: str) -> None:
    data, reason = HOSTILE[name]
    (tmp_path / "a.json").write_bytes(data if isinstance(data, bytes) else data())
    (tmp_path / "b.json").write_text(json.dumps(issue(1)))
    poll = FileAdvisoryFeed([str(tmp_path)]).changed_since(None)
    assert [a.advisory_id for a in poll.advisories] == ["EX900001"]
    assert [(r.path, r.reason) for r in poll.rejects] == [(str(tmp_path / "a.json"), reason)]


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{json.dumps(issue(1))}\n{{"id": \n\n{json.dumps(issue(2))}\n')
    poll = FileAdvisoryFeed([str(path)]).changed_since(None)
    assert len(poll.advisories) == 2
    assert [(r.line, r.reason) for r in poll.rejects] == [(2, RejectReason.NOT_JSON)]


def test_empty_files_are_no_trouble_and_missing_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("")
    assert not FileAdvisoryFeed([str(tmp_path / "a.json")]).changed_since(None).rejects
    poll = FileAdvisoryFeed([str(tmp_path / "gone.json")]).changed_since(None)
    assert [r.reason for r in poll.rejects] == [RejectReason.UNREADABLE]
