"""What the group gives a worker and takes away, told by the client on a thread of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from kafka import ConsumerRebalanceListener

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Moves(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Remembers which partitions came and went, for the loop to see after its poll.

    The client may leave these calls out when a poll's time is over: whoever has to know what is
    held asks the client for it, and learns here what went and came back between two polls.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[bool, list[Any]]] = deque()

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """The group moves partitions to another worker."""
        self._told.append((False, list(revoked)))

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """The group has given partitions away already."""
        self._told.append((False, list(lost)))

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """The group gives partitions to this worker."""
        self._told.append((True, list(assigned)))

    def take(self) -> Iterator[tuple[bool, list[Any]]]:
        """What was told since the last call, in order: whether they came, and which."""
        while self._told:
            yield self._told.popleft()
