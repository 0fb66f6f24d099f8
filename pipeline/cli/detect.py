"""``outrider detect``: one of the workers on Kafka."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Annotated

import typer

from pipeline.cli.kafka import ConfigOption, ListenOption  # noqa: TC001 # Typer reads them
from pipeline.cli.logs import start_logging, tell_start
from pipeline.cli.warming import warm_up
from pipeline.model.clock import SystemClock
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.judging import Settings
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.memory import keep_freed
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.runtime.turning import turn

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def detect(
    *,
    config: ConfigOption = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of this worker, the same after a restart; default: the machine's."),
    ] = None,
    listen: ListenOption = None,
) -> None:
    """Work on Kafka until stopped: records in, flags and incidents out, exactly once.

    Any number of workers share the tenants; each needs a name of its own.
    """
    settings = load(config)
    start_logging()
    warm_up()
    keep_freed()
    log, metrics, health = get_logger("detect"), Metrics(), Health()
    named = name or socket.gethostname()
    worker = Detector(
        settings.kafka,
        Settings.of(settings, trace_hours=0),
        named,
        clock=SystemClock(),
        metrics=metrics,
        log=log,
        beat=health.turn,
    )
    with ExitStack() as stack:
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        stack.callback(worker.close)
        stopped = stack.enter_context(stopping())
        stack.enter_context(traced("detect"))
        tell_start(log, name=named, servers=settings.kafka.servers, listen=listen)
        stack.enter_context(unit_of_work(log, "detect"))
        turn(
            worker.step,
            begin=lambda: verify(settings.kafka),
            remark=lambda: worker.problem,
            done=lambda: False,
            idle_seconds=0.0,
            stopped=stopped,
            health=health,
            metrics=metrics,
            log=log,
        )
        worker.stop()
