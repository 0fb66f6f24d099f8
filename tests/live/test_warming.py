"""What is compiled beside the program is all that the program then needs."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.warm import OUTRIDER

JUDGED = """
import json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from pipeline.cli.main import run
from pipeline.cli.warming import judge_a_small_tenant

def versions():
    found = {v for name, m in sys.modules.items() if name.startswith(("pipeline", "detectors"))
             for v in vars(m).values() if isinstance(v, Dispatcher)}
    return {f"{v.__name__}{s}" for v in found for s in v.signatures}

judge_a_small_tenant()
before = versions()
logs, sys.argv = Path("logs"), ["outrider", "run", "--state", "state"]
sys.argv += [str(logs / part) for part in ("signins", "audit", "directory")]
try:
    run()
finally:
    print(json.dumps([len(before), sorted(versions() - before)]))
"""


def test_a_live_run_needs_no_version_that_a_small_tenant_does_not(tmp_path):
    made = ["simulate", "ex1256020", "--users", "30", "--weeks", "2", "--out", "logs"]
    subprocess.run([*OUTRIDER, *made], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", JUDGED],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    count, missing = json.loads(done.stdout.splitlines()[-1])
    assert count >= 10, "versions that compiled code calls itself are not counted"
    assert missing == []
