"""``outrider advisories``: list them, show one with its posts, tell what each means for us."""

from __future__ import annotations

import textwrap
from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Final

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
from pipeline.cli.output import note, print_json, print_json_array, print_text
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.notify.clean import clean, paragraphs
from pipeline.notify.words import listed, moment
from pipeline.report.folder import Folder, is_ours
from pipeline.report.text import table

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.reject import Reject

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_HEAD: Final = ("ADVISORY", "FIRST POST", "STATUS", "SYMPTOM", "CLIENTS", "TITLE")
_IMPACT_HEAD: Final = ("ADVISORY", "AFFECTED", "OVER", "USERS", "STATEMENT")
_FORM: Final = "%Y-%m-%d %H:%MZ"
_WIDTH: Final = 88


@app.callback()
def advisories() -> None:
    """List advisories and what they mean for us."""


@app.command(name="list")
def list_advisories(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="Folder that a backfill or a run wrote, or an export of advisories.",
        ),
    ] = None,
    *,
    state: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the last version of every advisory."""
    found = _known(output_folder(path, state))
    if as_json:
        print_json_array(to_json(a) for a in found.values())
    elif found:
        print_text(table(_HEAD, [_row(a) for a in found.values()]))
    else:
        print_text("No advisory.")


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="[PATH/]ID", help="Advisory, or its beginning.")],
    *,
    state: RunOption = None,
    time_zone: ZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Show one advisory: every clock it names, and every post."""
    path, wanted = split_target(target, state)
    found = _known(path)
    advisory = found[one_of(found, wanted, "advisory", path)]
    if as_json:
        print_json(to_json(advisory))
    else:
        print_text(_text(advisory, check_zone(time_zone)))


@app.command()
def impact(
    folder: FolderArgument = None, *, state: RunOption = None, as_json: JsonOption = False
) -> None:
    """Tell for every advisory whether we are affected, and whether it is over for us.

    Of a run with several tenants, the one that is hit worst is told.
    """
    source = Folder(output_folder(folder, state))
    found = source.impacts()
    if as_json:
        print_json_array(to_json(i) for i in found.values())
    elif found:
        rows = [
            [i.advisory_id, i.answer, i.over, str(i.affected_users or "-"), i.statement]
            for i in found.values()
        ]
        print_text(table(_IMPACT_HEAD, rows))
    elif source.ledger is None:
        print_text("No advisory was given to the backfill; add --advisories.")
    else:
        print_text("The run has heard of no advisory, or has not answered one yet.")
    warn_of_damage(source)


def _known(path: Path) -> dict[str, Advisory]:
    """Advisories of a folder that a backfill or a run wrote, else of an export."""
    if is_ours(path):
        source = Folder(path)
        found = source.advisories()
        warn_of_damage(source)
        return found
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    from connectors.advisories.files import FileAdvisoryFeed  # noqa: PLC0415 # exports only

    poll = FileAdvisoryFeed([str(path)]).changed_since(None)
    left_out: dict[str, list[Reject]] = {}
    for reject in poll.rejects:
        left_out.setdefault(reject.path, []).append(reject)
    for name, rejects in left_out.items():
        # A file that is none of an export would be a line for each of its own.
        more = f" (the first of {len(rejects)} left out)" if len(rejects) > 1 else ""
        note(f"{name}: {rejects[0].reason}: {clean(rejects[0].detail)}{more}")
    return {a.advisory_id: a for a in poll.advisories}


def _row(advisory: Advisory) -> list[str]:
    first = advisory.first_published_at
    return [
        advisory.advisory_id,
        first.strftime(_FORM) if first else "-",
        advisory.status,
        advisory.symptom,
        listed([c.label for c in advisory.clients]) or "-",
        advisory.title,
    ]


def _text(advisory: Advisory, zone: str) -> str:
    def at(value: datetime | None) -> str:
        return moment(value, zone) if value else "not told"

    lines = [
        f"{clean(advisory.advisory_id)}  {clean(advisory.title)}",
        "",
        f"  Status        {clean(advisory.status)}, {clean(advisory.classification)}",
        f"  Service       {clean(advisory.service)}",
        f"  Clients       {listed([c.label for c in advisory.clients]) or 'none named'}",
        f"  First post    {at(advisory.first_published_at)}",
        f"  Start (API)   {at(advisory.start_at)}",
        f"  Start (text)  {at(advisory.text_start_at)}",
        f"  Restored      {at(advisory.restored_at)}",
        f"  End (API)     {at(advisory.end_at)}",
    ]
    for post in advisory.posts:
        lines += ["", f"  {moment(post.created_at, zone)}"]
        for paragraph in paragraphs(post.text):
            lines += textwrap.wrap(
                paragraph, _WIDTH, initial_indent="    ", subsequent_indent="    "
            )
    return "\n".join(lines)
