"""``outrider run``: everything in one process, no broker."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from connectors.advisories.files import FileAdvisoryFeed
from connectors.normalise.settings import NormaliseSettings
from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli.logs import start_logging
from pipeline.cli.output import print_text
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.report.words import plural
from pipeline.runtime.arrivals import Arrivals
from pipeline.runtime.config import load
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.judging import Settings
from pipeline.runtime.keys import privacy_key
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.embedded import run as turn
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.window.arrival import DECLARED

app = typer.Typer(rich_markup_mode=None, add_completion=False)
DEFAULT_STATE = Path("outrider-state")


@app.command()
def run(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders or globs of exported logs."),
    ],
    *,
    advisories: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Exports of advisories; may be given again."),
    ] = None,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the ledger and the results are kept.")
    ] = DEFAULT_STATE,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="OUTRIDER_CONFIG", help="Configuration, TOML."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with files that are added; stop with Ctrl-C.")
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz there."),
    ] = None,
) -> None:
    """Follow logs in order of arrival, and tell incidents as they would have been told live.

    Killed at any moment and started again, it goes on where it was. Results are appended to
    incidents.ndjson and flags.ndjson in DIR. SIGTERM or Ctrl-C ends it after the step it is
    in, with exit code 0; a second one ends it at once, with 130.
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("run"), Metrics(), Health()
    normalise = NormaliseSettings(
        key=privacy_key(settings.privacy, state).get_secret_value(),
        tenant=settings.tenant.id or "",
        site_names=dict(settings.sites),
    )
    delays = {str(s): float(getattr(settings.sources, s).declared_delay_seconds) for s in DECLARED}
    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        arrivals = Arrivals(
            paths,
            normalise,
            state / ".outrider" / "spool",
            delays=delays,
            workers=settings.backfill.workers,
            follow=follow,
            stop=stopped.is_set,
        )
        ledger = Ledger(state / "ledger.sqlite")
        stack.callback(ledger.close)
        ledger.hold()
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        loop = Embedded(
            Settings.of(settings, trace_hours=0),
            ledger,
            {"files": arrivals},
            {"ndjson": NdjsonSink(state)},
            feeds={"advisories": FileAdvisoryFeed(advisories)} if advisories else {},
            unnamed=lambda: arrivals.unnamed,
            clock=SystemClock(),
            metrics=metrics,
            health=health,
            log=log,
            keep_days=settings.ledger.keep_days,
        )
        stack.enter_context(traced("run"))
        with unit_of_work(log, "run") as work:
            turn(loop, health=health, metrics=metrics, log=log, wait=stopped.wait)
            counted = ledger.counts()
            work.update(documents=counted["documents"], dead=counted["dead"])
            work.update(stopped=stopped.is_set())
    told = plural(counted["documents"], "revision")
    print_text(f"{told} of flags and incidents in {state}/incidents.ndjson and flags.ndjson")
