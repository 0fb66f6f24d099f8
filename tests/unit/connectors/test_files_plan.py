"""Planning: what is found, how it is sliced, how it is recognised; and the source over it."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.files import FilesSource, plan, read_unit
from pipeline.model.errors import ConfigError, StateError
from pipeline.model.reject import RejectReason
from tests.unit.connectors import vendor_records as v

ISSUE = {
    "id": "EX1",
    "title": "Some users cannot reach their mailboxes",
    "startDateTime": "2026-03-19T08:00:00Z",
    "impactDescription": "x",
    "classification": "incident",
    "posts": [],
}


def test_folders_patterns_and_names_give_each_file_once_in_order(tmp_path: Path) -> None:
    for name in ("b/2.json", "a/1.json", "b/c/3.txt", ".hidden", "b/.git/4.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(v.lines([v.sign_in(1)]))
    named = [str(tmp_path), str(tmp_path / "b/2.json"), str(tmp_path / "**/*.json")]
    found = [u.path for u in plan(named).units]
    assert found == [str(tmp_path / n) for n in ("a/1.json", "b/2.json", "b/c/3.txt")]
    assert plan(named) == plan(named[::-1])


def test_what_cannot_be_found_is_told(tmp_path: Path) -> None:
    layout = plan([str(tmp_path / "none"), str(tmp_path / "*.json")])
    assert not layout.units
    assert [r.reason for r in layout.rejects] == [RejectReason.UNREADABLE] * 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    (tmp_path / "a").write_bytes(v.lines([v.sign_in(1)]))
    found = v.Read(tmp_path)
    closed.chmod(0o700)
    assert len(found.rows) == 1
    assert [r.path for r in found.rejects] == [str(closed)]


def test_errors_of_the_file_system_become_rejects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good").write_bytes(v.lines([v.sign_in(1)]))
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    walk = os.walk

    def failing(folder: str, onerror: Any) -> Any:
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "closed")))
        return walk(folder, onerror=onerror)

    monkeypatch.setattr(os, "walk", failing)
    layout = plan([str(tmp_path)])
    assert [u.path for u in layout.units] == [str(tmp_path / "good")]
    assert [os.path.basename(r.path) for r in layout.rejects] == ["closed", "link"]  # noqa: PTH119 # of a string
    assert "permission denied" in layout.rejects[0].detail


def test_a_file_that_goes_away_before_it_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(v.lines([v.sign_in(1)]))
    (unit,) = plan([str(tmp_path)]).units
    (tmp_path / "a").unlink()
    (part,) = read_unit(unit, v.SETTINGS)
    assert (part.received, [r.reason for r in part.rejects]) == (1, [RejectReason.UNREADABLE])


def test_empty_files_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").write_bytes(b"\n \n")
    found = v.Read(tmp_path)
    assert (found.received, found.rejects, found.plan.empty_files) == (0, [], 2)
    (tmp_path / "c").write_bytes(b"[]")
    (tmp_path / "d").write_bytes(b'{"value": []}')
    assert (v.Read(tmp_path).received, v.Read(tmp_path).rejects) == (0, [])


def test_records_behind_many_blank_lines_are_found(tmp_path: Path) -> None:
    for name, blank in (("a", b"\n"), ("b", b"\0"), ("c", b" \r\n")):
        (tmp_path / name).write_bytes(blank * 300_000 + b"\n" + v.lines([v.sign_in(1)]))
    found = v.Read(tmp_path)
    assert len(found.rows) == 3
    assert [r.line for r in found.rejects] == [1]  # the NUL bytes


@pytest.mark.parametrize("data", [ISSUE, [ISSUE], {"value": [ISSUE]}])
def test_advisories_are_handed_over(data: Any, tmp_path: Path) -> None:
    (tmp_path / "issues.json").write_text(json.dumps(data, indent=2))
    (tmp_path / "log.json").write_bytes(v.lines([v.sign_in(1)]))
    layout = plan([str(tmp_path)])
    assert layout.advisory_paths == (str(tmp_path / "issues.json"),)
    assert len(layout.units) == 1


def test_slices_of_any_size_give_the_same_events_and_rejects(tmp_path: Path) -> None:
    records = [v.sign_in(n, padding="x" * (n % 50)) for n in range(12)]
    data = v.lines(records).replace(b"\n", b"\nbroken\n", 3)
    (tmp_path / "a").write_bytes(data)
    whole = v.Read(tmp_path)
    assert len(whole.rows) == 12
    assert len(whole.rejects) == 3
    for size in (97, 700, 1901, 5000, len(data) - 1, len(data)):
        found = v.Read(tmp_path, slice_bytes=size)
        assert len(found.plan.units) == -(-len(data) // size)
        assert found.rows == whole.rows
        assert found.bytes_read == found.plan.total_bytes == len(data)
        assert [r.offset for r in found.rejects] == [r.offset for r in whole.rejects]
        assert [r.line for r in found.rejects] == [r.line for r in whole.rejects]
        assert found.received == whole.received


def test_parts_are_bounded_and_repeatable(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(v.lines([v.sign_in(n) for n in range(2000)]))
    (unit,) = plan([str(tmp_path)]).units
    unit = pickle.loads(pickle.dumps(unit))  # noqa: S301 # our own bytes
    parts = list(read_unit(unit, v.SETTINGS, batch_rows=100))
    again = list(read_unit(unit, v.SETTINGS, batch_rows=100))
    assert len(parts) > 3
    assert [p.batch for p in parts] == [p.batch for p in again]
    assert sum(p.bytes_read for p in parts) == unit.size == plan([str(tmp_path)]).total_bytes


def test_a_file_that_grows_is_read_to_the_size_planned_and_noticed(tmp_path: Path) -> None:
    path = tmp_path / "PT1H.json"
    path.write_bytes(v.lines([v.envelope(v.sign_in(n)) for n in range(3)])[:-100])
    before = plan([str(path)])
    with path.open("ab") as out:
        out.write(b" " * 20 + v.lines([v.envelope(v.sign_in(n)) for n in range(3, 5)]))
    rows = [r for u in before.units for p in read_unit(u, v.SETTINGS) for r in p.batch.to_pylist()]
    assert len(rows) == 2
    after = plan([str(path)])
    assert {u.unit_id for u in before.units}.isdisjoint(u.unit_id for u in after.units)


def test_a_line_still_being_written_is_no_reject(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    whole = v.lines([v.sign_in(n) for n in range(3)])
    path.write_bytes(whole[:-30])
    found = v.Read(path)
    assert (len(found.rows), found.rejects) == (2, [])
    ((name, offset),) = found.tally.partial_tails
    assert (name, offset) == (str(path), whole.rstrip().rfind(b"\n") + 1)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 alone")
def test_a_name_that_is_no_utf8_is_a_name_like_any_other(tmp_path: Path) -> None:
    """Latin-1 from an old share: Python holds its bytes as half surrogate pairs."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    whole = v.lines([v.sign_in(n) for n in range(3)])
    contents = {
        b"whole\xe9.json": whole,
        b"cut\xe9.jsonl": whole[:-30],
        b"broken\xe9.jsonl": b"no json\n" + whole,
        b"table\xe9.parquet": v.parquet([v.portal(v.sign_in(n)) for n in range(3, 5)]),
        b"table\xe9.csv": v.table([v.portal(v.sign_in(n)) for n in range(5, 7)]),
        b"unknown\xe9": b'{"hello": "world"}\n',
    }
    Path(os.fsdecode(folder)).mkdir()
    for name, content in contents.items():
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(content)
    found = v.Read(tmp_path)
    assert len({row["event_id"] for row in found.rows}) == 7
    assert len({unit.unit_id for unit in found.plan.units}) == len(contents)
    shown = str(tmp_path / r"caf\udce9")
    told = {r.path: r.reason for r in found.rejects}
    assert told == {
        rf"{shown}/broken\udce9.jsonl": RejectReason.NOT_JSON,
        rf"{shown}/unknown\udce9": RejectReason.UNKNOWN_SHAPE,
    }
    assert [name for name, _ in found.tally.partial_tails] == [rf"{shown}/cut\udce9.jsonl"]


def test_standard_input_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [v.sign_in(n) for n in range(5)]
    page = json.dumps({"value": records}).encode()
    table = v.table([v.analytics(r, strings=True) for r in records])
    for data in (v.lines(records), page, v.packed_gzip(page), v.packed_zstd(page), table):
        stream = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", stream)
        found = v.Read("-")
        assert len(found.rows) == 5, data[:40]
        assert not found.rejects


def test_the_source_refuses_a_foreign_cursor(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(v.lines([v.sign_in(1)]))
    source = FilesSource([str(tmp_path)], v.SETTINGS)
    poll = source.poll(None)
    assert poll.finished
    assert source.poll(poll.cursor).received == 0
    with pytest.raises(StateError, match="start anew"):
        source.poll({**poll.cursor, "v": 2})


def test_settings_refuse_what_cannot_work_and_hide_the_key() -> None:
    with pytest.raises(ConfigError, match="privacy key"):
        v.NormaliseSettings(b"")
    with pytest.raises(ConfigError, match="address prefix"):
        v.NormaliseSettings(b"k", site_names={"Berlin": "x"})
    assert "a key of the tests" not in repr(v.SETTINGS)
