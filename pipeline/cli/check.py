"""``outrider check``: try everything that is configured, and say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.kafka import ConfigOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.output import print_json, print_text
from pipeline.model.clock import SystemClock
from pipeline.model.documents import to_json
from pipeline.report.checked import checked_text
from pipeline.runtime.checking.finding import exit_code
from pipeline.runtime.checking.plan import check as look
from pipeline.runtime.config import load

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def check(
    *,
    config: ConfigOption = None,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of 'outrider run' or 'outrider collect'.")
    ] = Path("outrider-state"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of text.")
    ] = False,
) -> None:
    """Try each configured source and sink: names, TLS, sign-in, permissions, licences, clocks.

    Nothing is changed anywhere. Each failure comes with what to do. Exit code 0: all is well;
    4: warnings only; 1: something fails.
    """
    findings = list(look(load(config), state, SystemClock()))
    code = exit_code(findings)
    if as_json:
        print_json(
            {
                "schema": "outrider.check/1",
                "exit_code": int(code),
                "findings": [to_json(f) for f in findings],
            }
        )
    else:
        print_text(checked_text(findings))
    raise typer.Exit(code)
