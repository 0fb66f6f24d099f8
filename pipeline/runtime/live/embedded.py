"""Everything in one process on one machine: sources, judging, ledger, destinations; no broker.

One step, in this order; a kill between any two leaves the ledger as the last step left it:

1. read a portion of each source, from the cursor in the ledger;
2. take it into the tenants, and judge those that are due, in memory;
3. commit at once: cursors, the messages just taken, new documents, what was told, and now
   and then the state of a tenant, which frees its messages;
4. hand the destinations what they have not taken yet, and remember how far they are.

If the commit fails, what is in memory is dropped and comes back from the ledger. A delivery
may be made twice after a kill, never left out: (id, revision) tells a destination.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.model.dead_letter import JUDGING_FAILED, UNREADABLE_MESSAGE, DeadLetter
from pipeline.model.documents import to_line
from pipeline.model.errors import OutriderError, RetriableError
from pipeline.runtime.live.again import Again, messages_again
from pipeline.runtime.live.answering import answer
from pipeline.runtime.live.delivering import Delivering
from pipeline.runtime.live.journal import Journal
from pipeline.runtime.live.messages import Message, UnreadableMessageError
from pipeline.runtime.live.observe import count, observe
from pipeline.runtime.live.reading import Harvest, Reading
from pipeline.runtime.live.showing import show
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryFeed, Sink, Source
    from pipeline.runtime.health import Health
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.feeds import Feeds
    from pipeline.runtime.live.parts import Issue
    from pipeline.runtime.metrics import Metrics
    from pipeline.runtime.notifying import Notifier

_FORGOTTEN: Final = 500
_TIDY_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Step:
    """One step's harvest, not durable yet."""

    harvest: Harvest
    letters: list[DeadLetter]
    again: Again
    taken: list[Message] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    issues: list[tuple[str, Issue]] = field(default_factory=list)
    rows: int = 0


class Embedded:
    """The loop of ``outrider run``.

    Args:
        settings: of the stages.
        ledger: where everything is kept.
        sources: by name, the name being the key of the cursor.
        sinks: by name, the name being the key of what it has taken.
        feeds: of advisories, by name.
        unnamed: gives the tenant of records and advisories that name none.
        clock: tells when records were read, if their source does not.
        metrics, health, log: what others see of it.
        keep_days: how long the ledger keeps documents and dead letters.
        live: sources and feeds that are not waited for.
        far: destinations that are not waited for, by name.
        pool: of threads, on which those are asked; None = this one.
        history: whether such a one, if it is new, gets what was told before.
        notifier: tells people; None = nobody is told.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        sources: Mapping[str, Source],
        sinks: Mapping[str, Sink],
        *,
        feeds: Mapping[str, AdvisoryFeed],
        unnamed: Callable[[], str],
        clock: Clock,
        metrics: Metrics,
        health: Health,
        log: FilteringBoundLogger,
        keep_days: int = 400,
        live: Feeds | None = None,
        far: Mapping[str, Sink] | None = None,
        pool: Executor | None = None,
        history: bool = False,
        notifier: Notifier | None = None,
    ) -> None:
        self._settings, self._ledger, self._keep_days = settings, ledger, keep_days
        self._clock = clock
        self._reading = Reading(sources, feeds, unnamed=unnamed, clock=clock, live=live)
        self._metrics, self._health, self._log = metrics, health, log
        self._delivering = Delivering(
            ledger, sinks, far or {}, pool=pool, clock=clock, metrics=metrics, log=log
        )
        self._notifier = notifier
        if far and not history:
            with ledger.transaction():
                ledger.begin_deliveries(far)
        self._tidy_at = 0.0
        self._made: Journal | None = Journal(settings, ledger, health.turn)

    @property
    def _journal(self) -> Journal:
        """The tenants; after a step that failed, brought back from what the ledger holds."""
        self._made = self._made or Journal(self._settings, self._ledger, self._health.turn)
        return self._made

    @property
    def finished(self) -> bool:
        """Whether every source is bounded and at its end."""
        return self._reading.finished

    @property
    def problem(self) -> str | None:
        """What is wrong with live sources and destinations, None if all work."""
        told = None if self._notifier is None else self._notifier.problem
        found = (self._reading.problem, self._delivering.problem, told)
        return "; ".join(p for p in found if p) or None

    @property
    def done(self) -> bool:
        """Whether there will be nothing more to do."""
        return self.finished and not self.outstanding and not self._ledger.stale(1)

    @property
    def outstanding(self) -> bool:
        """Whether somebody asked for a letter again, or a destination has not taken everything."""
        told = self._notifier is not None and self._notifier.outstanding
        return told or self._delivering.outstanding

    def step(self) -> bool:
        """One turn of the loop; whether it brought anything.

        Raises:
            RetriableError: nothing could be kept; the next call tries the same again.
            FatalError: a person has to act.
        """
        harvest = self._reading.read(self._ledger.cursor, self._journal.engine.tenants)
        again = messages_again(self._ledger, to_us(self._clock.now()))
        harvest.messages[:0] = again.messages
        step = _Step(harvest, [*harvest.letters, *again.refused], again)
        try:
            self._take(step)
            self._judge(step)
            self._commit(step)
        except BaseException:
            self._made = None  # not anew here: the ledger may fail that too
            raise
        self._reading.keep(harvest)
        self._count(step)
        answer(self._ledger, self._log)
        self._delivering.deliver()
        if self._notifier is not None:
            self._notifier.step()
        self._tidy()
        return harvest.brought or bool(step.issues)

    def _take(self, step: _Step) -> None:
        for message in step.harvest.messages:
            if message.tenant in step.failed:
                continue
            self._health.turn()
            try:
                step.rows += self._journal.engine.take(message)
            except UnreadableMessageError as error:
                step.letters.append(self._dead(message, UNREADABLE_MESSAGE, str(error)))
            except OutriderError:
                raise
            except Exception as error:  # noqa: BLE001 # one tenant must not stop the others
                self._set_aside(step, message.tenant, error)
            else:
                step.taken.append(message)

    def _judge(self, step: _Step) -> None:
        for name in self._journal.engine.due(caught_up=step.harvest.caught_up):
            self._health.turn()
            try:
                with self._metrics.judging.time():
                    issue = self._journal.engine.judge(name)
            except OutriderError:
                raise
            except Exception as error:  # noqa: BLE001 # one tenant must not stop the others
                self._set_aside(step, name, error)
                continue
            if issue:
                step.issues.append((name, issue))

    def _set_aside(self, step: _Step, name: str, error: Exception) -> None:
        """Take a tenant back to its stored state; the messages since become dead letters."""
        since = self._journal.set_aside(name)
        self._log.error("judging", outcome="set aside", error=type(error).__name__)
        step.failed[name] = (
            f"{type(error).__name__} while judging; this message is left out of the tenant's "
            "state: please report it, and replay it with a version that can"
        )
        since += [m for m in step.harvest.messages if m.tenant == name]
        if not any(m.body for m in since):
            self._journal.engine.rest(name)  # it fails as it is stored
        step.taken = [m for m in step.taken if m.tenant != name]
        step.letters += [self._dead(m, JUDGING_FAILED, step.failed[name]) for m in since if m.body]

    def _commit(self, step: _Step) -> None:
        ledger = self._ledger
        with ExitStack() as stack:
            if step.taken or step.issues:  # it turns each second, mostly for nothing
                work = stack.enter_context(span("commit"))
                work.update(records=step.rows, issues=len(step.issues))
            stack.enter_context(ledger.transaction())
            for name in step.failed:
                ledger.drop_journal(name)
            last = self._journal.keep(step.taken)
            for name, cursor in step.harvest.cursors.items():
                ledger.put_cursor(name, dict(cursor))
            ledger.bury(step.letters)
            step.again.mark(ledger, to_us(self._clock.now()))
            for name, issue in step.issues:
                flags = [(f.flag_id, f.revision, name, to_line(f)) for f in issue.flags]
                found = [(i.incident_id, i.revision, name, to_line(i)) for i in issue.incidents]
                ledger.add_documents("flag", flags)
                ledger.add_documents("incident", found)
                ledger.put_issued(name, self._journal.engine.issued(name))
            show(ledger, self._journal.engine.tenants, to_us(self._clock.now()))
            self._journal.store_ripe(last)

    def _dead(self, message: Message, reason: str, detail: str) -> DeadLetter:
        return DeadLetter(
            0,
            to_us(self._clock.now()),
            message.tenant,
            reason,
            detail,
            "message",
            message.kind.value,
            message.body,
            headers=tuple(message.headers()),
        )

    def _count(self, step: _Step) -> None:
        metrics = self._metrics
        flags, incidents = count(metrics, step.rows, step.letters, [i for _, i in step.issues])
        for message in step.harvest.messages:
            metrics.messages.labels(message.kind.value).inc()
        observe(metrics, self._journal.engine.tenants.values(), self._clock.now())
        if step.issues:
            self._log.info(
                "issued",
                flags=flags,
                incidents=incidents,
                tenants=len(step.issues),
            )

    def _tidy(self) -> None:
        """Forget some of what is old; once a minute, and in every step while there is more."""
        if time.monotonic() < self._tidy_at:
            return
        ledger = self._ledger
        delivered = min(d.settled for d in (self._delivering, self._notifier) if d is not None)
        with ledger.transaction():
            more = ledger.tidy(
                to_us(self._clock.now()),
                keep_days=self._keep_days,
                delivered=delivered,
                limit=_FORGOTTEN,
            )
        self._tidy_at = time.monotonic() + (0.0 if more else _TIDY_SECONDS)

    def end(self) -> None:
        """Store all states and deliver once more, as far as disk and destinations allow it."""
        told = [] if self._notifier is None else [self._notifier.last]
        for last in (self.store_all, self._delivering.last, *told):
            try:
                last()
            except RetriableError as error:
                # Nothing is lost: the next start takes in again what no state holds.
                self._log.warning("stop", outcome="left for the next start", error=str(error))

    def store_all(self) -> None:
        """Store every tenant's state, so that the next start takes nothing in again."""
        with self._ledger.transaction():
            self._journal.store_all()
