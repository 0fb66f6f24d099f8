"""Prometheus' own tool, of this machine or beside the Python that runs the tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

NEED = "OUTRIDER_TESTS_NEED_PROMTOOL"
# Read here: the tests themselves do not see the OUTRIDER_ variables.
REQUIRED = os.environ.get(NEED) == "1"


def find():
    """The program, or why there is none: a skip at home, a failure where it is needed."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("promtool") or shutil.which("promtool", path=beside)
    if found is None:
        told = "no promtool here: it comes with Prometheus"
        if REQUIRED:
            pytest.fail(f"{NEED}=1 and {told}")
        pytest.skip(told)
    return found
