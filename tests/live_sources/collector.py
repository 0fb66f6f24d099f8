"""The loop of ``outrider run`` with simulated time: what tests/live_sources/fortnight.py starts."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from pipeline.cli.logs import start_logging
from pipeline.ledger.store import Ledger
from pipeline.model.errors import RetriableError
from pipeline.runtime.config import load
from pipeline.runtime.health import Health
from pipeline.runtime.inputs import normalising
from pipeline.runtime.judging import Settings
from pipeline.runtime.live import journal
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.feeds import Feeds
from pipeline.runtime.live.wiring import Wiring
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.telemetry import get_logger
from tests.live_sources.fortnight import SharedClock

IDLE = timedelta(minutes=5)
BUSY = timedelta(seconds=5)
AGAIN = timedelta(seconds=30)  # a source that failed is asked again so soon


def main():
    folder, until = Path(sys.argv[1]), float(sys.argv[2])
    # Everything stays in the journal, to be looked at; judging is tested elsewhere.
    patch.multiple(journal, SNAPSHOT_ROWS=sys.maxsize, SNAPSHOT_SECONDS=float("inf")).start()
    Engine.due = lambda *_, **__: []
    start_logging()
    clock = SharedClock(folder / "clock")
    config = load(folder / "outrider.toml")
    settings, log, metrics = normalising(config, folder), get_logger("run"), Metrics()
    wiring = Wiring(config, settings, clock, monotonic=clock.seconds)
    feeds = Feeds(
        wiring.sources(), wiring.advisories(), unnamed=lambda: "nobody", clock=clock,
        metrics=metrics, log=log, pool=None, monotonic=clock.seconds,
    )  # fmt: skip
    ledger = Ledger(folder / "state" / "ledger.sqlite")
    ledger.hold()
    loop = Embedded(
        Settings.of(config, trace_hours=0), ledger, {}, {}, feeds={}, unnamed=lambda: "nobody",
        clock=clock, metrics=metrics, health=Health(), log=log, live=feeds,
    )  # fmt: skip
    while clock.seconds() < until:
        try:
            busy = loop.step()
        except RetriableError as error:
            log.warning("step", error=str(error))
            busy = False
        failing = any(b.standing.problem for b in feeds._each)
        clock.advance(BUSY if busy else AGAIN if failing else IDLE)
    ledger.close()
