"""Compiled code is kept for later processes, which load it without the compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.compiled import compiler

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


def test_numbers_that_callers_write_out_share_one_version():
    compiled = compiler([Path(__file__)])

    @compiled
    def plus(number, more):
        return number + more

    @compiled
    def twice(number):
        return plus(number, 3) + plus(number, more=4) + plus(5, number)

    assert twice(1) == 4 + 5 + 6
    assert len(plus.signatures) == 1


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


ELSEWHERE = """
import json, os, sys
from pathlib import Path
import numpy as np
from pipeline import compiled as how

compiled = how.compiler([Path(__file__)])

@compiled
def doubled(values):
    out = np.empty_like(values)
    for at in range(len(values)):
        out[at] = 2.0 * values[at]
    return out

def work():
    doubled(np.array([3.0]))
    Path(os.environ["MARK"]).write_text(str(os.getpid()))

if __name__ == "__main__":
    how.compile_elsewhere(work)
    told = [float(x) for x in doubled(np.array([3.0, 4.0]))]
    hits = sum(doubled.stats.cache_hits.values())
    print(json.dumps([told, hits, "numba.np.linalg" in sys.modules]))
"""


def test_who_needs_code_waits_for_the_process_that_compiles_it(tmp_path):
    program, mark = tmp_path / "program.py", tmp_path / "mark"
    program.write_text(ELSEWHERE)
    env = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
        "MARK": str(mark),
    }

    def run():
        done = subprocess.run(
            [sys.executable, str(program)], env=env, check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout)

    assert run() == [[6.0, 8.0], 1, False]
    assert mark.exists()
    mark.unlink()
    assert run() == [[6.0, 8.0], 1, False]
    assert not mark.exists(), "what is kept is not compiled again"
