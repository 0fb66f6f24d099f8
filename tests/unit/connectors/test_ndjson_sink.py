"""Files of documents: each revision once, whoever appends beside, whatever was cut off."""

from __future__ import annotations

import fcntl
import json
import random
import threading

import pytest

from connectors.sinks import ndjson
from connectors.sinks.ndjson import NdjsonSink
from pipeline.model.errors import FatalError, RetriableError


def document(revision, name="x-1", **more):
    return {"flag_id": name, "revision": revision, **more}


def revisions(folder):
    return [json.loads(line)["revision"] for line in lines(folder)]


def lines(folder):
    return (folder / "flags.ndjson").read_text().splitlines()


def test_a_restart_appends_nothing_again(tmp_path):
    NdjsonSink(tmp_path).deliver([document(1), document(2)])
    done = NdjsonSink(tmp_path).deliver([document(1), document(2), document(3)])
    assert len(done.accepted) == 3
    assert revisions(tmp_path) == [1, 2, 3]


def test_the_same_document_twice_in_a_portion_is_appended_once(tmp_path):
    done = NdjsonSink(tmp_path).deliver([document(1), document(1)])
    assert done.accepted == [("x-1", 1)]
    assert revisions(tmp_path) == [1]


def test_a_line_that_was_cut_off_is_taken_back(tmp_path):
    sink = NdjsonSink(tmp_path)
    sink.deliver([document(1)])
    with (tmp_path / "flags.ndjson").open("a") as file:
        file.write('{"flag_id": "x-1", "revision": 2, "half')
    sink.deliver([document(2)])
    assert revisions(tmp_path) == [1, 2]


def test_those_that_share_a_folder_append_each_revision_once_and_in_order(tmp_path):
    wanted = [document(n, name) for n in range(1, 41) for name in "abc"]
    failures = []

    def work(seed):
        sink, chance, at = NdjsonSink(tmp_path), random.Random(seed), 0
        while at < len(wanted):
            portion = wanted[at : at + chance.randint(1, 9)]
            done = sink.deliver(portion)
            if done.retry_after is None:
                at += len(portion)
            elif done.retry_after > 1.0:
                failures.append(done)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [json.loads(line) for line in lines(tmp_path)] == wanted


def test_while_another_holds_the_file_it_asks_for_a_moment(tmp_path):
    sink = NdjsonSink(tmp_path)
    sink.deliver([document(1)])
    with (tmp_path / "flags.ndjson").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = sink.deliver([document(2), {"incident_id": "i", "revision": 1}])
        assert done.accepted == []
        assert 0 < done.retry_after < 1
    assert sink.deliver([document(2)]).accepted == [("x-1", 2)]


def test_a_file_that_was_moved_away_is_made_anew_without_the_old_lines(tmp_path):
    sink = NdjsonSink(tmp_path)
    sink.deliver([document(1), document(2)])
    (tmp_path / "flags.ndjson").rename(tmp_path / "flags.1.ndjson")
    sink.deliver([document(2), document(3)])
    assert revisions(tmp_path) == [3]


def test_lines_that_are_not_ours_are_passed_over(tmp_path):
    (tmp_path / "flags.ndjson").write_text('no json\n[1]\n{"flag_id": "x-1"}\n\n"text"\n')
    NdjsonSink(tmp_path).deliver([document(1)])
    assert json.loads(lines(tmp_path)[-1]) == document(1)


def test_what_is_kept_in_mind_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(ndjson, "_KEYS", 50)
    sink = NdjsonSink(tmp_path)
    for n in range(1, 200):
        sink.deliver([document(n)])
    assert len(sink._files["flags.ndjson"]._known) == 50
    sink.deliver([document(n) for n in range(160, 200)])
    assert revisions(tmp_path) == list(range(1, 200))


def test_only_the_end_of_a_large_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(ndjson, "_LOOK_BACK", 2000)
    first = NdjsonSink(tmp_path)
    first.deliver([document(n, pad="y" * 50) for n in range(1, 200)])
    again = NdjsonSink(tmp_path)
    again.deliver([document(n, pad="y" * 50) for n in range(190, 202)])
    assert revisions(tmp_path) == list(range(1, 202))
    assert len(again._files["flags.ndjson"]._known) < 50


def test_half_of_a_surrogate_pair_is_written_as_json_can_say_it(tmp_path):
    NdjsonSink(tmp_path).deliver([document(1, text="\ud800 and \u202e")])
    assert json.loads(lines(tmp_path)[0])["text"] == "\ud800 and \u202e"


def test_a_full_disk_is_waited_for_and_what_was_half_written_is_taken_back(tmp_path, monkeypatch):
    sink = NdjsonSink(tmp_path)
    sink.deliver([document(1)])

    def full(_number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ndjson.os, "fsync", full)
        with pytest.raises(RetriableError, match="free some space"):
            sink.deliver([document(2), document(3)])
    sink.deliver([document(2), document(3)])
    assert revisions(tmp_path) == [1, 2, 3]


def test_a_folder_that_is_none_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(FatalError, match="choose another folder"):
        NdjsonSink(path).deliver([document(1)])
