"""``outrider deliver``: flags and incidents from Kafka to a destination."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 # Typer reads it at run time
from typing import Annotated, Final

import typer

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli.kafka import ConfigOption, ListenOption  # noqa: TC001 # Typer reads them
from pipeline.cli.logs import start_logging
from pipeline.model.clock import SystemClock
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.kafka.deliver import Deliverer
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.turning import turn

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SINK: Final = "ndjson"


@app.command()
def deliver(
    *,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where flags.ndjson and incidents.ndjson are appended."),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="Of this worker, the same after a restart; default: the machine's."),
    ] = None,
    config: ConfigOption = None,
    listen: ListenOption = None,
) -> None:
    """Append flags and incidents to files until stopped, each revision once and in order.

    Any number of workers share the work; each needs a name of its own. On one machine they may
    share DIR.
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("deliver"), Metrics(), Health()
    worker = Deliverer(
        settings.kafka,
        SINK,
        NdjsonSink(out, FORMS[settings.deliver.files_format]),
        name or socket.gethostname(),
        clock=SystemClock(),
        metrics=metrics,
        log=log,
    )
    with ExitStack() as stack:
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        stack.callback(worker.close)
        stopped = stack.enter_context(stopping())
        stack.enter_context(unit_of_work(log, "deliver", sink=SINK))
        turn(
            worker.step,
            begin=lambda: verify(settings.kafka),
            done=lambda: False,
            idle_seconds=0.0,
            stopped=stopped,
            health=health,
            metrics=metrics,
            log=log,
        )
