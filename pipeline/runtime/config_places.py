"""Where a key of the configuration was written: a line of the file, a variable, an option."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Place(NamedTuple):
    """A place in words; places sort as they are to be told: the file by its lines, the rest."""

    rank: int
    line: int
    words: str


class Places:
    """All places of one configuration.

    Args:
        path: the file, if one was read.
        text: its content.
        origin: where keys that are not from the file came from, by path.
    """

    def __init__(self, path: Path | None, text: str, origin: Mapping[tuple[str, ...], str]) -> None:
        self._path, self._text, self._origin = path, text, origin

    def of(self, keys: Sequence[str]) -> Place:
        """The place of a key, else of the section around it, else of the whole."""
        for length in range(len(keys), 0, -1):
            found = self._exactly(tuple(keys[:length]))
            if found is not None:
                return found
        return Place(1, 0, "configuration" if self._path is None else str(self._path))

    def _exactly(self, keys: tuple[str, ...]) -> Place | None:
        named = self._origin.get(keys)
        if named is None:
            line = line_of(self._text, keys)
            if line is not None:
                return Place(0, line, f"{self._path}: line {line}")
            # A section that the file does not have was made by what set a key of it.
            inner = (o for k, o in sorted(self._origin.items()) if k[: len(keys)] == keys)
            named = next(inner, None)
        return None if named is None else Place(2, 0, named)


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """Line (from 1) on which the key, or first the section of that name, stands."""
    section: tuple[str, ...] = ()
    listed: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[?)\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            section = tuple(p.strip().strip("\"'") for p in header[2].split("."))
            if header[1]:
                listed[section] = listed.get(section, -1) + 1
                section = (*section, str(listed[section]))
            else:
                section = _numbered(section, listed)
            if section[: len(keys)] == keys:
                return number
            continue
        assignment = re.match(r"""\s*("[^"]*"|'[^']*'|[\w.-]+)\s*=""", line)
        if assignment:
            name = assignment[1]
            parts = (name.strip("\"'"),) if name[0] in "\"'" else tuple(name.split("."))
            if (*section, *parts)[: len(keys)] == keys:
                return number
    return None


def _numbered(section: tuple[str, ...], listed: Mapping[tuple[str, ...], int]) -> tuple[str, ...]:
    """A section inside the last table of a list, with that table's number."""
    for length in range(len(section) - 1, 0, -1):
        if section[:length] in listed:
            return (*section[:length], str(listed[section[:length]]), *section[length:])
    return section
