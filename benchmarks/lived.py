"""A tenant simulated, backfilled and judged against its labels, for the benchmarks."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluate.judge import evaluate
from pipeline.evaluate.labels import Labels, read_incidents, read_labels
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import Config
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import get_logger
from pipeline.simulate.run import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.evaluate.evaluation import Evaluation
    from pipeline.model.incident import Incident
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
