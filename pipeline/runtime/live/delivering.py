"""Documents of the ledger on their way to destinations, each at its own pace.

The ledger is the queue: it holds every document that a destination has not settled, and how far
each destination is. A destination that is close (files) is handed documents on the caller's own
thread; one that is far away (a SIEM) on a thread of its own, so that a slow one costs itself time
and nobody else.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.runtime.handing import Handing
from pipeline.runtime.live.again import hand_again, is_asked_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Sink
    from pipeline.runtime.metrics import Metrics

_HANDED: Final = 500
# A destination that was down for a day takes its time; records are read in between.
_HANDING_SECONDS: Final = 2.0
# What is under way when a run ends is waited for so long; it is handed over again otherwise.
_LAST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02


class Delivering:
    """Hands the destinations what they have not settled yet; used by one thread.

    Args:
        ledger: holds the documents, and how far each destination is.
        close: destinations by name, the name being the key of what it has settled.
        far: the same, of those that are asked on threads of ``pool``.
        pool: of threads; None = the caller's own.
        clock: dates dead letters.
        metrics, log: what others see of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        close: Mapping[str, Sink],
        far: Mapping[str, Sink],
        *,
        pool: Executor | None,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._metrics, self._log = metrics, log
        self._each = [Handing(name, sink) for name, sink in close.items()]
        self._each += [Handing(name, sink, pool=pool, patient=True) for name, sink in far.items()]

    @property
    def problem(self) -> str | None:
        """What is wrong with destinations, one sentence for each; None if all take documents."""
        return "; ".join(f"{h.name}: {h.problem}" for h in self._each if h.problem) or None

    @property
    def outstanding(self) -> bool:
        """Whether a destination has something to come that it may take without a person's help."""
        ledger, hopeful = self._ledger, [h.name for h in self._each if not h.hopeless]
        return is_asked_for(ledger, hopeful) or any(
            ledger.documents(after=ledger.delivered(name), limit=1) for name in hopeful
        )

    @property
    def settled(self) -> int:
        """Number of the last document that every destination has settled."""
        return min((self._ledger.delivered(h.name) for h in self._each), default=sys.maxsize)

    def deliver(self) -> None:
        """Hand over what there is, for some seconds at most.

        Raises:
            RetriableError: the ledger cannot be written.
            FatalError: a close destination cannot be used.
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

    def _hand_again(self, handing: Handing) -> bool:
        """Hand over what a destination has refused and somebody wants it to take after all."""
        done = hand_again(self._ledger, handing, to_us(self._clock.now()))
        self._metrics.delivered.labels(handing.name).inc(done.taken)
        for letter in done.refused:
            self._metrics.dead.labels(letter.reason).inc()
        return done.more

    def _hand_over(self, handing: Handing) -> bool:
        """Hand one portion over; whether there may be more."""
        name, metrics = handing.name, self._metrics
        if handing.waiting:
            return False
        portion = self._ledger.documents(after=self._ledger.delivered(name), limit=_HANDED)
        if not portion:
            return False
        done = handing.hand(portion)
        if done.failed:
            metrics.sink_failures.labels(name).inc()
        if done.problem is not None:
            self._log.warning("delivery", sink=name, outcome="put off", error=done.problem)
        if not done.taken:
            return False
        letters = handing.refusals(
            portion, done, lambda d: f"ledger document {d.seq}", to_us(self._clock.now())
        )
        with self._ledger.transaction():
            self._ledger.bury(letters)
            self._ledger.put_delivered(name, portion[done.taken - 1].seq)
        metrics.delivered.labels(name).inc(done.taken - len(letters))
        for letter in letters:
            metrics.dead.labels(letter.reason).inc()
        return done.again is None
