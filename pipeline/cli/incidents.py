"""``outrider incidents``: list what was found, or show one incident in ten seconds."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.folders import (
    DEFAULT_OUT,
    FolderArgument,
    JsonOption,
    ZoneOption,
    check_zone,
    one_of,
    split_target,
    warn_of_damage,
)
from pipeline.cli.output import print_json, print_json_array, print_text
from pipeline.model.documents import to_json
from pipeline.report.folder import Folder
from pipeline.report.text import INCIDENT_HEAD, incident_row, incident_text, table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def incidents() -> None:
    """List incidents, or show one in ten seconds."""


@app.command(name="list")
def list_incidents(folder: FolderArgument = DEFAULT_OUT, *, as_json: JsonOption = False) -> None:
    """List the incidents, the most pressing first."""
    source = Folder(folder)
    latest = [history[-1] for history in source.incidents()]
    if as_json:
        print_json_array(to_json(i) for i in latest)
    elif latest:
        print_text(table(INCIDENT_HEAD, [incident_row(i) for i in latest]))
    else:
        print_text("No incident found.")
    warn_of_damage(source)


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="[DIR/]ID", help="Incident, or its beginning.")],
    *,
    revisions: Annotated[bool, typer.Option(help="Show every revision, in order.")] = False,
    time_zone: ZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Show one incident: who, since when, what still works, whose fault, and why."""
    path, wanted = split_target(target)
    source = Folder(path)
    histories = {h[-1].incident_id: h for h in source.incidents()}
    history = histories[one_of(histories, wanted, "incident", path)]
    chosen = history if revisions else history[-1:]
    if as_json:
        print_json([to_json(i) for i in chosen] if revisions else to_json(chosen[0]))
    else:
        known = source.advisories()
        zone = check_zone(time_zone)
        print_text("\n\n".join(incident_text(i, time_zone=zone, advisories=known) for i in chosen))
    warn_of_damage(source)
