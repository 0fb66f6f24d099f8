"""What the group takes away from a worker, told by the client on a thread of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from kafka import ConsumerRebalanceListener

if TYPE_CHECKING:
    from collections.abc import Iterable


class Revoked(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Remembers what was taken away, for the loop to see after its poll.

    The client may leave these calls out when a poll's time is over: what is held is asked of
    the client each time, and this tells only of what went and came back between two polls.
    """

    def __init__(self) -> None:
        self._places: deque[Any] = deque()

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """The group moves partitions to another worker."""
        self._places.extend(revoked)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """The group has given partitions away already."""
        self._places.extend(lost)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """The loop sees new partitions itself."""

    def take(self) -> set[Any]:
        """What was taken away since the last call."""
        return {self._places.popleft() for _ in range(len(self._places))}
