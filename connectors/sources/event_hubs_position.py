"""How far the partitions of a namespace are read, as the cursor holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from connectors.sources.cursors import reading
from connectors.sources.lost import lost_of, stored_lost

if TYPE_CHECKING:
    from pipeline.model.contracts import Cursor, Missing

_VERSION: Final = 1


@dataclass(slots=True)
class Place:
    """How far a partition is read.

    Attributes:
        next: offset of the message to read next.
        at: what had arrived by then is read, us since 1970; None = not known.
    """

    next: int
    at: int | None = None


@dataclass(slots=True)
class Position:
    """How far everything is read.

    Attributes:
        places: by ``hub/partition``.
        complete_to: everything that had arrived by then is read, us since 1970.
        lost: stretches that can never be read any more.
    """

    places: dict[str, Place] = field(default_factory=dict)
    complete_to: int | None = None
    lost: list[Missing] = field(default_factory=list)

    @classmethod
    def of(cls, cursor: Cursor | None) -> Position:
        """The position that a cursor tells.

        Raises:
            StateError: the cursor is of another version, or damaged.
        """
        if cursor is None:
            return cls()
        with reading(cursor, _VERSION, "event_hubs"):
            return cls(
                {key: _place(place) for key, place in cursor["partitions"].items()},
                cursor["complete_to"],
                lost_of(cursor["lost"]),
            )

    def cursor(self) -> Cursor:
        """As :meth:`of` reads it."""
        return {
            "v": _VERSION,
            "partitions": {
                key: {"next": place.next, "at": place.at}
                for key, place in sorted(self.places.items())
            },
            "complete_to": self.complete_to,
            "lost": stored_lost(self.lost),
        }


def _place(stored: Any) -> Place:
    at = stored["at"]
    return Place(int(stored["next"]), None if at is None else int(at))
