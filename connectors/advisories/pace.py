"""How often a feed of advisories asks its service, whoever asks the feed and how often."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from pipeline.model.errors import OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model.clock import Clock

Told = TypeVar("Told")

_FIRST: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(minutes=15)


class Pace:
    """Lets the service be asked at its rate, and more seldom while it fails.

    While it fails, the same failure is told again without asking: an answer in between that
    holds nothing would look as if the service worked again.

    Args:
        every: pause between two answers.
        clock: tells the time.
    """

    def __init__(self, every: timedelta, clock: Clock) -> None:
        self._every, self._clock = every, clock
        self._next: datetime | None = None
        self._failures = 0
        self._problem: OutriderError | None = None

    @property
    def due(self) -> bool:
        """Whether the service may be asked now."""
        return self._next is None or self._clock.now() >= self._next

    def ask(self, call: Callable[[], Told]) -> Told:
        """What ``call`` gives; after its failure nothing is due for a while.

        Raises:
            OutriderError: what it raised, with the pause as its ``retry_after``.
        """
        now = self._clock.now()
        try:
            told = call()
        except OutriderError as error:
            self._failures += 1
            self._next, self._problem = now + self._pause(error), error
            raise
        self._next, self._failures, self._problem = now + self._every, 0, None
        return told

    def check(self) -> None:
        """Raise the failure whose pause is not over, if there is one."""
        if self._problem is None or self._next is None:
            return
        kind, text = type(self._problem), str(self._problem)
        if issubclass(kind, RetriableError):
            left = self._next - self._clock.now()
            raise kind(text, retry_after=max(0.0, left.total_seconds()))
        raise kind(text)

    def _pause(self, error: OutriderError) -> timedelta:
        if not isinstance(error, RetriableError):
            return max(self._every, _FIRST)  # a person has to act, and may have
        doubled: timedelta = min(_FIRST * 2 ** min(self._failures - 1, 10), _LONGEST)
        wanted = timedelta(seconds=error.retry_after or 0.0)
        return max(doubled, wanted)
