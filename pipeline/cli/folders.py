"""What the commands that read an output folder share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from pipeline.cli.output import note
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.report.folder import Folder

DEFAULT_OUT: Final = Path("outrider-out")

FolderArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="Folder that a backfill wrote.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ZoneOption: TypeAlias = Annotated[
    str, typer.Option("--time-zone", help="IANA zone printed beside UTC.")
]


def split_target(target: str) -> tuple[Path, str]:
    """Split ``DIR/ID`` or ``ID`` (in the default folder).

    >>> split_target("out/may/inc-12")
    (PosixPath('out/may'), 'inc-12')
    >>> split_target("EX1256020")
    (PosixPath('outrider-out'), 'EX1256020')
    """
    path = Path(target)
    return (path.parent if "/" in target else DEFAULT_OUT), path.name


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
