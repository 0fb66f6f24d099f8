"""``outrider deliver``: flags and incidents from Kafka to their destinations."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path  # noqa: TC003 # Typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli.kafka import ConfigOption, ListenOption  # noqa: TC001 # Typer reads them
from pipeline.cli.logs import start_logging, tell_start
from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.destinations import chosen, people, records
from pipeline.runtime.health import HealthServer
from pipeline.runtime.kafka.deliver import Deliverer
from pipeline.runtime.kafka.notices import PEOPLE, Notices
from pipeline.runtime.kafka.topics import verify
from pipeline.runtime.live.pool import DaemonPool
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.notify_settings import settings_of
from pipeline.runtime.several import Healths, turn_all
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.runtime.turning import turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.config import Config
    from pipeline.runtime.health import Health

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SINK: Final = "ndjson"


@app.command()
def deliver(
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Append flags.ndjson and incidents.ndjson there too."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where it is kept who was told what; needed for destinations of people.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this destination of [deliver]; may be repeated."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of this worker, the same after a restart; default: the machine's."),
    ] = None,
    config: ConfigOption = None,
    listen: ListenOption = None,
) -> None:
    """Bring flags and incidents to the destinations of [deliver] until stopped, in order.

    Any number of workers share the work for destinations of records; each needs a name of its
    own. What people are told is decided by one worker alone, the one with --state.
    """
    settings = load(config)
    start_logging()
    log, metrics, healths = get_logger("deliver"), Metrics(), Healths()
    known, told = chosen(settings, only)
    if told and state is None:
        raise ConfigError(
            f"{', '.join(told)}: give --state DIR, where it is kept who was told what; or name "
            "destinations of records with --only"
        )
    if not (known or told or out):
        raise ConfigError("there is no destination: configure some in [deliver], or give --out DIR")
    made = partial(Deliverer, clock=SystemClock(), metrics=metrics, log=log)
    worker = name or socket.gethostname()
    with ExitStack() as stack:
        if listen is not None:
            stack.enter_context(HealthServer(listen, healths, metrics))
        stopped = stack.enter_context(stopping())
        begin: Any = partial(verify, settings.kafka)
        common = {"stopped": stopped, "metrics": metrics, "log": log, "begin": begin}
        loops: dict[str, Callable[[Health], None]] = {}
        if out is not None:
            sink = NdjsonSink(out, FORMS[settings.deliver.files_format])
            loops[SINK] = partial(_turn, made(settings.kafka, SINK, sink, worker), common)
        for each, far in records(settings, known).items():
            there = made(
                settings.kafka, each, far, worker, patient=True, history=settings.deliver.history
            )
            loops[each] = partial(_turn, there, common)
        if told and state is not None:
            notices = _notices(settings, told, state, metrics, log, stack)
            loops[PEOPLE] = partial(_turn, notices, common)
        stack.enter_context(traced("deliver"))
        tell_start(
            log,
            name=worker,
            servers=settings.kafka.servers,
            destinations=sorted(loops),
            listen=listen,
        )
        with unit_of_work(log, "deliver", sinks=sorted(loops)):
            turn_all(loops, stopped=stopped, healths=healths)


def _turn(worker: Deliverer | Notices, common: dict[str, Any], health: Health) -> None:
    try:
        turn(
            worker.step,
            remark=lambda: worker.problem,
            done=lambda: False,
            idle_seconds=0.0,
            health=health,
            **common,
        )
    finally:
        worker.close()


def _notices(
    settings: Config,
    told: list[str],
    state: Path,
    metrics: Metrics,
    log: FilteringBoundLogger,
    stack: ExitStack,
) -> Notices:
    ledger = FollowedLedger(state / "notices.sqlite")
    stack.callback(ledger.close)
    ledger.hold()
    return Notices(
        settings,
        ledger,
        people(settings, told, ledger=ledger.path, log=log),
        settings_of(settings),
        pool=DaemonPool(len(told), "deliver"),
        clock=SystemClock(),
        metrics=metrics,
        log=log,
    )
