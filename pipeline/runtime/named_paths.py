"""Paths that a person has named: one that is not there is a slip, unless it may still come."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from structlog.typing import FilteringBoundLogger

_STDIN: Final = "-"


def refuse_missing(paths: Iterable[str], advisories: Iterable[str] = ()) -> None:
    """Look whether every path names something, before any work is done.

    Args:
        paths: files, folders, patterns, or ``-`` for standard input.
        advisories: the same, as ``--advisories`` names them.

    Raises:
        ConfigError: one names nothing.
    """
    for path, place in _missing(paths, advisories):
        raise ConfigError(f"{place}{path}: no such file, folder or pattern; check the path")


def wait_for_missing(
    paths: Iterable[str], advisories: Iterable[str], log: FilteringBoundLogger
) -> None:
    """Say which paths name nothing yet: a run that follows them reads what comes."""
    for path, _ in _missing(paths, advisories):
        log.warning("files", outcome="waited for", path=path, error="nothing is there yet")


def _missing(paths: Iterable[str], advisories: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield from ((path, "") for path in paths if not is_there(path))
    yield from ((path, "--advisories ") for path in advisories if not is_there(path))


def is_there(path: str) -> bool:
    """Whether a path names something; it need not be readable."""
    return path == _STDIN or os.path.lexists(path) or bool(glob.glob(path, recursive=True))  # noqa: PTH207 # absolute patterns
