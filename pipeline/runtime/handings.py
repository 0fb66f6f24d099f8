"""The ways to several destinations: each at its own pace, one after the other, and to an end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.runtime.live.again import hand_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.handing import Handed, Handing
    from pipeline.runtime.metrics import Metrics

# A destination that was down for a day takes its time; other work is done in between.
_HANDING_SECONDS: Final = 2.0
# What is under way when a run ends is waited for so long; it is handed over again otherwise.
_LAST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02


class Handings(ABC):
    """Destinations that are handed what a ledger holds for them; used by one thread.

    Args:
        ledger: holds what is on its way, and what was refused.
        each: the ways to the destinations.
        clock: dates dead letters.
        metrics, log: what others see of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        each: Sequence[Handing],
        *,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._ledger, self._each, self._clock = ledger, list(each), clock
        self._metrics, self._log = metrics, log

    @property
    def problem(self) -> str | None:
        """What is wrong with destinations, one sentence for each; None if all take what comes."""
        return "; ".join(f"{h.name}: {h.problem}" for h in self._each if h.problem) or None

    def deliver(self) -> None:
        """Hand over what there is, for some seconds at most.

        Raises:
            RetriableError: the ledger cannot be written.
            FatalError: a destination that is not waited for with patience cannot be used.
        """
        for handing in self._each:
            until = time.monotonic() + _HANDING_SECONDS
            while self._hand_again(handing) and time.monotonic() < until:
                pass
            while self._hand_over(handing) and time.monotonic() < until:
                pass
            self._metrics.sink_waiting.labels(handing.name).set(handing.problem is not None)

    def last(self) -> None:
        """Hand over once more, wait a little for what is under way, and let go."""
        self.deliver()
        until = time.monotonic() + _LAST_SECONDS
        while any(h.asked for h in self._each) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            self.deliver()
        for handing in self._each:
            handing.close()

    @abstractmethod
    def _hand_over(self, handing: Handing) -> bool:
        """Hand one portion over; whether there may be more."""

    def _hand_again(self, handing: Handing) -> bool:
        """Hand over what a destination has refused and somebody wants it to take after all."""
        done = hand_again(self._ledger, handing, to_us(self._clock.now()))
        self._count(handing.name, done.taken, done.refused)
        return done.more

    def _tell(self, name: str, done: Handed) -> None:
        """Tell others of a destination that does not take what it was handed."""
        if done.failed:
            self._metrics.sink_failures.labels(name).inc()
        if done.problem is not None:
            self._log.warning("delivery", sink=name, outcome="put off", error=done.problem)

    def _count(self, name: str, taken: int, letters: Sequence[DeadLetter]) -> None:
        """Count what a destination has accepted, and what it refused."""
        self._metrics.delivered.labels(name).inc(taken)
        for letter in letters:
            self._metrics.dead.labels(letter.reason).inc()
