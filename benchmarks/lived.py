"""A tenant simulated, backfilled and judged against its labels, for the benchmarks."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.normalise.settings import NormaliseSettings
from connectors.sources.plan import plan
from pipeline.evaluate.judge import evaluate
from pipeline.evaluate.labels import Labels, read_incidents, read_labels
from pipeline.model.clock import from_us
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import Config
from pipeline.runtime.parsing import parse_all
from pipeline.runtime.progress import Progress
from pipeline.runtime.spool import DAY_US, load_day
from pipeline.runtime.telemetry import get_logger
from pipeline.simulate.run import simulate
from pipeline.window.stage import advance as close_windows
from pipeline.window.state import WindowState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.evaluate.evaluation import Evaluation
    from pipeline.model.incident import Incident
    from pipeline.model.window import WindowBlock
    from pipeline.runtime.spool import DayPart
    from pipeline.simulate.spec import SimulationSpec

LOGS = {"signins": "entra", "audit": "exchange_audit"}


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of one tenant; ``folder`` holds the outputs as long as the context lasts."""

    labels: Labels
    evaluation: Evaluation
    incidents: list[Incident]
    summary: dict[str, Any]
    simulate_seconds: float
    folder: Path


@contextmanager
def live(spec: SimulationSpec, *, workers: int | None = None) -> Iterator[Lived]:
    """Simulate ``spec``, backfill it, judge it; removes everything afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="outrider-bench-"))
    try:
        began = time.monotonic()
        simulate(spec, folder / "logs")
        simulated = time.monotonic() - began
        parts = [folder / "logs" / part for part in ("signins", "audit", "directory")]
        request = BackfillRequest(
            tuple(str(p) for p in parts if p.exists()),
            (str(folder / "logs" / "advisories"),),
            folder / "out",
        )
        config = Config.model_validate({"backfill": {"workers": workers}} if workers else {})
        result = backfill(request, config, progress=Progress(), log=get_logger("bench"))
        labels = read_labels(folder / "logs" / "labels.json")
        incidents = read_incidents(folder / "out" / "incidents.ndjson")
        sources = {name for part, name in LOGS.items() if part not in spec.without}
        yield Lived(
            labels,
            evaluate(labels, incidents, sources=sources if spec.without else None),
            incidents,
            result.summary,
            simulated,
            folder / "out",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parsed(paths: Sequence[Path], spool: Path) -> dict[int, list[DayPart]]:
    """The events of some logs, spooled by this process alone; parts by day since 1970."""
    spool.mkdir()
    manifests = parse_all(
        plan([str(path) for path in paths if path.exists()]).units,
        spool,
        NormaliseSettings(key=b"benchmark"),
        mark="",
        workers=1,
        task_bytes=2**26,
        done=lambda _: None,
    )
    by_day: dict[int, list[DayPart]] = {}
    for part in (part for manifest in manifests for part in manifest.parts):
        by_day.setdefault(part.day, []).append(part)
    return by_day


def closed(by_day: dict[int, list[DayPart]], spool: Path) -> Iterator[WindowBlock]:
    """The windows of what :func:`parsed` gave, day by day."""
    state = WindowState()
    for day in range(min(by_day), max(by_day) + 1):
        start = from_us(day * DAY_US)
        events = load_day(spool, by_day.get(day, []))
        state, block = close_windows(state, events, start=start, until=start + timedelta(days=1))
        yield block
