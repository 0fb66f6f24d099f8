"""``outrider incidents``: list what was found, show one in ten seconds, explain its evidence."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # read by Typer at run time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.folders import (
    FolderArgument,
    JsonOption,
    RunOption,
    ZoneOption,
    check_zone,
    one_of,
    output_folder,
    split_target,
    warn_of_damage,
)
from pipeline.cli.incidents_desk import ack, silence
from pipeline.cli.incidents_route import app as route
from pipeline.cli.output import note, print_json, print_json_array, print_text, write_file
from pipeline.model.documents import to_json
from pipeline.model.errors import OutriderError
from pipeline.report.folder import Folder
from pipeline.report.text import INCIDENT_HEAD, incident_row, incident_text, table

if TYPE_CHECKING:
    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def incidents() -> None:
    """List incidents, show or explain one, and say who looks after it or what is silenced."""


@app.command(name="list")
def list_incidents(
    folder: FolderArgument = None, *, state: RunOption = None, as_json: JsonOption = False
) -> None:
    """List the incidents, the most pressing first."""
    source = Folder(output_folder(folder, state))
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
    state: RunOption = None,
    revisions: Annotated[bool, typer.Option(help="Show every revision, in order.")] = False,
    time_zone: ZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Show one incident: who, since when, what still works, whose fault, and why."""
    source, history = _find(target, state)
    chosen = history if revisions else history[-1:]
    if as_json:
        print_json([to_json(i) for i in chosen] if revisions else to_json(chosen[0]))
    else:
        known = _titled(source)
        zone = check_zone(time_zone)
        print_text("\n\n".join(incident_text(i, time_zone=zone, advisories=known) for i in chosen))
    warn_of_damage(source)


@app.command()
def explain(
    target: Annotated[str, typer.Argument(metavar="[DIR/]ID", help="Incident, or its beginning.")],
    *,
    flag: Annotated[str, typer.Option(metavar="ID", help="Explain this flag.")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Explain every flag, not the first of each signal.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot too, as SVG.")
    ] = None,
    time_zone: ZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Show what the evidence is made of, minute by minute, so that it can be checked by hand."""
    # The detectors take 0.5 s to import.
    from pipeline.report.explain import explain_incident  # noqa: PLC0415
    from pipeline.report.explain_json import explanation_json  # noqa: PLC0415
    from pipeline.report.explain_plot import explanation_plot  # noqa: PLC0415
    from pipeline.report.explain_text import explanation_text, others_text  # noqa: PLC0415

    source, history = _find(target)
    incident, zone = history[-1], check_zone(time_zone)
    if flag:
        flag = one_of(incident.flag_ids, flag, "flag", source.path)
    told, left_out = explain_incident(source, incident, flag=flag, every=every)
    if plot is not None:
        write_file(plot, explanation_plot(f"Evidence of {incident.incident_id}", told))
    if as_json:
        flags = [explanation_json(e) for e in told]
        print_json({"incident_id": incident.incident_id, "flags": flags})
    else:
        texts = [incident.headline, *(explanation_text(e, time_zone=zone) for e in told)]
        print_text("\n\n".join([*texts, *others_text(left_out)]))
    warn_of_damage(source)


def _titled(source: Folder) -> dict[str, Advisory]:
    """The advisories, for their titles; a ledger that cannot be read keeps no incident back."""
    try:
        return source.advisories()
    except OutriderError as error:
        note(f"no title of an advisory: {error}")
        return {}


def _find(target: str, state: Path | None = None) -> tuple[Folder, list[Incident]]:
    """The folder, and the revisions of the incident that is meant."""
    path, wanted = split_target(target, state)
    source = Folder(path)
    histories = {h[-1].incident_id: h for h in source.incidents()}
    return source, histories[one_of(histories, wanted, "incident", path)]


app.command()(ack)
app.command()(silence)
app.add_typer(route, name="route")
