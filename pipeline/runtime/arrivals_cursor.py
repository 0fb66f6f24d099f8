"""How far the files of :mod:`pipeline.runtime.arrivals` are read.

``{"v": 1, "done": [unit ids], "units": [those under way], "day": n, "row": n}``, and where files
were set aside ``"told": {id: time of change}`` (:mod:`pipeline.runtime.arrivals_told`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.model.contracts import Cursor

_VERSION: Final = 1
# Files that are gone are forgotten when they are more than this, and more than those there.
_GONE: Final = 1000


def remembered(done: set[str], there: set[str]) -> set[str]:
    """The files done, without those long gone; a folder that is away as a whole comes back."""
    gone = len(done - there)
    return done & there if there and gone > max(_GONE, len(there)) else done


def position(cursor: Cursor | None) -> tuple[set[str], list[str], int, int]:
    """Units done, units under way in their order, day of arrival and row of it to go on at.

    Raises:
        StateError: the cursor is of another version.
    """
    if cursor is None:
        return set(), [], 0, 0
    if cursor.get("v") != _VERSION:
        raise StateError(f"cursor of the files: want version {_VERSION}; start anew")
    return set(cursor["done"]), list(cursor["units"]), int(cursor["day"]), int(cursor["row"])


def told_in(cursor: Cursor | None) -> dict[str, int]:
    """The files that were told to be unusable; cursors of earlier versions name none."""
    return {} if cursor is None else dict(cursor.get("told", {}))


def cursor_of(
    done: Sequence[str] | set[str],
    told: Mapping[str, int],
    units: Sequence[str] = (),
    day: int = 0,
    row: int = 0,
) -> Cursor:
    """The cursor that :func:`position` and :func:`told_in` read."""
    cursor: Cursor = {"v": _VERSION, "done": sorted(done), "units": list(units), "day": day}
    return cursor | {"row": row} | ({"told": dict(told)} if told else {})
