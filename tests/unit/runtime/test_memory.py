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
