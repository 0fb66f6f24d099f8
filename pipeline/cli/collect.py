"""``outrider collect``: logs to Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from connectors.advisories.files import FileAdvisoryFeed
from connectors.normalise.settings import NormaliseSettings
from pipeline.cli.kafka import ConfigOption, ListenOption  # noqa: TC001 # Typer reads them
from pipeline.cli.logs import start_logging
from pipeline.model.clock import SystemClock
from pipeline.runtime.arrivals import Arrivals
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.role import turn
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.keys import privacy_key
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.window.arrival import DECLARED

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def collect(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders or globs of exported logs."),
    ],
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
    """Send logs to Kafka in order of arrival; killed anywhere, it goes on where it was."""
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("collect"), Metrics(), Health()
    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        source = Arrivals(
            paths,
            NormaliseSettings(
                key=privacy_key(settings.privacy, state).get_secret_value(),
                tenant=settings.tenant.id or "",
                site_names=dict(settings.sites),
            ),
            state / ".outrider" / "spool",
            delays={
                str(s): float(getattr(settings.sources, s).declared_delay_seconds) for s in DECLARED
            },
            workers=settings.backfill.workers,
            follow=follow,
            stop=stopped.is_set,
        )
        collector = Collector(
            settings.kafka,
            name,
            {"files": source},
            feeds={"advisories": FileAdvisoryFeed(advisories)} if advisories else {},
            unnamed=lambda: source.unnamed,
            clock=SystemClock(),
            metrics=metrics,
        )
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        stack.callback(collector.close)
        stack.enter_context(traced("collect"))
        work = stack.enter_context(unit_of_work(log, "collect"))
        work["portions"] = turn(
            collector.step,
            begin=lambda: verify(settings.kafka),
            done=lambda: collector.finished,
            idle_seconds=1.0,
            stopped=stopped,
            health=health,
            metrics=metrics,
            log=log,
        )
