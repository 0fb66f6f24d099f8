"""Telling people: from the documents of a ledger to notices, and these to their destinations.

Two steps, and a kill between or within them loses nothing:

1. *decide*: new revisions behind the own position go through the notify stage. What it
   remembers, the notices (into the outbox) and the position commit in one transaction, so each
   notice is decided once.
2. *deliver*: each destination is handed what its outbox holds, in order; what it has settled
   moves to the log of what was handed over. A delivery may be made twice after a kill, never left
   out: (notice_id, revision) tells a destination.

It works on the ledger of a run, and on one that follows topics, with a position of its own.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.desk import ACCEPTED, DROPPED, REFUSED
from pipeline.model.clock import to_us
from pipeline.notify.memory import INCIDENTS, THREADS, is_usable
from pipeline.notify.stage import Input, advance
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
    from pipeline.model.notice import Ack, Silence
    from pipeline.notify.memory import State
    from pipeline.notify.settings import NotifySettings
    from pipeline.runtime.metrics import Metrics

POSITION: Final = "notify"
_LINE: Final = "outbox"
_PORTION: Final = 1000
_HANDED: Final = 100
# For so long at a time it catches up with history.
_SECONDS: Final = 2.0
# Without news, silences, waits and reminders are looked at each second; with very many threads
# that go on, a second later for each so many: one look at them takes some 50 ms.
_LOOK: Final = timedelta(seconds=1)
_THREADS: Final = 500
_TIDY: Final = timedelta(hours=1)


class Notifier(Handings):
    """Decides and delivers notices; used by one thread, one at a time on a ledger.

    Args:
        ledger: holds the documents; what was decided is kept there.
        sinks: destinations of people, by name.
        settings: of the stage; what they say of other destinations is left to others.
        pool: of threads on which destinations are asked; None = the caller's own.
        clock: tells when something is decided.
        metrics, log: what others see of it.
        keep_days: how long it is remembered what was handed over, acknowledged and silenced.
    """

    def __init__(
        self,
        ledger: Ledger,
        sinks: Mapping[str, Sink],
        settings: NotifySettings,
        *,
        pool: Executor | None = None,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
        keep_days: int = 400,
    ) -> None:
        # A worker may have some of the destinations only; the routes may name the others.
        self._settings = replace(settings, sinks=settings.sinks & set(sinks))
        self._keep_days = keep_days
        patient = pool is not None
        each = [Handing(name, sink, pool=pool, patient=patient) for name, sink in sinks.items()]
        super().__init__(ledger, each, clock=clock, metrics=metrics, log=log)
        self._state: State | None = None
        self._answers: tuple[list[Silence], dict[str, Ack]] = ([], {})
        self._looked_at = self._look_at = self._tidied_at = datetime.min.replace(tzinfo=UTC)

    @property
    def position(self) -> int:
        """Number of the last document that it has taken; those behind it have to be kept."""
        cursor = self._ledger.cursor(POSITION)
        return 0 if cursor is None else int(cursor["seq"])

    @property
    def settled(self) -> int:
        """The same, greater than any number where there is nobody to tell."""
        return self.position if self._each else sys.maxsize

    @property
    def outstanding(self) -> bool:
        """Whether a destination has something to come that it may take without a person's help.

        What waits for a time, such as the end of quiet hours, does not count.
        """
        hopeful = [h.name for h in self._each if not h.hopeless]
        behind = bool(self._each) and self.position < self._ledger.last_document()
        queued = self._ledger.outbox_counts()
        return behind or any(n in queued for n in hopeful) or is_asked_for(self._ledger, hopeful)

    def step(self) -> bool:
        """Decide, then deliver; whether anything was decided.

        Raises:
            RetriableError: the ledger cannot be written; the next call does the same again.
            FatalError: a destination on the caller's own thread cannot be used.
        """
        decided = self.decide()
        self.deliver()
        return decided

    def decide(self) -> bool:
        """Take what is new and decide what is told; whether anything was.

        Raises:
            RetriableError: the ledger cannot be written; nothing was decided.
        """
        if not self._each:
            return False
        decided, until = False, time.monotonic() + _SECONDS
        try:
            while True:
                more, notices = self._decide()
                decided |= bool(notices)
                if not more or time.monotonic() > until:
                    return decided
        except BaseException:
            self._state = None  # what is in memory was not kept: it comes back from the ledger
            raise

    def _decide(self) -> tuple[bool, list[dict[str, Any]]]:
        """One portion; whether there is more, and the notices that it gave."""
        ledger, now = self._ledger, self._clock.now()
        before = self._begin(now) if self._state is None else self._state
        position, newest = self.position, ledger.last_document()
        answers = (ledger.silences(to_us(now)), ledger.acks())
        soon = self._look_at > now >= self._looked_at
        if position >= newest and soon and answers == self._answers:
            return False, []
        portion = ledger.documents(after=position, kind="incident", limit=_PORTION)
        more = len(portion) == _PORTION
        usable = [d.document for d in portion if is_usable(d.document)]
        if len(usable) < len(portion):
            self._log.warning("notice", outcome="no incident", documents=len(portion) - len(usable))
        arrived = Input(usable, *answers, caught_up=not more)
        state, notices = advance(before, arrived, now, self._settings)
        reached = portion[-1].seq if more else newest
        changes = {kind: _changes(before, state, kind) for kind in (INCIDENTS, THREADS)}
        if reached != position or notices or any(c or g for c, g in changes.values()):
            with ledger.transaction():
                for kind, (changed, gone) in changes.items():
                    ledger.put_threads(kind, changed, gone)
                ledger.put_notices(notices)
                ledger.put_cursor(POSITION, {"v": 1, "seq": reached})
        going_on = sum(thread["done"] is None for thread in state.get(THREADS, {}).values())
        self._state, self._looked_at, self._answers = state, now, answers
        self._look_at = now + _LOOK * max(1, going_on // _THREADS)
        for notice in notices:
            self._metrics.documents.labels("notice").inc()
            self._log.info(
                "notice",
                sink=notice["sink"],
                reason=notice["reason"],
                severity=notice["severity"],
                incidents=len(notice["incidents"]),
            )
        return more, notices

    def _begin(self, now: datetime) -> State:
        """What is remembered; notices for destinations that are not there any more go."""
        ledger = self._ledger
        for name in set(ledger.outbox_counts()) - {h.name for h in self._each}:
            with ledger.transaction():
                left = ledger.outbox(name, -1)
                ledger.settle(name, [(d, DROPPED) for d in left], to_us(now))
            self._log.warning("notice", sink=name, outcome="no such destination", notices=len(left))
        return ledger.threads()

    def deliver(self) -> None:
        """See :class:`Handings`; now and then, forget what is old."""
        super().deliver()
        self._tidy()

    def _hand_over(self, handing: Handing) -> bool:
        """Hand one portion over; whether there may be more."""
        name = handing.name
        if handing.waiting:
            return False
        portion = self._ledger.outbox(name, _HANDED)
        if not portion:
            return False
        done = handing.hand(portion, _LINE)
        self._tell(name, done)
        if not done.taken:
            return False
        now = to_us(self._clock.now())
        letters = handing.refusals(portion, done, lambda d: f"notice {d.seq} of the ledger", now)
        outcomes = [REFUSED if n in done.refused else ACCEPTED for n in range(done.taken)]
        with self._ledger.transaction():
            self._ledger.bury(letters)
            self._ledger.settle(name, zip(portion, outcomes, strict=False), now)
        self._count(name, done.taken - len(letters), letters)
        return done.again is None

    def _tidy(self) -> None:
        now = self._clock.now()
        if now - self._tidied_at < _TIDY:
            return
        with self._ledger.transaction():
            self._ledger.tidy_desk(to_us(now - timedelta(days=self._keep_days)))
        self._tidied_at = now


def _changes(before: State, after: State, kind: str) -> tuple[dict[str, Any], list[str]]:
    """What has to be written, and what is gone."""
    old, new = before.get(kind, {}), after.get(kind, {})
    changed = {name: body for name, body in new.items() if old.get(name) is not body}
    return changed, [name for name in old if name not in new]
