"""Memory that is freed stays for the next day's arrays."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
import numpy as np
import pyarrow as pa
from pipeline.runtime.memory import keep_freed

if sys.argv[1] == "keep":
    keep_freed()

def a_day():
    arrays = [np.ones(1_000_000) for _ in range(8)]
    return [pa.array(a) for a in arrays], [a + 1.0 for a in arrays]

for _ in range(3):
    a_day()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    a_day()
after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(json.dumps([after - before, pa.default_memory_pool().backend_name]))
"""


def days_of(how: str) -> tuple[int, str]:
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    faults, pool = json.loads(done.stdout)
    return faults, pool


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone has mallopt")
def test_days_that_follow_touch_no_new_memory():
    faults, pool = days_of("keep")
    assert pool == "system"
    assert faults < 100
    assert faults * 5 < days_of("leave")[0]


HANDED_OVER = """
import json
from pathlib import Path
import numpy as np
from pipeline.runtime.memory import give_back, keep_freed

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

keep_freed()
before = resident()
held = [np.ones(100_000 + n) for n in range(256)]  # 200 MiB
last = np.ones(100_000)  # above them, so that only what is asked for goes back
held = None
kept = resident()
give_back()
print(json.dumps([kept - before, resident() - before]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone has it")
def test_what_others_go_on_with_is_given_back():
    command = [sys.executable, "-c", HANDED_OVER]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    kept, left = json.loads(done.stdout)
    assert kept > 150
    assert left < 20
