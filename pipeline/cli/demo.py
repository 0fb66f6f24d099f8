"""``outrider demo``: an outage simulated, found and told, in under a minute."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.logs import start_logging
from pipeline.cli.output import note, print_text
from pipeline.cli.running import as_text, run_backfill
from pipeline.cli.simulate import run_simulation
from pipeline.cli.warming import warm_up
from pipeline.runtime.backfill import BackfillRequest
from pipeline.runtime.config import load
from pipeline.simulate.spec import SimulationSpec

if TYPE_CHECKING:
    from pipeline.cli.running import Outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SPEC: Final = SimulationSpec(scenarios=("ex1256020",), users=300, weeks=4, seed=1)
_ZONE: Final = "Europe/Berlin"


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = Path("demo"),
    open_report: Annotated[
        bool,
        typer.Option("--open/--no-open", help="Open the report, if there is a screen to open it."),
    ] = True,
) -> None:
    """See an outage found: 300 made-up users, four weeks, and EX1256020 as it was.

    Outlook on phones and the new Outlook for Mac stop working, the audit log holds no
    single failure, and the advisory comes late. Everything is made up but the story.
    """
    start_logging()
    warm_up()
    note(f"simulating {SPEC.users} users over {SPEC.weeks} weeks into {out / 'logs'}")
    run_simulation(SPEC, out / "logs")
    note(f"reading the logs as any export: outrider backfill {out / 'logs'}")
    config = load(environ={}, flags={"tenant.time_zone": _ZONE})
    request = BackfillRequest(
        paths=tuple(str(out / "logs" / part) for part in ("signins", "audit", "directory")),
        advisory_paths=(str(out / "logs" / "advisories"),),
        out=out / "result",
    )
    outcome = run_backfill(request, config)
    print_text(as_text(outcome, _ZONE))
    if open_report and _can_open():
        _open(outcome)


def _can_open() -> bool:
    """Whether a person sits before a screen."""
    screen = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen and sys.stdout.isatty()


def _open(outcome: Outcome) -> None:
    webbrowser.open(outcome.report.resolve().as_uri())
