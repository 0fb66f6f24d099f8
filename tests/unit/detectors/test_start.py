"""What a process pays before its first hour is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
import numpy as np
from detectors.bank import BankSettings, TenantBank
from tests.unit.detectors.test_bank import block, quiet_day

bank = TenantBank("t", BankSettings(1.0, {}))
bank.advance(block(0, quiet_day(np.random.default_rng(1))))
print(json.dumps([m in sys.modules for m in ("numba.np.arraymath", "scipy.linalg")]))
"""


def test_compiled_passes_are_kept_and_need_neither_compiler_nor_linear_algebra():
    # A sum or a sort of an array in compiled code makes numba import scipy: 0.45 s a process.
    root = Path(__file__).parents[3]
    told = [False]
    for _ in range(2):  # the first may have to compile
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=root, check=True, capture_output=True, text=True
        )
        told = json.loads(done.stdout)
        if not any(told):
            break
    assert told == [False, False]
