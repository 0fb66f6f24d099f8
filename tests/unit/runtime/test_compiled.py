"""Compiled code is kept for later processes, which load it without the compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.compiled import _Versions, compiler

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


COMPILED = [[8.0, 8.0], 0, True]
LOADED = [[8.0, 8.0], 1, False]


def start(program, folder, *words, **more):
    """What a new process says that keeps its code in ``folder``."""
    path = folder / "program.py"
    path.write_text(program)
    env = {**os.environ, "XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(Path.cwd()), **more}
    command = [sys.executable, str(path), *words]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def test_a_later_process_loads_it_without_the_compiler(tmp_path):
    assert json.loads(start(PROGRAM, tmp_path)) == COMPILED
    assert json.loads(start(PROGRAM, tmp_path)) == LOADED


@pytest.mark.parametrize(
    "harm", [lambda kept: kept[:-1], lambda _: b"", lambda kept: kept[:-9] + bytes(9)]
)
def test_kept_code_that_has_come_to_harm_is_not_run(tmp_path, harm):
    versions = _Versions(tmp_path, "function")
    versions.save("of whole numbers", b"machine code")
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(harm(kept.read_bytes()))
    assert versions.load("of whole numbers") is None
    versions.save("of whole numbers", b"machine code")
    assert versions.load("of whole numbers") == b"machine code"
    assert versions.load("of others") is None
    assert list(tmp_path.iterdir()) == [kept]


def test_where_there_is_no_space_nothing_is_kept_and_the_work_goes_on(tmp_path):
    little = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    little += "resource.setrlimit(resource.RLIMIT_FSIZE, (999, resource.RLIM_INFINITY))\n"
    assert json.loads(start(little + PROGRAM, tmp_path)) == COMPILED
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["program.py"]


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
    mark = tmp_path / "mark"
    assert json.loads(start(ELSEWHERE, tmp_path, MARK=str(mark))) == [[6.0, 8.0], 1, False]
    mark.unlink()
    assert json.loads(start(ELSEWHERE, tmp_path, MARK=str(mark))) == [[6.0, 8.0], 1, False]
    assert not mark.exists(), "what is kept is not compiled again"


AT_ONCE = """
import json, multiprocessing, sys
from pathlib import Path
import numpy as np
from pipeline.compiled import compiler

compiled = compiler([Path(__file__)])
KINDS = ("int8", "int16", "int32", "int64", "float32", "float64")

@compiled
def least(values):
    found = values[0]
    for value in values:
        found = min(found, value)
    return found

def of(kind):
    return float(least(np.array([3, 4], kind)))

def keep(kind, barrier):
    save = least._cache.save_overload
    def all_together(*overload):
        barrier.wait(30)
        save(*overload)
    least._cache.save_overload = all_together
    of(kind)

if sys.argv[1] == "keep":
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(len(KINDS))
    keepers = [fork.Process(target=keep, args=(kind, barrier)) for kind in KINDS]
    for one in keepers:
        one.start()
    for one in keepers:
        one.join()
else:
    told = {kind: of(kind) for kind in KINDS}
    print(json.dumps([told, sum(least.stats.cache_hits.values())]))
"""


def test_processes_that_compile_one_function_at_once_keep_what_each_of_them_made(tmp_path):
    """Numba's own cache numbers its files: two that compile at once give theirs one number.

    The next process then runs code that was made for other types.
    """
    start(AT_ONCE, tmp_path, "keep")
    told, loaded = json.loads(start(AT_ONCE, tmp_path, "use"))
    assert loaded == len(told) == 6
    assert set(told.values()) == {3.0}
