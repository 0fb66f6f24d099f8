"""``outrider incidents route send``: a test message, so that nobody waits for an outage to learn."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.output import print_text
from pipeline.cli.stores import ConfigOption  # noqa: TC001 # Typer reads it at run time
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.destinations import names, people
from pipeline.runtime.telemetry import get_logger
from pipeline.runtime.trying import try_destination


def send(
    destination: Annotated[
        str, typer.Argument(metavar="NAME", help="Destination of people, such as slack.oncall.")
    ],
    *,
    config: ConfigOption = None,
) -> None:
    """Send a test message, and at once the word that it is over.

    It says that it is a test, is of low severity and goes past all routes. A pager may ring.
    """
    settings = load(config)
    _, told = names(settings)
    if destination not in told:
        there = ", ".join(told) or "none"
        raise ConfigError(f"[deliver] names no destination of people {destination!r}: {there}")
    with TemporaryDirectory(prefix="outrider-") as folder:
        # What a thread needs to be known by is kept for the two messages alone.
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        try:
            made = people(settings, [destination], ledger=ledger.path, log=get_logger("send"))
            thread = try_destination(destination, made[destination], SystemClock().now())
        finally:
            ledger.close()
    print_text(f"{destination} has taken a test message and its end ({thread})")
