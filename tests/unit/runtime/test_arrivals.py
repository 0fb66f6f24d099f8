"""Files as a live source: added to, taken away and changed while they are read."""

from __future__ import annotations

import json
import os
import resource
from datetime import timedelta
from pathlib import Path

import pytest
from structlog import get_logger
from structlog.testing import capture_logs

from connectors.normalise.settings import NormaliseSettings
from pipeline.model.errors import RetriableError
from pipeline.runtime import arrivals_cursor
from pipeline.runtime.arrivals import Arrivals
from tests.unit.connectors.vendor_records import START, TENANT, sign_in, stamp

SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=TENANT)


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def write(folder, name, numbers, *, day=0):
    """A file with one sign-in for each number, in that many seconds of a day."""
    at = START + timedelta(days=day)
    records = [
        sign_in(n, createdDateTime=stamp(at + timedelta(seconds=n)), isInteractive=False)
        for n in numbers
    ]
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in records))


def source(logs, *, rows=100, follow=True, **more):
    spool = logs.parent / "spool"
    return Arrivals([str(logs)], SETTINGS, spool, delays={}, batch_rows=rows, follow=follow, **more)


def ids(poll):
    return [i for t in poll.batches for i in t.column("event_id").to_pylist()]


def read(arrivals, cursor=None, polls=100):
    """Everything that is there, and the cursor after it."""
    found, idle = [], 0
    for _ in range(polls):
        poll = arrivals.poll(cursor)
        cursor = json.loads(json.dumps(poll.cursor))
        found += ids(poll)
        idle = 0 if poll.batches else idle + 1
        if idle == 2:  # the first tells the end of these files, the second that there are no more
            break
    return found, cursor


def test_a_file_that_is_added_is_read_next(logs):
    write(logs, "a.jsonl", range(10))
    arrivals = source(logs)
    found, cursor = read(arrivals)
    assert len(set(found)) == 10
    write(logs, "b.jsonl", range(10, 25))
    more, cursor = read(arrivals, cursor)
    assert len(set(more) - set(found)) == 15
    assert read(arrivals, cursor)[0] == []


def test_a_file_added_while_others_are_read_changes_nothing_for_them(logs):
    write(logs, "b.jsonl", range(100))
    arrivals = source(logs, rows=30)
    found, cursor = read(arrivals, polls=2)
    write(logs, "a.jsonl", range(100, 200))
    more, _ = read(arrivals, cursor)
    assert len(found + more) == len({*found, *more}) == 200


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["grows", "goes"])
def test_a_file_that_changes_while_it_is_read_loses_no_record_of_another(logs, how, restarted):
    write(logs, "a.jsonl", range(0, 200, 2))
    write(logs, "b.jsonl", range(1, 200, 2))
    whole = set(read(source(logs))[0])
    other = set(read(source(logs / "a.jsonl"))[0])
    arrivals = source(logs, rows=30)
    found, cursor = read(arrivals, polls=2)
    if how == "grows":
        write(logs, "b.jsonl", range(1, 300, 2))
    else:
        (logs / "b.jsonl").unlink()
    more, _ = read(source(logs, rows=30) if restarted else arrivals, cursor)
    assert len(whole) == 2 * len(other) == 200
    told = {*found, *more}
    if how == "grows":
        assert whole < told
        assert len(told) == 250
    else:
        assert other <= told


def test_files_that_are_long_gone_are_forgotten(logs, monkeypatch):
    monkeypatch.setattr(arrivals_cursor, "_GONE", 5)
    arrivals = source(logs)
    cursor = None
    for number in range(30):
        write(logs, f"{number}.jsonl", [number])
        found, cursor = read(arrivals, cursor)
        assert len(found) == 1
        if number >= 2:
            (logs / f"{number - 2}.jsonl").unlink()
    assert len(cursor["done"]) <= 5 + 3


def test_a_folder_that_is_away_for_a_moment_is_not_read_again(logs, monkeypatch):
    monkeypatch.setattr(arrivals_cursor, "_GONE", 0)
    write(logs, "a.jsonl", range(10))
    arrivals = source(logs)
    _, cursor = read(arrivals)
    logs.rename(logs.parent / "away")
    nothing, cursor = read(arrivals, cursor)
    (logs.parent / "away").rename(logs)
    assert nothing == read(arrivals, cursor)[0] == []


def test_without_space_for_the_parsed_records_it_is_tried_again_later(logs):
    write(logs, "a.jsonl", range(200))
    arrivals = source(logs)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RetriableError, match="free some space"):
            arrivals.poll(None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(read(arrivals)[0]) == 200


def test_asked_to_stop_it_leaves_the_parsing_for_the_next_start(logs):
    for number in range(4):
        write(logs, f"{number}.jsonl", range(10 * number, 10 * number + 10))
    asked = []
    arrivals = source(logs, stop=lambda: bool(asked))
    asked.append(1)
    poll = arrivals.poll(None)
    assert (list(poll.batches), poll.finished, poll.cursor["done"]) == ([], False, [])
    asked.clear()
    assert len(read(arrivals, poll.cursor)[0]) == 40


def told(arrivals, cursor, polls=4):
    """The names of the files that were set aside, and the cursor after it."""
    found = []
    for _ in range(polls):
        poll = arrivals.poll(cursor)
        cursor = json.loads(json.dumps(poll.cursor))
        found += [Path(r.path).name for r in poll.rejects]
        assert poll.received == sum(t.num_rows for t in poll.batches) + len(poll.rejects)
    return found, cursor


def test_an_unusable_file_is_told_once_whenever_it_comes(logs):
    write(logs, "a.jsonl", range(3))
    (logs / "early.txt").write_text("no log\n")
    (found, cursor), arrivals = told(source(logs), None), source(logs)
    assert found == ["early.txt"]
    (logs / "late.json.bz2").write_bytes(b"BZh91AY")
    write(logs, "b.jsonl", range(3, 6))
    found, cursor = told(arrivals, cursor)
    assert found == ["late.json.bz2"]
    assert told(source(logs), cursor)[0] == []


def test_the_log_names_the_first_of_the_unusable_files_that_came(logs):
    write(logs, "a.jsonl", range(3))
    for name in ("x.json.bz2", "y.txt"):
        (logs / name).write_bytes(b"BZh91AY")
    with capture_logs() as lines:
        told(source(logs, log=get_logger()), None)
    (line,) = lines
    assert (line["log_level"], line["files"]) == ("warning", 2)
    assert line["first"] == str(logs / "x.json.bz2")
    assert "packed with bzip2" in line["error"]


def test_a_cursor_of_an_earlier_version_goes_on_and_tells_what_it_never_told(logs):
    write(logs, "a.jsonl", range(3))
    _, cursor = told(source(logs), None)
    assert "told" not in cursor
    (logs / "late.txt").write_text("no log\n")
    found, after = told(source(logs), cursor)
    assert found == ["late.txt"]
    assert {**after, "told": None} == {**cursor, "told": None}


def test_an_unusable_file_is_told_again_when_it_has_changed_and_come_to_rest(logs):
    bad = logs / "notes.txt"
    bad.write_text("no log\n")
    os.utime(bad, ns=(0, 10**9))
    found, cursor = told(source(logs), None)
    for line in range(3):  # its program still writes
        bad.write_text("no log\n" * line)
        more, cursor = told(source(logs), cursor)
        found += more
    bad.write_text("no log either\n")
    os.utime(bad, ns=(0, 2 * 10**9))
    more, cursor = told(source(logs), cursor)
    assert found + more == ["notes.txt", "notes.txt"]
    bad.unlink()
    write(logs, "notes.txt", range(3))
    found, cursor = told(source(logs), cursor)
    assert found == []


def test_unusable_files_that_are_long_gone_are_forgotten(logs, monkeypatch):
    monkeypatch.setattr(arrivals_cursor, "_GONE", 5)
    cursor, arrivals = None, source(logs)
    for number in range(20):
        (logs / f"{number}.txt").write_text("no log\n")
        found, cursor = told(arrivals, cursor, polls=1)
        assert found == [f"{number}.txt"]
        (logs / f"{number}.txt").unlink()
    assert len(cursor["told"]) <= 5 + 2
