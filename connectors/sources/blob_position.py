"""How far the blobs of some containers are read, as the cursor holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from connectors.sources.blob_names import parse_stamp, stamp
from connectors.sources.cursors import reading
from connectors.sources.lost import lost_of, stored_lost

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.contracts import Cursor, Missing

_VERSION: Final = 1


@dataclass(slots=True)
class Open:
    """How far a blob is read that may still grow.

    Attributes:
        at: bytes whose records are taken.
        seen: bytes that were looked at; behind ``at`` is a record that is not whole.
        size: bytes that it had when it was last listed.
        etag: when it was last listed.
        looked: etag that it had when all of it had been looked at.
        mark: keyed hash of the last bytes before ``at``: another one, and it is another blob.
        page: whether it is one page and not lines.
        cut: whether a record that is not whole is between ``at`` and ``seen``.
    """

    at: int = 0
    seen: int = 0
    size: int = 0
    etag: str = ""
    looked: str = ""
    mark: str = ""
    page: bool = False
    cut: bool = False

    @property
    def unread(self) -> bool:
        """Whether there is something that nobody has looked at."""
        return self.seen < self.size or self.looked != self.etag


@dataclass(slots=True)
class Folder:
    """How far a container is read.

    Attributes:
        since: hour before which nothing is read.
        hour: everything in the blobs of the hours before it is read.
        stems: what the names of its blobs begin with, up to the year.
        stems_at: hour in which these were looked for; None = never, or there were none.
        open: blobs of the hours that may still grow, by name.
    """

    since: datetime
    hour: datetime
    stems: list[str] = field(default_factory=list)
    stems_at: datetime | None = None
    open: dict[str, Open] = field(default_factory=dict)


@dataclass(slots=True)
class Position:
    """How far everything is read.

    Attributes:
        folders: by container.
        complete_to: everything that was written by then is read, us since 1970; None = not known.
        lost: stretches that can never be read any more.
    """

    folders: dict[str, Folder] = field(default_factory=dict)
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
        with reading(cursor, _VERSION, "blobs"):
            return cls(
                {name: _folder(stored) for name, stored in cursor["containers"].items()},
                cursor["complete_to"],
                lost_of(cursor["lost"]),
            )

    def cursor(self) -> Cursor:
        """As :meth:`of` reads it."""
        return {
            "v": _VERSION,
            "containers": {name: _stored(f) for name, f in sorted(self.folders.items())},
            "complete_to": self.complete_to,
            "lost": stored_lost(self.lost),
        }


def _folder(stored: Any) -> Folder:
    at = stored["stems_at"]
    return Folder(
        since=parse_stamp(stored["since"]),
        hour=parse_stamp(stored["hour"]),
        stems=[str(stem) for stem in stored["stems"]],
        stems_at=None if at is None else parse_stamp(at),
        open={name: Open(**told) for name, told in stored["open"].items()},
    )


def _stored(folder: Folder) -> dict[str, Any]:
    return {
        "since": stamp(folder.since),
        "hour": stamp(folder.hour),
        "stems": folder.stems,
        "stems_at": None if folder.stems_at is None else stamp(folder.stems_at),
        "open": {name: asdict(told) for name, told in sorted(folder.open.items())},
    }
