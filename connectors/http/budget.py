"""How often we may ask: a service's limit, kept on our side and shared by all calls to it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from pipeline.model.errors import PacedError

if TYPE_CHECKING:
    from collections.abc import Callable


class Budget:
    """At most so many requests in any stretch of so many seconds, from any thread.

    It never waits: who may not ask now is told when it may, and comes back. A service's own
    word (Retry-After) counts for everybody who shares the budget.

    Args:
        requests: allowed in each stretch.
        seconds: its length.
        what: is limited, for messages.
        within: a wider limit that each of these requests counts towards too.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        requests: int,
        seconds: float,
        what: str,
        *,
        within: Budget | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests, self._seconds, self._what = requests, seconds, what
        self._within, self._monotonic = within, monotonic
        self._asked: deque[float] = deque()
        self._held_until = float("-inf")
        self._lock = threading.Lock()

    def take(self) -> None:
        """Use one request up.

        Raises:
            PacedError: none is left, or the service asked for a pause; ``retry_after`` tells how
                many seconds are to go.
        """
        with self._lock:
            now = self._monotonic()
            if now < self._held_until:
                raise PacedError(
                    f"{self._what}: the service asked for a pause",
                    retry_after=self._held_until - now,
                )
            while self._asked and self._asked[0] <= now - self._seconds:
                self._asked.popleft()
            if len(self._asked) >= self._requests:
                raise PacedError(
                    f"{self._what}: {self._requests} requests in {self._seconds:g} s are used up",
                    retry_after=self._asked[0] + self._seconds - now,
                )
            if self._within is not None:
                self._within.take()
            self._asked.append(now)

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so many seconds; a longer pause that is under way stays."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)

    @property
    def left(self) -> int:
        """Requests that may be made now."""
        with self._lock:
            now = self._monotonic()
            if now < self._held_until:
                return 0
            left = self._requests - sum(at > now - self._seconds for at in self._asked)
            return left if self._within is None else min(left, self._within.left)
