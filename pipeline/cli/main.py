"""The entry point: global options, and errors turned into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from pipeline.cli.lazy import LazyGroup
from pipeline.model.errors import ConfigError, ExitCode, OutriderError

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG: Final = """
Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 incident found
(--fail-on-incident), 4 partial or blind data, 5 a sink refused, 130 interrupted.
"""


@dataclass(slots=True)
class Options:
    """The options that stand before the command, and its name."""

    debug: bool = False
    log_format: str = "auto"
    log_level: str = "info"
    command: str | None = None


OPTIONS: Final = Options()
# Commands that write down how far they are.
_GOING_ON: Final = frozenset({"backfill", "run", "collect", "detect", "deliver"})

app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog=EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 # 20 ms nobody else needs

        sys.stdout.write(f"outrider {version('outrider')}\n")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    log_format: Annotated[
        str, typer.Option(metavar="auto|console|json", help="Form of the log on standard error.")
    ] = "auto",
    log_level: Annotated[
        str, typer.Option(metavar="debug|info|warning|error", help="Least level to log.")
    ] = "info",
    version: Annotated[  # noqa: ARG001 # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tell whether Microsoft 365 is failing for your own users, from your own logs."""
    for name, value, known in (
        ("--log-format", log_format, ("auto", "console", "json")),
        ("--log-level", log_level, ("debug", "info", "warning", "error")),
    ):
        if value not in known:
            raise ConfigError(f"{name}: {value!r} is none of {', '.join(known)}")
    OPTIONS.debug, OPTIONS.log_format, OPTIONS.log_level = debug, log_format, log_level
    OPTIONS.command = context.invoked_subcommand


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; ``arguments`` default to those of the process."""
    OPTIONS.debug, OPTIONS.command = False, None
    try:
        app(None if arguments is None else list(arguments), prog_name="outrider")
    except SystemExit as stop:
        if stop.code == ExitCode.INTERRUPTED:
            goes_on = OPTIONS.command in _GOING_ON
            _say(f"interrupted{'; the same command goes on from here' if goes_on else ''}")
        return stop.code if isinstance(stop.code, int) else ExitCode.OK
    except OutriderError as error:
        _say(str(error))
        return ExitCode.USAGE if isinstance(error, ConfigError) else ExitCode.FAILURE
    except Exception as error:  # noqa: BLE001 # the last line of defence against tracebacks
        from pipeline.runtime.telemetry import redact  # noqa: PLC0415 # only needed here

        _say(f"unexpected {type(error).__name__}: {redact(str(error))}; --debug shows where")
        return ExitCode.FAILURE
    return ExitCode.OK


def run() -> NoReturn:
    """Entry point of the ``outrider`` command."""
    # The matrices here are small; threads for them take 0.15 s of processor at each start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A polite kill gives the cursor back and leaves whole files, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _stop)
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader had enough; keep the interpreter from complaining at exit.
        from pipeline.cli.output import write_nowhere  # noqa: PLC0415 # only needed here

        write_nowhere()
    sys.exit(code)


def _stop(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _say(message: str) -> None:
    if OPTIONS.debug and sys.exc_info()[0] is not None:
        traceback.print_exc()
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"outrider: {line}\n")
