"""Results on standard output or in a file, times from the command line."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.model.errors import ConfigError, FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def print_text(text: str, *, at_once: bool = False) -> bool:
    """Write ``text`` and a newline to standard output.

    Args:
        text: to write.
        at_once: also where a program reads it, which gets 8 KiB at a time otherwise.

    Returns:
        Whether somebody reads on.
    """
    with _reader() as read_on:
        sys.stdout.write(text + "\n")
        if at_once:
            sys.stdout.flush()
    return not read_on.gone


def print_json(value: Any) -> None:
    """Write one JSON document, indented for people, to standard output."""
    with _reader():
        json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")


def print_json_array(values: Iterable[Any]) -> None:
    """Write a JSON array, one element a line, while the elements come."""
    with _reader():
        sys.stdout.write("[")
        for number, value in enumerate(values):
            sys.stdout.write(",\n" if number else "\n")
            sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        sys.stdout.write("\n]\n")


class _Reader:
    """Whoever reads standard output, as far as is known."""

    gone = False


@contextmanager
def _reader() -> Iterator[_Reader]:
    """Within it, that the reader has had enough is no error; the command ends as it would have."""
    read_on = _Reader()
    try:
        yield read_on
    except BrokenPipeError:
        read_on.gone = True
        write_nowhere()


def write_nowhere() -> None:
    """Let what is still to be written, now or at the exit, go where nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def note(text: str) -> None:
    """Write a remark to standard error."""
    sys.stderr.write(f"outrider: {text}\n")


def write_file(path: Path, text: str) -> None:
    """Write a file that a person named; it appears whole, or the one of before stays.

    Raises:
        FatalError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise FatalError(f"{path}: cannot be written ({error.strerror})") from error


def parse_time(flag: str, text: str | None) -> datetime | None:
    """Read an ISO 8601 date or time; without a zone it is UTC.

    Raises:
        ConfigError: it is none; the message names the flag.

    >>> parse_time("--from", "2026-03-19T09:00+01:00").isoformat()
    '2026-03-19T08:00:00+00:00'
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{flag}: {text!r} is no time; write 2026-03-19 or 2026-03-19T08:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
