"""Stretches that can never be read any more, as a cursor keeps them for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import from_us, to_us
from pipeline.model.contracts import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# As long as the window stage remembers records: after that nobody can tell the difference.
KEPT: Final = timedelta(days=8)


def lost_of(stored: Iterable[Any]) -> list[Missing]:
    """The stretches that a cursor holds.

    Raises:
        ValueError, TypeError: it holds something else.
    """
    return [Missing(from_us(start), from_us(end), str(reason)) for start, end, reason in stored]


def stored_lost(lost: Iterable[Missing]) -> list[list[Any]]:
    """The stretches as a cursor holds them."""
    return [[to_us(m.start), to_us(m.end), m.reason] for m in lost]


def still_told(lost: Iterable[Missing], now: datetime) -> list[Missing]:
    """Those that are not older than :data:`KEPT`, in order of time, each once."""
    return sorted({m for m in lost if m.end + KEPT > now}, key=lambda m: (m.start, m.end, m.reason))
