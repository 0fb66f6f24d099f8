"""Worker processes: they leave Ctrl-C to their parent, and do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
