"""A live source or feed, asked on a thread of its own: one that is slow or fails stops nobody.

The caller asks again and again with the cursor that it has stored; what came for an older
cursor is thrown away, so that nothing is ever ahead of what is stored.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pipeline.model.clock import SystemClock, rfc3339
from pipeline.model.contracts import Missing, Poll
from pipeline.model.errors import OutriderError, PacedError, RetriableError
from pipeline.model.feed import FeedNotice, FeedState

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryPoll, Cursor
    from pipeline.model.vocabulary import Source
    from pipeline.runtime.metrics import Metrics

Told = TypeVar("Told", Poll, "AdvisoryPoll")

_AGAIN_SECONDS: Final = 30.0
_BEHIND_SECONDS: Final = 1.0
# What a person has to mend is looked at again now and then: they may have.
_MENDED_SECONDS: Final = 300.0
# A service that throttles, or is restarted, answers again within this; nobody need know.
_PATIENCE: Final = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Live:
    """What is asked, and what to expect of it.

    Attributes:
        kind: of a closed set, for metrics: ``graph_signins``.
        tenant: whose logs it brings; None = any that its records name.
        ask: asks the source (``poll``) or the feed (``changed_since``), with a cursor.
        sources: the logs that it brings; empty for a feed of advisories.
        alarm: so long behind, and somebody has to know.
        idle_seconds: pause after it had nothing more.
    """

    kind: str
    tenant: str | None
    ask: Callable[[Cursor | None], Any]
    sources: tuple[Source, ...]
    alarm: timedelta
    idle_seconds: float = 30.0

    @property
    def name(self) -> str:
        """Key of its cursor."""
        return self.kind if self.tenant is None else f"{self.kind}/{self.tenant}"


@dataclass(slots=True)
class Standing:
    """How a feed does by now.

    Attributes:
        worked_at: when it last answered; at first, when it was first asked.
        answered: whether it ever did.
        complete_to: as far as it told it is.
        problem: why it does not answer, empty if it does.
        records, rejects, errors: counted since the start of this process.
        missing: stretches it knows it lacks.
    """

    worked_at: datetime
    answered: bool = False
    complete_to: datetime | None = None
    problem: str = ""
    records: int = 0
    rejects: int = 0
    errors: int = 0
    missing: tuple[Missing, ...] = ()


@dataclass(slots=True)
class _Task(Generic[Told]):
    cursor: Cursor | None
    future: Future[Told]
    began: float = field(default_factory=time.monotonic)


class Background(Generic[Told]):
    """Asks one source or feed.

    Args:
        live: what is asked.
        pool: of threads; None = the caller's own thread.
        clock: tells how old things are.
        metrics, log: what others see of it.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        live: Live,
        *,
        pool: Executor | None,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live, self._pool = live, pool
        self._clock: Clock = clock or SystemClock()
        self._monotonic = monotonic
        self._metrics, self._log = metrics, log
        self._task: _Task[Told] | None = None
        self._again_at = float("-inf")
        self.standing = Standing(self._clock.now())

    def ask(self, cursor: Cursor | None) -> Told | None:
        """What it has after ``cursor``; None if nothing is here yet.

        It is not asked more often than it wants to be.
        """
        if self._task is None and self._monotonic() >= self._again_at:
            self._task = _Task(cursor, self._submit(cursor))
        task = self._task
        if task is None or not task.future.done():
            return None
        self._task, error = None, task.future.exception()
        if task.cursor != cursor:
            return None  # it is told again
        if error is not None:
            self._fail(error, task)
            return None
        told = task.future.result()
        self._work(told, task)
        return told

    def _submit(self, cursor: Cursor | None) -> Future[Told]:
        if self._pool is not None:
            return self._pool.submit(self.live.ask, cursor)
        future: Future[Told] = Future()
        try:
            future.set_result(self.live.ask(cursor))
        except Exception as error:  # noqa: BLE001 # as a pool does
            future.set_exception(error)
        return future

    def _fail(self, error: BaseException, task: _Task[Told]) -> None:
        if isinstance(error, PacedError):
            self._again_at = self._monotonic() + (error.retry_after or 0.0)
            return
        standing = self.standing
        standing.errors += 1
        if isinstance(error, RetriableError):
            again = _AGAIN_SECONDS if error.retry_after is None else error.retry_after
        else:
            again = _MENDED_SECONDS
        self._again_at = self._monotonic() + again
        # What is no error of ours may quote a record.
        known = isinstance(error, OutriderError)
        standing.problem = (
            str(error) if known else f"{type(error).__name__} while reading; please report it"
        )
        self._metrics.source_errors.labels(self.live.kind, type(error).__name__).inc()
        self._log.warning(
            "source",
            feed=self.live.name,
            outcome="failed",
            error=standing.problem,
            again_in=round(again, 1),
            seconds=round(time.monotonic() - task.began, 3),
        )

    def _work(self, told: Told, task: _Task[Told]) -> None:
        standing = self.standing
        mended = standing.problem
        standing.worked_at, standing.problem = self._clock.now(), ""
        standing.answered = True
        standing.records += told.received
        standing.rejects += len(told.rejects)
        self._metrics.source_records.labels(self.live.kind).inc(told.received)
        more = bool(told.received)
        if isinstance(told, Poll):
            more = bool(told.batches) and more
            self._miss(tuple(told.missing))
            if told.complete_to is not None:
                standing.complete_to = told.complete_to
        pause = 0.0 if more else self.live.idle_seconds
        if self.notice().state is FeedState.BEHIND:
            # A quiet stretch on the way to the present is no reason to rest.
            pause = min(pause, _BEHIND_SECONDS)
        self._again_at = self._monotonic() + pause
        if more or mended:
            self._log.info(
                "source",
                feed=self.live.name,
                outcome="works again" if mended else "ok",
                records=told.received,
                rejects=len(told.rejects),
                missing=len(standing.missing),
                seconds=round(time.monotonic() - task.began, 3),
            )

    def _miss(self, missing: tuple[Missing, ...]) -> None:
        """Name each stretch once, when it is first known to be missing."""
        for lack in sorted(set(missing) - set(self.standing.missing), key=lambda m: m.start):
            self._log.warning(
                "source",
                feed=self.live.name,
                outcome="missing",
                begin=rfc3339(lack.start),
                end=rfc3339(lack.end),
                error=lack.reason,
            )
        self.standing.missing = missing

    def notice(self) -> FeedNotice:
        """How it does now."""
        live, standing, now = self.live, self.standing, self._clock.now()
        reached, worked = standing.complete_to, min(standing.worked_at, now)
        # One that tells no bound has asked for everything when it last answered.
        done = worked if reached is None else min(reached, worked)
        # If the clock was set back since, nobody knows for how long it has not worked.
        unsure = standing.worked_at > now
        state, problem = FeedState.WORKING, ""
        if standing.problem and (unsure or now - worked >= min(_PATIENCE, live.alarm)):
            state, problem = FeedState.FAILING, standing.problem
        elif now - done >= live.alarm:
            state = FeedState.BEHIND
            problem = standing.problem or "it works, and is still reading what came before"
        return FeedNotice(
            feed=live.name,
            sources=live.sources,
            state=state,
            at=now,
            complete_to=done,
            since=worked,
            alarm_seconds=int(live.alarm.total_seconds()),
            problem=problem,
        )


def seconds_missing(standing: Standing) -> float:
    """Length of all stretches that a feed knows it lacks, in seconds."""
    return sum((m.end - m.start).total_seconds() for m in standing.missing)
