"""Files that are begun anew: each revision once over all of them, whoever is killed at what."""

from __future__ import annotations

import fcntl
import gzip
import json
import multiprocessing
import os
import random
import re
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from connectors.sinks import rotating
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.files import FilesSink
from connectors.sinks.rotating import Rotation
from pipeline.model.clock import ManualClock
from pipeline.model.errors import FatalError, RetriableError
from tests.sinks.records import record
from tests.unit.connectors.encoded import hostile_incident, incident

NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)
JSON = FORMS["json"]
SMALL = Rotation(octets=2_000, keep=1000)
# A fork of a process that has imported everything starts in a moment; this one has no threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def document(revision, name="inc-1", **more):
    return {"incident_id": name, "revision": revision, "pad": "y" * 200, **more}


def full(folder, kind="incidents"):
    """The full files, oldest first."""
    return sorted(p for p in folder.iterdir() if p.name.startswith(f"{kind}-"))


def keys(folder, form=JSON, kind="incidents"):
    """What all files hold, in order."""
    found = []
    for path in [*full(folder, kind), folder / f"{kind}{form.suffix}"]:
        if path.exists():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            found += [form.key(line) for line in data.decode().split("\n")[:-1]]
    return found


def numbers(folder, form=JSON):
    return [revision for _, revision in keys(folder, form)]


def test_a_full_file_goes_aside_and_a_new_one_begins(tmp_path):
    sink = FilesSink(tmp_path, JSON, SMALL, ManualClock(NOW))
    for n in range(1, 21):
        assert sink.deliver([document(n)]).accepted == [("inc-1", n)]
    sizes = [path.stat().st_size for path in full(tmp_path)]
    assert len(sizes) > 1
    assert all(1_500 < size <= 2_000 for size in sizes)
    assert numbers(tmp_path) == list(range(1, 21))
    assert {re.sub(r"\d", "0", p.name) for p in full(tmp_path)} == {
        "incidents-00000000T000000000000Z.ndjson"
    }


def test_a_new_day_begins_a_new_file(tmp_path):
    clock = ManualClock(datetime.now(UTC))
    sink = FilesSink(tmp_path, JSON, Rotation(daily=True), clock)
    sink.deliver([document(1)])
    sink.deliver([document(2)])
    assert full(tmp_path) == []
    clock.advance(timedelta(days=1))
    sink.deliver([document(3)])
    assert [p.name[:19] for p in full(tmp_path)] == [f"incidents-{clock.now():%Y%m%dT}"]
    assert numbers(tmp_path) == [1, 2, 3]


def test_a_portion_larger_than_a_file_stays_together(tmp_path):
    sink = FilesSink(tmp_path, JSON, SMALL, ManualClock(NOW))
    sink.deliver([document(n) for n in range(1, 31)])
    sink.deliver([document(31)])
    assert len(full(tmp_path)) == 1
    assert numbers(tmp_path) == list(range(1, 32))


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_so_many_are_kept_and_the_oldest_are_deleted(tmp_path, compress):
    rotation = Rotation(octets=2_000, keep=3, compress=compress)
    sink = FilesSink(tmp_path, JSON, rotation, ManualClock(NOW))
    for n in range(1, 51):
        sink.deliver([document(n)])
    assert len(full(tmp_path)) == 3
    assert numbers(tmp_path) == list(range(numbers(tmp_path)[0], 51))
    assert {p.suffix for p in full(tmp_path)} == {".gz" if compress else ".ndjson"}


def test_a_restart_appends_nothing_again_that_stands_in_a_full_file(tmp_path):
    rotation = Rotation(octets=2_000, keep=1000, compress=True)
    wanted = [document(n) for n in range(1, 31)]
    for n in range(1, 31):
        FilesSink(tmp_path, JSON, rotation, ManualClock(NOW)).deliver(wanted[max(0, n - 12) : n])
    assert len(full(tmp_path)) > 2
    assert numbers(tmp_path) == list(range(1, 31))


def test_only_the_end_of_what_is_full_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rotating, "_LOOK_BACK", 4_000)
    for compress in (False, True):
        folder = tmp_path / str(compress)
        rotation = Rotation(octets=20_000, keep=1000, compress=compress)
        sink = FilesSink(folder, JSON, rotation, ManualClock(NOW))
        sink.deliver([document(n) for n in range(1, 70)])
        sink.deliver([document(n) for n in range(70, 101)])
        assert len(full(folder)) == 1
        again = FilesSink(folder, JSON, rotation, ManualClock(NOW))
        again.deliver([document(n) for n in range(90, 103)])
        assert numbers(folder) == list(range(1, 103))
        assert len(again._series["incidents"]._known) < 40


def test_a_clock_that_was_set_back_does_not_change_the_order(tmp_path):
    clock = ManualClock(NOW)
    sink = FilesSink(tmp_path, JSON, SMALL, clock)
    for n in range(1, 41):
        clock.advance(timedelta(hours=-1))
        sink.deliver([document(n)])
    assert numbers(tmp_path) == list(range(1, 41))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_has_files_of_its_own_in_one_folder(tmp_path, form):
    rotation = Rotation(octets=20_000, compress=True)
    for other in FORMS.values():
        for n in range(1, 13):
            sink = FilesSink(tmp_path, other, rotation, ManualClock(NOW))
            sink.deliver([hostile_incident() | {"revision": n}, incident(revision=n)])
    path = tmp_path / f"incidents{form.suffix}"
    lines = path.read_text("utf-8").split("\n")[:-1]
    for packed in sorted(tmp_path.glob(f"incidents-*Z{form.suffix}.gz")):
        lines = gzip.decompress(packed.read_bytes()).decode().split("\n")[:-1] + lines
    assert sorted({form.key(line) for line in lines}) == sorted(form.key(line) for line in lines)
    assert {n for _, n in map(form.key, lines)} == set(range(1, 13))


class KilledError(BaseException):
    pass


def killing(at, when):
    """Kill at the so-manieth step that changes a name or brings something to the disk."""
    left = [at]

    def wrap(real):
        def step(*args, **options):
            left[0] -= 1
            if left[0] == 0 and when == "before":
                raise KilledError
            done = real(*args, **options)
            if left[0] == 0:
                raise KilledError
            return done

        return step

    stack = ExitStack()
    for owner, name in [
        (rotating.os, "fsync"), (Path, "rename"), (Path, "unlink"), (Path, "touch"),
    ]:  # fmt: skip
        stack.enter_context(mock.patch.object(owner, name, wrap(getattr(owner, name))))
    return stack


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_of_a_rotation_each_revision_stands_once(tmp_path, when):
    rotation = Rotation(octets=2_000, keep=1000, compress=True)
    killed = 0
    for at in range(1, 60):
        folder = tmp_path / str(at)
        wanted = [document(n) for n in range(1, 16)]
        sink = FilesSink(folder, JSON, rotation, ManualClock(NOW))
        with killing(at, when):
            try:
                for n in range(1, 16):
                    sink.deliver([wanted[n - 1]])
            except KilledError:
                killed += 1
        # Whatever was not noted comes again, and all of it to a new process.
        again = FilesSink(folder, JSON, rotation, ManualClock(NOW))
        for n in range(0, 15, 5):
            again.deliver(wanted[n : n + 5])
        assert numbers(folder) == list(range(1, 16)), at
        again.deliver([document(16)])
        names = {p.name for p in folder.iterdir()}
        assert not [name for name in names if name.endswith(".part") or f"{name}.gz" in names]
    assert killed > 20


def test_a_line_that_was_cut_off_is_taken_back(tmp_path):
    sink = FilesSink(tmp_path, JSON, SMALL, ManualClock(NOW))
    sink.deliver([document(1)])
    with (tmp_path / "incidents.ndjson").open("a") as file:
        file.write('{"incident_id": "inc-1", "revision": 2, "half')
    sink.deliver([document(2)])
    assert numbers(tmp_path) == [1, 2]


def test_while_another_holds_the_lock_it_asks_for_a_moment(tmp_path):
    sink = FilesSink(tmp_path, JSON)
    sink.deliver([document(1)])
    with (tmp_path / ".incidents.ndjson.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = sink.deliver([document(2), {"flag_id": "f", "revision": 1}])
        assert done.accepted == []
        assert 0 < done.retry_after < 1
    assert sink.deliver([document(2)]).accepted == [("inc-1", 2)]


def test_those_that_share_a_folder_append_each_revision_once_and_in_order(tmp_path):
    wanted = [document(n, name) for n in range(1, 31) for name in ("inc-a", "inc-b")]
    rotation = Rotation(octets=3_000, keep=1000, compress=True)

    def work(seed):
        sink, chance, at = FilesSink(tmp_path, JSON, rotation), random.Random(seed), 0
        while at < len(wanted):
            portion = wanted[at : at + chance.randint(1, 9)]
            if sink.deliver(portion).retry_after is None:
                at += len(portion)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(full(tmp_path)) > 2
    assert keys(tmp_path) == [key_of(d) for d in wanted]


def _deliver(folder, name):
    """A worker process: hands over its own id's revisions, from the first, for ever."""
    sink = FilesSink(Path(folder), JSON, Rotation(octets=3_000, keep=10_000, compress=True))
    place = Path(folder).with_name(f"{name}.settled")
    at = int(place.read_text()) if place.exists() else 0
    while True:
        portion = [document(at + n, name) for n in range(1, 4)]
        if len(sink.deliver(portion).accepted) == 3:
            at += 3
            draft = place.with_suffix(".new")
            draft.write_text(str(at))
            draft.replace(place)


@pytest.mark.timeout(120)
def test_processes_that_are_killed_at_random_leave_each_revision_once(tmp_path):
    folder, chance = tmp_path / "out", random.Random(11)
    folder.mkdir()

    def start(name):
        made = PROCESSES.Process(target=_deliver, args=(str(folder), name), daemon=True)
        made.start()
        return made

    names = ["inc-a", "inc-b"]
    running = {name: start(name) for name in names}
    kills = int(os.environ.get("OUTRIDER_TEST_KILLS", "10"))
    while kills:
        name, before = chance.choice(names), sum(1 for _ in folder.iterdir())
        ends = time.monotonic() + 20
        while sum(1 for _ in folder.iterdir()) < before + 2:
            assert time.monotonic() < ends, "nobody gets on"
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        running[name].kill()
        running[name].join()
        running[name] = start(name)
        kills -= 1
    for process in running.values():
        process.kill()
        process.join()
    # What a dead process left half done is put in order by the next one.
    last = FilesSink(folder, JSON, Rotation(octets=3_000, keep=10_000, compress=True))
    last.deliver([document(1, "inc-z")])
    found = keys(folder)
    for name in names:
        revisions = [n for told, n in found if told == name]
        assert revisions == list(range(1, len(revisions) + 1))
        assert len(revisions) >= int((tmp_path / f"{name}.settled").read_text())


def test_what_the_form_has_no_words_for_is_rejected_and_stops_nothing(tmp_path):
    newer = record("inc-1", 2) | {"severity": "apocalyptic"}
    done = FilesSink(tmp_path, FORMS["cef"]).deliver([record("inc-1", 1), newer])
    assert (done.accepted, done.rejected) == ([("inc-1", 1)], [("inc-1", 2)])


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch):
    sink = FilesSink(tmp_path, JSON, SMALL, ManualClock(NOW))
    sink.deliver([document(1)])

    def no_space(_number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(rotating.os, "fsync", no_space)
        with pytest.raises(RetriableError, match="free some space"):
            sink.deliver([document(n) for n in range(2, 9)])
    sink.deliver([document(n) for n in range(2, 9)])
    assert numbers(tmp_path) == list(range(1, 9))


def test_a_folder_that_is_none_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(FatalError, match="choose another folder"):
        FilesSink(path, JSON).deliver([document(1)])


def test_half_of_a_surrogate_pair_is_written_as_json_can_say_it(tmp_path):
    FilesSink(tmp_path, JSON).deliver([document(1, text="\ud800")])
    assert json.loads((tmp_path / "incidents.ndjson").read_text())["text"] == "\ud800"
