"""Cursors that a store hands back: of our version and whole, or an error that says whose it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.model.contracts import Cursor


@contextmanager
def reading(cursor: Cursor, version: int, source: str) -> Iterator[None]:
    """Take a cursor apart within the block.

    Args:
        cursor: as it was stored.
        version: that is understood.
        source: whose it is, for messages.

    Raises:
        StateError: it is of another version, or the block finds it damaged.
    """
    if cursor.get("v") != version:
        raise StateError(
            f"cursor of {source}: want version {version}, got {str(cursor.get('v'))[:20]!r}; use "
            "the program that wrote it, or start anew"
        )
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise StateError(
            f"cursor of {source}: damaged; restore it from a backup, or start anew"
        ) from None
