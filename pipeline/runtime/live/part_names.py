"""Names of the parts of objects that never change: these are written down and hashed once.

A part is named by the hash of its content. Of a tenant with a million records a day a state has
some 200 MB of records and arrays, nearly all of them as in the last one; to write them down and
hash them anew for a state each 200,000 records costs more than to judge these.
"""

from __future__ import annotations

import weakref
from typing import Any


class PartNames:
    """The names by object, for as long as the object lives."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[weakref.ref[Any], tuple[str, ...]]] = {}

    def of(self, thing: object) -> tuple[str, ...]:
        """The names of its parts, none if they are not known yet."""
        met = self._names.get(id(thing))
        return met[1] if met is not None and met[0]() is thing else ()

    def keep(self, thing: object, names: tuple[str, ...]) -> None:
        """Remember the names of an object that nothing will change."""
        at = id(thing)

        def forget(_: object) -> None:
            self._names.pop(at, None)

        self._names[at] = weakref.ref(thing, forget), names

    def __len__(self) -> int:
        """Number of objects that are known."""
        return len(self._names)
