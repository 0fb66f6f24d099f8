"""Documents of the ledger on their way to destinations, each at its own pace.

The ledger is the queue: it holds every document that a destination has not settled, and how far
each destination is. A destination that is close (files) is handed documents on the caller's own
thread; one that is far away (a SIEM) on a thread of its own, so that a slow one costs itself time
and nobody else.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.runtime.handing import Handing
from pipeline.runtime.handings import Handings
from pipeline.runtime.live.again import is_asked_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Sink
    from pipeline.runtime.metrics import Metrics

_HANDED: Final = 500


class Delivering(Handings):
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
        each = [Handing(name, sink) for name, sink in close.items()]
        each += [Handing(name, sink, pool=pool, patient=True) for name, sink in far.items()]
        super().__init__(ledger, each, clock=clock, metrics=metrics, log=log)

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

    def _hand_over(self, handing: Handing) -> bool:
        """Hand one portion over; whether there may be more."""
        name = handing.name
        if handing.waiting:
            return False
        portion = self._ledger.documents(after=self._ledger.delivered(name), limit=_HANDED)
        if not portion:
            return False
        done = handing.hand(portion)
        self._tell(name, done)
        if not done.taken:
            return False
        letters = handing.refusals(
            portion, done, lambda d: f"ledger document {d.seq}", to_us(self._clock.now())
        )
        with self._ledger.transaction():
            self._ledger.bury(letters)
            self._ledger.put_delivered(name, portion[done.taken - 1].seq)
        self._count(name, done.taken - len(letters), letters)
        return done.again is None
