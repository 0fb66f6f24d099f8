"""``outrider run``: everything in one process, no broker."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from connectors.advisories.files import FileAdvisoryFeed
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli.logs import start_logging, tell_start
from pipeline.cli.output import print_text
from pipeline.cli.warming import warm_up
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ExitCode
from pipeline.notify.words import plural
from pipeline.report.quality import unread_notes
from pipeline.runtime.config import load
from pipeline.runtime.destinations import chosen, people, records
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.inputs import Files, normalising
from pipeline.runtime.judging import Settings
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.live_feeds import live_feeds
from pipeline.runtime.live.pool import DaemonPool
from pipeline.runtime.memory import keep_freed
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.named_paths import refuse_missing, wait_for_missing
from pipeline.runtime.notify_settings import settings_of
from pipeline.runtime.notifying import Notifier
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.runtime.turning import turn
from pipeline.runtime.unread import unread_files

app = typer.Typer(rich_markup_mode=None, add_completion=False)
DEFAULT_STATE = Path("outrider-state")


@app.command()
def run(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Files, folders or globs of exported logs."),
    ] = None,
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

    Reads the files named, and whatever live sources the configuration switches on in [collect].
    Killed at any moment and started again, it goes on where it was. Results are appended to
    incidents.ndjson and flags.ndjson in DIR, and go to the destinations of [deliver]. SIGTERM or
    Ctrl-C ends it after the step it is in, with exit code 0; a second one ends it at once, with
    130. At the end of its files the exit code is 4 if one was not read, or not to its end.
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("run"), Metrics(), Health()
    if follow:
        wait_for_missing(paths or [], advisories or [], log)
    else:
        refuse_missing(paths or [], advisories or [])
    warm_up()
    keep_freed()
    normalise = normalising(settings, state)
    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        stop = stopped.is_set
        files = Files(paths or [], settings, normalise, state, follow=follow, stop=stop, log=log)
        ledger = Ledger(state / "ledger.sqlite")
        stack.callback(ledger.close)
        ledger.hold()
        if listen is not None:
            stack.enter_context(HealthServer(listen, health, metrics))
        known, told = chosen(settings, None)
        pool = DaemonPool(len(known) + len(told), "deliver") if known or told else None
        loop = Embedded(
            Settings.of(settings, trace_hours=0),
            ledger,
            files.sources,
            {"ndjson": NdjsonSink(state, FORMS[settings.deliver.files_format])},
            feeds={"advisories": FileAdvisoryFeed(advisories)} if advisories else {},
            unnamed=files.unnamed,
            clock=SystemClock(),
            metrics=metrics,
            health=health,
            log=log,
            keep_days=settings.ledger.keep_days,
            far=records(settings, known),
            pool=pool,
            history=settings.deliver.history,
            notifier=Notifier(
                ledger,
                people(settings, told, ledger=ledger.path, log=log),
                settings_of(settings),
                pool=pool,
                clock=SystemClock(),
                metrics=metrics,
                log=log,
                keep_days=settings.ledger.keep_days,
            ),
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
        stack.enter_context(traced("run"))
        tell_start(
            log,
            state=str(state),
            files=paths,
            live=settings.collect.enabled,
            destinations=[*known, *told],
            listen=listen,
        )
        with unit_of_work(log, "run") as work:
            work["steps"] = turn(
                loop.step,
                done=lambda: loop.done,
                remark=lambda: loop.problem,
                idle_seconds=1.0,
                stopped=stopped,
                health=health,
                metrics=metrics,
                log=log,
            )
            loop.end()
            counted = ledger.counts()
            work.update(documents=counted["documents"], dead=counted["dead"])
            work.update(stopped=stopped.is_set())
    revisions = plural(counted["documents"], "revision")
    print_text(f"{revisions} of flags and incidents in {state}/incidents.ndjson and flags.ndjson")
    # Who stops a run wants no more of it: only one that came to its end can lack something.
    if files.unread and not stopped.is_set():
        print_text("\n".join(unread_notes(unread_files(files.unread))))
        raise typer.Exit(ExitCode.PARTIAL_DATA)
