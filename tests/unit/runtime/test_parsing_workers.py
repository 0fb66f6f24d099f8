"""Worker processes: each has its share; they leave Ctrl-C to their parent, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.normalise.settings import NormaliseSettings
from connectors.sources.units import FileUnit, Form
from pipeline.runtime import parsing

MIB = 2**20
PARENT = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pipeline.runtime.parsing import follow_parent

context = multiprocessing.get_context("spawn")
with ProcessPoolExecutor(1, mp_context=context, initializer=follow_parent) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    for line in sys.stdin:
        print(pool.submit(str.upper, line).result(), end="", flush=True)
"""


def lives(number):
    """Whether a process runs: one that nobody has fetched does not."""
    try:
        told = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return told.rpartition(")")[2].split()[0] != "Z"


def test_a_worker_ignores_ctrl_c_and_ends_with_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, signal.SIGINT)
        parent.stdin.write("still here\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "STILL HERE\n"
        parent.kill()
        parent.wait()
        ends = time.monotonic() + 30.0
        while lives(worker):
            assert time.monotonic() < ends
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("files", "workers", "tasks"),
    [(64, 2, 8), (64, 8, 16), (2048, 2, 64)],
    ids=["some for each", "none below 4 MiB", "none above what was asked"],
)
def test_each_process_has_some_tasks(monkeypatch, tmp_path, files, workers, tasks):
    """With one each, some would look on while others work."""
    shared = []
    monkeypatch.setattr(parsing, "_in_workers", lambda t, _: shared.extend(t) or iter(()))
    units = [
        FileUnit(f"u{n}", f"logs/{n}.json", Form.JSON_DOCUMENT, 0, MIB, MIB) for n in range(files)
    ]
    parsing.parse_all(
        units,
        tmp_path,
        NormaliseSettings(key=b"0" * 32, tenant="t", site_names={}),
        mark="m",
        workers=workers,
        task_bytes=32 * MIB,
        done=lambda _: None,
    )
    assert len(shared) == tasks
    assert [u for task in shared for u in task.units] == units
