"""Compiled code made ready beside the program, so that the compiler is never loaded into it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.compiled import compile_elsewhere
from pipeline.model.errors import OutriderError
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import load
from pipeline.runtime.parsing import follow_parent
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import configure, get_logger
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec

# Has every detector judge.
_SMALL: Final = SimulationSpec(users=20, weeks=1)


def warm_up() -> None:
    """Have another process compile what judging needs, where none of it is kept yet.

    That takes some 23 s of processor, in either process; but one that compiles keeps 95 MiB of
    the compiler for its life.
    """
    compile_elsewhere(judge_a_small_tenant)


def judge_a_small_tenant() -> None:
    """Need all the compiled code that judging needs; quietly.

    Where there is no space for that, whoever needs code makes it, and tells of what is wrong.
    """
    follow_parent()
    configure("json", level="critical")
    with (
        suppress(OSError, OutriderError),
        tempfile.TemporaryDirectory(prefix="outrider-") as folder,
    ):
        logs, out = Path(folder) / "logs", Path(folder) / "out"
        simulate(_SMALL, logs)
        paths = tuple(str(logs / part) for part in ("signins", "audit", "directory"))
        config = load(environ={}, flags={"backfill.workers": 1})
        with Progress(enabled=False) as progress:
            request = BackfillRequest(paths, (), out)
            backfill(request, config, progress=progress, log=get_logger("backfill"))
