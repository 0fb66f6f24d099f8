"""``outrider collect``: logs to Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from connectors.advisories.files import FileAdvisoryFeed
from pipeline.cli.kafka import ConfigOption, ListenOption  # noqa: TC001 # Typer reads them
from pipeline.cli.logs import start_logging, tell_start
from pipeline.model.clock import SystemClock
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.inputs import Files, normalising
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.live.live_feeds import live_feeds
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.named_paths import refuse_missing, wait_for_missing
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.runtime.turning import turn

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def collect(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Files, folders or globs of exported logs."),
    ] = None,
    *,
    config: ConfigOption = None,
    advisories: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Exports of advisories; may be given again."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Of this collector; its place is kept by it.")
    ] = "files",
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where parsed files and the key are kept.")
    ] = Path("outrider-state"),
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with files that are added, until stopped.")
    ] = False,
    listen: ListenOption = None,
) -> None:
    """Send logs to Kafka in order of arrival; killed anywhere, it goes on where it was.

    Reads the files named, and whatever live sources the configuration switches on in [collect].
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("collect"), Metrics(), Health()
    if follow:
        wait_for_missing(paths or [], advisories or [], log)
    else:
        refuse_missing(paths or [], advisories or [])
    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        normalise = normalising(settings, state)
        stop = stopped.is_set
        files = Files(paths or [], settings, normalise, state, follow=follow, stop=stop, log=log)
        collector = Collector(
            settings.kafka,
            name,
            files.sources,
            feeds={"advisories": FileAdvisoryFeed(advisories)} if advisories else {},
            unnamed=files.unnamed,
            clock=SystemClock(),
            metrics=metrics,
            live=stack.enter_context(
                live_feeds(
                    settings,
                    normalise,
                    unnamed=files.unnamed,
                    clock=SystemClock(),
                    metrics=metrics,
                    log=log,
                )
            ),
        )
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        stack.callback(collector.close)
        stack.enter_context(traced("collect"))
        tell_start(
            log,
            name=name,
            servers=settings.kafka.servers,
            files=paths,
            live=settings.collect.enabled,
            listen=listen,
        )
        work = stack.enter_context(unit_of_work(log, "collect"))
        work["portions"] = turn(
            collector.step,
            begin=lambda: verify(settings.kafka),
            done=lambda: collector.finished,
            remark=lambda: collector.problem,
            idle_seconds=1.0,
            stopped=stopped,
            health=health,
            metrics=metrics,
            log=log,
        )
