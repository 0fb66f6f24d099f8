"""What a destination has to know again after a restart, kept for it by whoever calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Memory(Protocol):
    """A small store of JSON objects, of one destination alone; asked on the thread that delivers."""

    def get(self, notice_id: str) -> Mapping[str, Any] | None:
        """What was put last under a thread, None if nothing was."""
        ...

    def put(self, notice_id: str, note: Mapping[str, Any]) -> None:
        """Keep this in place of what was there; on return it outlives a crash."""
        ...


class Forgetful:
    """Keeps it for as long as the process lives."""

    def __init__(self) -> None:
        self._notes: dict[str, Mapping[str, Any]] = {}

    def get(self, notice_id: str) -> Mapping[str, Any] | None:
        """See :class:`Memory`."""
        return self._notes.get(notice_id)

    def put(self, notice_id: str, note: Mapping[str, Any]) -> None:
        """See :class:`Memory`."""
        self._notes[notice_id] = note
