"""``outrider detect``: one of the workers on Kafka."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Annotated

import typer

from pipeline.cli.kafka import ConfigOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.running import start_logging
from pipeline.model.clock import SystemClock
from pipeline.model.errors import RetriableError
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.judging import Settings
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.telemetry import get_logger, unit_of_work

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def detect(
    *,
    config: ConfigOption = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of this worker, the same after a restart; default: the machine's."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz there."),
    ] = None,
) -> None:
    """Work on Kafka until stopped: records in, flags and incidents out, exactly once.

    Any number of workers share the tenants; each needs a name of its own.
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("detect"), Metrics(), Health()
    worker = Detector(
        settings.kafka,
        Settings.of(settings, trace_hours=0),
        name or socket.gethostname(),
        clock=SystemClock(),
        metrics=metrics,
        log=log,
    )
    with ExitStack() as stack:
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        stack.callback(worker.close)
        work = stack.enter_context(unit_of_work(log, "detect"))
        work["partitions"] = verify(settings.kafka)
        while True:
            try:
                worker.step()
                health.ready, health.problem = bool(worker.partitions), None
            except RetriableError as error:
                metrics.failures.labels(type(error).__name__).inc()
                health.problem = str(error)
                log.warning("step", outcome="put off", error=str(error))
                time.sleep(error.retry_after or 1.0)
            health.turn()
