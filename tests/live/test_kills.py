"""The real command, killed, stopped and out of disk: told once, nothing left out."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents
from pipeline.ledger.store import Ledger
from pipeline.model.documents import from_json
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident
from tests.live.small_export import (
    IMPATIENT,
    IN_SMALL_STEPS,
    documents,
    end_all,
    export,
    finish,
    start,
)

pytestmark = pytest.mark.scenario
# Read at import: the fixtures take such variables away.
KILLS = int(os.environ.get("OUTRIDER_TEST_KILLS", "4"))
KINDS = (
    ("flags.ndjson", "flag_id", Flag, IssuedFlags()),
    ("incidents.ndjson", "incident_id", Incident, IssuedIncidents()),
)


def told(folder):
    """By id, the last revision of everything without what depends on when it was told."""
    found = {}
    for name, key, kind, issued in KINDS:
        last = {d[key]: issued.plain(from_json(kind, d)) for d in documents(folder, name)}
        found |= {k: d for k, d in last.items() if not issued.is_retracted(d)}
    return found


def assert_told_once(state):
    """Each revision is in the files once and in order, and all that the ledger has."""
    held = Ledger(state / "ledger.sqlite", readonly=True)
    for (name, key, _, _), kind in zip(KINDS, ("flag", "incident"), strict=True):
        lines = documents(state, name)
        by_id = {}
        for line in lines:
            by_id.setdefault(line[key], []).append(line["revision"])
        assert all(r == list(range(1, len(r) + 1)) for r in by_id.values())
        assert [d.document for d in held.documents(kind=kind)] == lines
    held.close()


@pytest.fixture(autouse=True)
def _no_process_is_left():
    yield
    end_all()


@pytest.fixture(scope="module")
def tenant(tmp_path_factory):
    """The options of every command over the export."""
    return export(tmp_path_factory.mktemp("tenant"))


@pytest.fixture(scope="module")
def straight(tenant, tmp_path_factory):
    """What an undisturbed run tells, and how many seconds it works."""
    state = tmp_path_factory.mktemp("straight")
    process = run(tenant, state)
    working(process, state)
    began = time.monotonic()
    finish(process)
    seconds = time.monotonic() - began
    assert_told_once(state)
    found = told(state)
    assert {type(d) for d in found.values()} == {Flag, Incident}
    return found, seconds


def run(options, state, *more, before="", **how):
    before = IN_SMALL_STEPS + before
    return start("run", *options, "--state", state, *more, before=before, **how)


def working(process, state, *, seconds=120.0):
    """Wait until the process has committed a step, or ended."""
    log = Path(state) / "ledger.sqlite-wal"
    before, ends = size(log), time.monotonic() + seconds
    while process.poll() is None and size(log) == before:
        assert time.monotonic() < ends
        time.sleep(0.01)


def size(path):
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_size, told.st_mtime_ns


@pytest.mark.timeout(300 + 30 * KILLS)
def test_killed_at_random_moments_it_tells_what_it_would_have_told(tenant, straight, tmp_path):
    whole, seconds = straight
    rng = random.Random(KILLS)
    killed = Counter()
    for _ in range(KILLS):
        process = run(tenant, tmp_path)
        if rng.random() < 0.2:  # while it starts and comes back
            where = "starting"
            time.sleep(rng.uniform(0.0, 1.5))
        else:
            where = "working"
            working(process, tmp_path)
            time.sleep(rng.uniform(0.0, 1.5 * seconds / KILLS))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed[where if process.returncode == -signal.SIGKILL else "ended"] += 1
    finish(run(tenant, tmp_path))
    assert killed["working"] >= KILLS // 2, killed
    assert_told_once(tmp_path)
    assert told(tmp_path) == whole


def test_a_backfill_of_the_same_logs_tells_the_same(tenant, straight, tmp_path):
    finish(start("backfill", *tenant, "--out", tmp_path, "--workers", "1"), {0, 4})
    assert told(tmp_path) == straight[0]


def test_a_polite_stop_keeps_everything_and_the_next_start_goes_on(tmp_path):
    options, state = export(tmp_path), tmp_path / "state"
    process = run(options, state, "--follow")
    deadline = time.monotonic() + 120
    while not (state / "incidents.ndjson").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, log = finish(process)
    assert time.monotonic() - began < 10.0
    assert '"stopped": true' in log
    ledger = Ledger(state / "ledger.sqlite", readonly=True)
    assert ledger.counts()["journal"] == 0  # the next start takes nothing in again
    cursor, lines = ledger.cursor("files"), documents(state, "incidents.ndjson")
    ledger.close()
    finish(run(options, state))
    assert_told_once(state)
    assert documents(state, "incidents.ndjson")[: len(lines)] == lines
    assert cursor["units"] or cursor["done"]


# Less than the ledger of the whole tenant (470 kB): with more it is the ledger's log that finds no
# space now and then, and the run helps itself.
LITTLE_SPACE = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (380_000, most))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ready(port):
    """Status and body of /readyz; nothing before it listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return None, {}


def wait_for_trouble(process, port, *, seconds=120.0):
    """Wait until the run says that it has no space."""
    ends = time.monotonic() + seconds
    while True:
        assert process.poll() is None, process.communicate()[1][-3000:]
        status, body = ready(port)
        if status == 503 and body["problem"] not in {None, "it is still starting"}:
            assert "free some space" in body["problem"]
            assert body["alive"]
            return
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_with_no_space_it_waits_and_says_so_and_goes_on(tenant, straight, tmp_path):
    port = free_port()
    listen = ("--listen", f"127.0.0.1:{port}")
    process = run(tenant, tmp_path, *listen, before=LITTLE_SPACE + IMPATIENT)
    wait_for_trouble(process, port)
    time.sleep(1.0)
    wait_for_trouble(process, port)
    most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
    _, log = finish(process)
    assert '"outcome": "put off"' in log
    assert_told_once(tmp_path)
    assert told(tmp_path) == straight[0]


# Mounts a disk of four MiB in a name space of its own, puts a file of $2 KiB on it, runs the
# rest, and copies what is left out of the name space.
ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=4m none "$1"
head -c "$2"k /dev/zero > "$1/ballast"
disk=$1 kept=$3
shift 3
"$@" && code=0 || code=$?
cp -r "$disk/state" "$kept"
exit $code
"""


def can_mount(folder):
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(folder)]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def test_on_a_disk_that_is_really_full_it_waits_and_goes_on(tenant, straight, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("this machine lets nobody mount a small disk")
    port = free_port()
    small = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", disk, "3400", tmp_path / "kept"]
    state = disk / "state"
    listen = ("--listen", f"127.0.0.1:{port}")
    process = run(tenant, state, *listen, before=IMPATIENT, around=small)
    wait_for_trouble(process, port)
    Path(f"/proc/{process.pid}/root{disk}/ballast").unlink()
    _, log = finish(process)
    assert '"outcome": "put off"' in log
    assert_told_once(tmp_path / "kept")
    assert told(tmp_path / "kept") == straight[0]
