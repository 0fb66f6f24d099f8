"""The main job as a whole: one answer, however the files come and whatever is killed."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec
from tests import warm

pytestmark = pytest.mark.scenario
# Writing past the limit fails as on a full disk, instead of killing the process.
LITTLE_SPACE = (
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
)


def start(out, *paths, before="", options=()):
    command = [sys.executable, "-c", before + warm.RUN, "backfill"]
    return warm.Popen(
        [*command, *map(str, paths), "--out", str(out), "--workers", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def backfill(out, *paths, options=()):
    process = start(out, *paths, options=options)
    said, log = process.communicate(timeout=300)
    assert process.returncode in {0, 4}, log[-3000:]
    return said, log


def answer(out):
    """Everything that must not depend on how the input came."""
    flags = (out / "flags.ndjson").read_text("utf-8")
    incidents = (out / "incidents.ndjson").read_text("utf-8")
    assert incidents
    return flags, incidents


@pytest.fixture(scope="module")
def tenant(tmp_path_factory):
    """Two weeks of a small tenant with an outage of many protocols, as JSON lines."""
    folder = tmp_path_factory.mktemp("tenant")
    spec = SimulationSpec(
        scenarios=("all_protocols",),
        users=60,
        weeks=2,
        seed=5,
        signin_form="jsonl",
        audit_form="jsonl",
        compression="none",
        dirty=False,
    )
    simulate(spec, folder / "logs")
    key = folder / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    config = folder / "outrider.toml"
    config.write_text(f'[privacy]\nkey_file = "{key}"\n')
    return folder


@pytest.fixture(scope="module")
def options(tenant):
    return ("--config", str(tenant / "outrider.toml"))


@pytest.fixture(scope="module")
def logs(tenant):
    return [tenant / "logs" / part for part in ("signins", "audit", "directory")]


@pytest.fixture(scope="module")
def undisturbed(tenant, logs, options):
    backfill(tenant / "out", *logs, options=options)
    return answer(tenant / "out")


def lines_of(folder):
    return [
        line
        for path in sorted(folder.rglob("*.json*"))
        for line in path.read_text("utf-8").splitlines()
        if line.strip()
    ]


def test_the_outage_is_found(undisturbed):
    last = json.loads(undisturbed[1].splitlines()[-1])
    assert last["verdict"] == "service_outage"
    assert {"owa", "outlook_windows_classic"} <= set(last["clients"])


def test_order_split_packing_and_redelivery_change_nothing(tmp_path, logs, options, undisturbed):
    rng = random.Random(3)
    again = tmp_path / "again"
    again.mkdir()
    for folder in logs[:2]:
        lines = lines_of(folder)
        lines += rng.sample(lines, len(lines) // 20)  # delivered twice
        rng.shuffle(lines)
        at, number = 0, 0
        while at < len(lines):
            size = rng.randrange(2_000, 20_000)
            text = "\n".join(lines[at : at + size]) + "\n"
            name = f"{rng.getrandbits(32):08x}-{folder.name}-{number}"
            if number % 2:
                (again / f"{name}.gz").write_bytes(gzip.compress(text.encode(), 1))
            else:
                (again / name).write_text(text, "utf-8")
            at, number = at + size, number + 1
    shutil.copytree(logs[2], again / "directory")
    backfill(tmp_path / "out", again, options=options)
    assert answer(tmp_path / "out") == undisturbed


def test_killed_at_any_moment_and_started_again_it_gives_the_same(
    tmp_path, logs, options, undisturbed
):
    out = tmp_path / "out"
    rng = random.Random(8)
    small = ("--config", str(tmp_path / "small.toml"))
    text = Path(options[1]).read_text("utf-8") + "[backfill]\nslice_mib = 4\n"
    (tmp_path / "small.toml").write_text(text, "utf-8")
    kills = 0
    for _ in range(6):
        process = start(out, *logs, options=small)
        spool = out / ".outrider" / "spool"
        before = len(list(spool.glob("task-*.json"))) if spool.exists() else 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            done = len(list(spool.glob("task-*.json"))) if spool.exists() else 0
            if done > before:
                time.sleep(rng.uniform(0.0, 0.3))
                break
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 3
    assert list((out / ".outrider" / "spool").glob("task-*.json"))
    backfill(out, *logs, options=small)
    assert answer(out) == undisturbed


def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_later(
    tmp_path, logs, options, undisturbed
):
    process = start(tmp_path / "out", *logs, before=LITTLE_SPACE, options=options)
    _, log = process.communicate(timeout=300)
    assert process.returncode == 1
    last = log.strip().splitlines()[-1]
    assert "cannot write the results" in last
    assert "Traceback" not in log
    backfill(tmp_path / "out", *logs, options=options)
    assert answer(tmp_path / "out") == undisturbed


def test_a_bounded_stretch_is_judged_alone(tmp_path, logs, options):
    stretch = ("--from", "2026-03-04T00:00:00Z", "--to", "2026-03-06T00:00:00Z")
    backfill(tmp_path / "out", *logs, options=(*options, *stretch))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["from"] == "2026-03-04T00:00:00Z"
    assert summary["to"] == "2026-03-06T00:00:00Z"
    assert summary["records"]["outside"] > 0


def test_another_tenants_records_are_left_out(tmp_path, logs, options):
    backfill(tmp_path / "out", *logs[:2], options=(*options, "--tenant", "someone-else"))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["records"]["events"] == 0
    assert summary["blind"] is True
