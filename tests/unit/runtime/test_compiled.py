"""Compiled code is kept for later processes, which load it without the compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from pipeline.compiled import compiler

compiled = compiler([Path(__file__)])

@compiled
def least(values):
    found = values[0]
    for value in values:
        found = min(found, value)
    return found + 1.0

@compiled
def doubled(values):
    out = np.empty_like(values)
    for at in range(len(values)):
        out[at] = 2.0 * least(values)
    return out

told = [float(x) for x in doubled(np.array([3.0, 4.0]))]
hits = sum(doubled.stats.cache_hits.values())
print(json.dumps([told, hits, "numba.np.linalg" in sys.modules]))
"""


def test_a_later_process_loads_it_without_the_compiler(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    told = [
        json.loads(
            subprocess.run(
                [sys.executable, str(program)],
                env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for _ in range(2)
    ]
    assert told == [[[8.0, 8.0], 0, True], [[8.0, 8.0], 1, False]]
