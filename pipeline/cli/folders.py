"""What the commands that read an output folder share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from pipeline.cli.output import note
from pipeline.cli.stores import DEFAULT_STATE
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.report.folder import Folder

DEFAULT_OUT: Final = Path("outrider-out")

FolderArgument: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DIR]",
        help=f"Folder that a backfill or a run wrote; default {DEFAULT_OUT}, else {DEFAULT_STATE}.",
    ),
]
RunOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Folder of 'outrider run', instead of DIR."),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ZoneOption: TypeAlias = Annotated[
    str, typer.Option("--time-zone", help="IANA zone printed beside UTC.")
]


def output_folder(folder: Path | None, state: Path | None = None) -> Path:
    """The folder that is meant; of one that nobody named, it is said which.

    Args:
        folder: as it was given.
        state: the same, as the folder of a run.

    Raises:
        ConfigError: both were given.
    """
    if folder is not None and state is not None:
        raise ConfigError(f"{folder}: give a folder or --state, not both")
    given = folder or state
    if given is not None:
        return given
    if DEFAULT_OUT.is_dir() or not DEFAULT_STATE.is_dir():
        return DEFAULT_OUT
    note(f"{DEFAULT_STATE} is read, since there is no {DEFAULT_OUT} here")
    return DEFAULT_STATE


def split_target(target: str, state: Path | None = None) -> tuple[Path, str]:
    """Split ``DIR/ID`` or ``ID`` (in the folder of ``state``, or the default one).

    Raises:
        ConfigError: both name a folder.

    >>> split_target("out/may/inc-12")
    (PosixPath('out/may'), 'inc-12')
    >>> split_target("EX1256020", Path("st"))
    (PosixPath('st'), 'EX1256020')
    """
    path = Path(target)
    return output_folder(path.parent if "/" in target else None, state), path.name


def one_of(ids: Iterable[str], wanted: str, what: str, where: Path) -> str:
    """The id that is, or alone begins with, ``wanted``.

    Raises:
        ConfigError: none does, or several do.
    """
    known = list(ids)
    found = [i for i in known if i == wanted] or [i for i in known if i.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{where}: {wanted!r} begins {len(found)} {_plural(what)}: {', '.join(found[:5])}"
        )
    raise ConfigError(f"{where}: no {what} {wanted!r}; there {are_there(known, what)}")


def are_there(known: Sequence[str], what: str) -> str:
    """What there is instead of what was asked for, at most five of them.

    >>> are_there(["contoso", "fabrikam"], "tenant")
    'is contoso, fabrikam'
    """
    if not known:
        return f"are no {_plural(what)}"
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"is {', '.join(known[:5])}{more}"


def _plural(what: str) -> str:
    return f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"


def warn_of_damage(folder: Folder) -> None:
    """Say on standard error which lines were left out."""
    for name, lines in folder.damaged.items():
        note(f"{folder.path / name}: {lines} unreadable line(s) left out")


def check_zone(zone: str) -> str:
    """``zone`` if it is an IANA name.

    Raises:
        ConfigError: it is none.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 # 10 ms

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"--time-zone: {zone!r} is no IANA zone such as Europe/Berlin") from error
    return zone
