"""``outrider collect``: logs to Kafka."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from connectors.normalise.settings import NormaliseSettings
from pipeline.cli.kafka import ConfigOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.running import start_logging
from pipeline.model.clock import SystemClock
from pipeline.model.errors import RetriableError
from pipeline.runtime.arrivals import Arrivals
from pipeline.runtime.config import load
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.keys import privacy_key
from pipeline.runtime.telemetry import get_logger, unit_of_work
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
    name: Annotated[
        str, typer.Option(help="Of this collector; its place is kept by it.")
    ] = "files",
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where parsed files and the key are kept.")
    ] = Path("outrider-state"),
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with files that are added; stop with Ctrl-C.")
    ] = False,
) -> None:
    """Send logs to Kafka in order of arrival; killed anywhere, it goes on where it was."""
    settings = load(config)
    start_logging()
    log = get_logger("collect")
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
    )
    collector = Collector(
        settings.kafka, name, source, unnamed=lambda: source.unnamed, clock=SystemClock()
    )
    with unit_of_work(log, "collect") as work:
        verify(settings.kafka)
        portions = 0
        while not collector.finished:
            try:
                busy = collector.step()
            except RetriableError as error:
                log.warning("step", outcome="put off", error=str(error))
                time.sleep(error.retry_after or 1.0)
                continue
            portions += busy
            if not busy and not collector.finished:
                time.sleep(1.0)
        work["portions"] = portions
        collector.close()
