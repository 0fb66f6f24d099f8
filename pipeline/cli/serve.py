"""``outrider serve``: what a ledger holds, over HTTP."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.kafka import ConfigOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.logs import start_logging, tell_start
from pipeline.cli.output import print_text
from pipeline.cli.stores import is_there
from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError, FatalError, OutriderError
from pipeline.runtime.config import load
from pipeline.runtime.health import Health
from pipeline.runtime.listening import Address
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.notify_settings import settings_of
from pipeline.runtime.stopping import stopping
from pipeline.runtime.telemetry import get_logger, unit_of_work
from pipeline.runtime.tracing import traced
from pipeline.web.access import Access
from pipeline.web.api import Backend
from pipeline.web.app import application
from pipeline.web.dashboard import Look
from pipeline.web.ledgers import Readers
from pipeline.web.oidc import Oidc
from pipeline.web.server import WebServer, certificate

if TYPE_CHECKING:
    import threading

    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.config import Config
    from pipeline.runtime.kafka.follow import Follower

app = typer.Typer(rich_markup_mode=None, add_completion=False)
LEDGER: Final = "ledger.sqlite"
# Another name than that of a run's ledger: one folder may hold both, and neither writes the other.
FOLLOWED: Final = "followed.sqlite"
# A look at what the first page shows takes some milliseconds.
_LOOK_SECONDS: Final = 60.0


@app.command()
def serve(
    *,
    bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen.")
    ] = "127.0.0.1:8470",
    state: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of an 'outrider run'; with Kafka, where what was followed is kept.",
        ),
    ] = Path("outrider-state"),
    config: ConfigOption = None,
) -> None:
    """Serve the dashboard, and the same as JSON, until stopped.

    Without Kafka it reads the ledger of a run in DIR, also while the run writes. With
    kafka.servers set it follows the topics into a ledger of its own. It only reads, unless
    serve.write lets people acknowledge and silence incidents in the pages.
    """
    settings = load(config)
    start_logging()
    log, metrics, health = get_logger("serve"), Metrics(), Health()
    address = Address.of(bind)
    access = Access(settings.serve, address)
    tls = certificate(settings.serve)
    follows = bool(settings.kafka.servers)
    if follows and settings.serve.write:
        raise ConfigError(
            "serve.write: with Kafka the notices are decided elsewhere, and nobody would hear of "
            "an answer given here; leave it out, and use 'outrider incidents' where they are"
        )
    path = state / (FOLLOWED if follows else LEDGER)
    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        stack.enter_context(traced("serve"))
        follower = _follower(settings, path, metrics, log, stack) if follows else None
        if not is_there(path):
            raise ConfigError(
                f"{path}: no ledger here; name the folder that 'outrider run' wrote with --state"
            )
        Reader(path).close()  # says what is wrong with it before anybody asks
        readers = Readers(path)
        stack.callback(readers.close)
        backend = _backend(path, readers, health, follower)
        web = application(
            backend, access, metrics=metrics, log=log, look=_look(settings, path, log)
        )
        server = stack.enter_context(WebServer(web, address.listen(), tls))
        host = f"[{address.host}]" if ":" in address.host else address.host
        scheme = "http" if tls is None else "https"
        print_text(f"{scheme}://{host}:{server.port}/")
        tell_start(log, state=str(state), servers=settings.kafka.servers, listen=bind)
        with unit_of_work(log, "serve", mode=backend.mode, port=server.port):
            if follower is None:
                _watch(readers, server, stopped, health, log)
            else:
                _follow(follower, server, stopped, health, metrics, log)
            if not server.alive:
                raise FatalError("the web server has ended; start it anew")


def _watch(
    readers: Readers,
    server: WebServer,
    stopped: threading.Event,
    health: Health,
    log: FilteringBoundLogger,
) -> None:
    """Be ready while the ledger can be read: who asks for that does not ask for a page."""
    looked = -_LOOK_SECONDS
    while server.alive:
        if time.monotonic() - looked >= _LOOK_SECONDS:
            _try(readers, health, log)
            looked = time.monotonic()
        health.turn()
        if stopped.wait(1.0):
            return


def _try(readers: Readers, health: Health, log: FilteringBoundLogger) -> None:
    before = health.problem
    try:
        readers.look(thorough=not health.ready)
    except OutriderError as error:
        health.problem = str(error)
        if health.problem != before:
            log.warning("ledger", outcome="failed", error=health.problem)
    else:
        health.ready, health.problem = True, None


def _look(settings: Config, path: Path, log: FilteringBoundLogger) -> Look:
    serve = settings.serve
    oidc = Oidc(serve.oidc, serve.url, log) if serve.oidc.configured and serve.url else None
    return Look(
        time_zone=settings.tenant.time_zone,
        oidc=oidc,
        writing=lambda: Ledger(path),
        # With Kafka another process decides what people are told.
        notify=None if settings.kafka.servers else settings_of(settings),
    )


def _backend(path: Path, readers: Readers, health: Health, follower: Follower | None) -> Backend:
    return Backend(
        mode="embedded" if follower is None else "kafka",
        readers=readers,
        health=health,
        ready=(lambda: health.ready) if follower is None else (lambda: follower.caught_up),
        lag=Reader.deliveries if follower is None else (lambda _: follower.lag),
        committed_at=lambda: _written(path),
        version=version("outrider"),
    )


def _follower(
    settings: Config, path: Path, metrics: Metrics, log: FilteringBoundLogger, stack: ExitStack
) -> Follower:
    # A run on one machine needs no client of a broker.
    from pipeline.ledger.followed import FollowedLedger  # noqa: PLC0415
    from pipeline.runtime.kafka.follow import Follower  # noqa: PLC0415

    ledger = FollowedLedger(path)
    stack.callback(ledger.close)
    follower = Follower(
        settings.kafka,
        ledger,
        clock=SystemClock(),
        metrics=metrics,
        log=log,
        keep_days=settings.ledger.keep_days,
    )
    stack.callback(follower.close)
    return follower


def _follow(
    follower: Follower,
    server: WebServer,
    stopped: threading.Event,
    health: Health,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> None:
    from pipeline.runtime.turning import turn  # noqa: PLC0415 # as above

    turn(
        follower.step,
        done=lambda: not server.alive,
        idle_seconds=0.0,
        stopped=stopped,
        health=health,
        metrics=metrics,
        log=log,
    )


def _written(ledger: Path) -> datetime | None:
    """When a ledger was last written; commits go to the file beside it first."""
    times = []
    for path in (ledger, ledger.with_name(f"{ledger.name}-wal")):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC) if times else None
