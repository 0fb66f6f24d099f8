"""What the commands that look into a ledger or into the topics share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from pipeline.ledger.store import Ledger
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

DEFAULT_STATE: Final = Path("outrider-state")
_FORM: Final = "%Y-%m-%d %H:%MZ"

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", envvar="OUTRIDER_CONFIG", help="Configuration, TOML."),
]
KafkaOption: TypeAlias = Annotated[
    bool, typer.Option("--kafka", help="Look into the topics of [kafka], not into a folder.")
]
StateOption: TypeAlias = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="Folder of 'outrider run'.")
]


def open_ledger(folder: Path, *, readonly: bool = True) -> Ledger:
    """The ledger of a folder that 'outrider run' wrote.

    Raises:
        ConfigError: the folder holds none.
    """
    path = folder / "ledger.sqlite"
    if not is_there(path):
        raise ConfigError(
            f"{folder}: no ledger here; name the folder that 'outrider run' wrote, or give --kafka"
        )
    return Ledger(path, readonly=readonly)


def named(text: str, what: str) -> str:
    """The id of something, as typed; an empty one would be the beginning of every other.

    Raises:
        ConfigError: it is empty.
    """
    if not text.strip():
        raise ConfigError(f"the id is empty; name the {what}, or its beginning")
    return text


def is_there(path: Path) -> bool:
    """Whether there is a file, or a folder that this user may not enter: opening it tells."""
    try:
        return path.exists()
    except PermissionError:
        return True


def minute(at: datetime | None) -> str:
    """A moment for a table; ``-`` if there is none."""
    return "-" if at is None else at.strftime(_FORM)


def mebibytes(count: int) -> str:
    """Bytes as MiB.

    >>> mebibytes(3_670_016), mebibytes(20)
    ('3.5 MiB', '0.0 MiB')
    """
    return f"{count / 2**20:.1f} MiB"
