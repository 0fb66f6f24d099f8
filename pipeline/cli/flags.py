"""``outrider flags``: list what the detectors raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.folders import (
    FolderArgument,
    JsonOption,
    RunOption,
    output_folder,
    warn_of_damage,
)
from pipeline.cli.output import print_json_array, print_text
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.model.flag import FlagState
from pipeline.model.vocabulary import Client
from pipeline.report.folder import Folder
from pipeline.report.text import table

if TYPE_CHECKING:
    from pipeline.model.flag import Flag

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_HEAD: Final = ("FLAG", "ONSET", "RAISED", "CLOSED", "KIND", "SCORE", "CLIENT", "SOURCE")
_FORM: Final = "%Y-%m-%d %H:%MZ"


@app.callback()
def flags() -> None:
    """List what the detectors raised."""


@app.command(name="list")
def list_flags(
    folder: FolderArgument = None,
    *,
    state: RunOption = None,
    client: Annotated[str | None, typer.Option(help="Only flags of this client.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the last revision of every flag, in order of onset."""
    if client is not None and client not in set(Client):
        raise ConfigError(f"--client: {client!r} is none of {', '.join(Client)}")
    source = Folder(output_folder(folder, state))
    chosen = sorted(
        (f for f in source.flags().values() if client in {None, f.client}),
        key=lambda f: (f.onset_at, f.flag_id),
    )
    if as_json:
        print_json_array(to_json(f) for f in chosen)
    elif chosen:
        print_text(table(_HEAD, [_row(f) for f in chosen]))
    else:
        print_text("No flag raised.")
    warn_of_damage(source)


def _row(flag: Flag) -> list[str]:
    closed = flag.state is FlagState.CLOSED
    return [
        flag.flag_id,
        flag.onset_at.strftime(_FORM),
        flag.raised_at.strftime(_FORM),
        flag.closed_at.strftime(_FORM) if closed and flag.closed_at else str(flag.state),
        str(flag.kind),
        f"{flag.score:.1f}",
        flag.client.label,
        str(flag.source),
    ]
