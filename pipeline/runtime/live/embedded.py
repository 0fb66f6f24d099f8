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
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.ledger.store import DeadLetter
from pipeline.model.clock import from_us, to_us
from pipeline.model.documents import to_line
from pipeline.model.errors import RetriableError
from pipeline.runtime.live.engine import Engine, apply, restored
from pipeline.runtime.live.messages import (
    Kind,
    Message,
    UnreadableMessageError,
    by_tenant,
    pack_advisories,
    pack_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryFeed, Poll, Sink, Source
    from pipeline.model.reject import Reject
    from pipeline.runtime.health import Health
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.tenant import Issue, Tenant
    from pipeline.runtime.metrics import Metrics

# Messages kept beside the state: a restart takes them in again, at a million records a second.
SNAPSHOT_ROWS: Final = 200_000
SNAPSHOT_SECONDS: Final = 900.0
_HANDED: Final = 500
_AGAIN_SECONDS: Final = 30.0
_MINUTE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class _Since:
    """What has come since a tenant's state was stored."""

    rows: int = 0
    at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Step:
    """One step's harvest, not durable yet."""

    messages: list[Message] = field(default_factory=list)
    cursors: dict[str, dict[str, object]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    issues: list[tuple[str, Issue]] = field(default_factory=list)
    caught_up: bool = True
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
    ) -> None:
        self._settings, self._ledger = settings, ledger
        self._sources, self._sinks, self._feeds = dict(sources), dict(sinks), dict(feeds)
        self._unnamed, self._clock = unnamed, clock
        self._metrics, self._health, self._log = metrics, health, log
        self._finished: set[str] = set()
        self._pause: dict[str, float] = {}
        self._start_anew()

    def _start_anew(self) -> None:
        self._engine = Engine(self._settings, self._load)
        self._since: dict[str, _Since] = {}
        for name in self._ledger.tenants():
            self._engine.tenant(name)

    def _load(self, name: str) -> Tenant:
        stored = self._ledger.state(name)
        seq, body = stored or (0, None)
        parts = self._ledger.parts(name) if body else {}
        tenant = restored(self._settings, body, parts, self._ledger.issued(name))
        since = self._since.setdefault(name, _Since())
        for told in self._ledger.journalled(name, seq):
            read_at = None if told.read_at is None else from_us(told.read_at)
            since.rows += apply(tenant, Message(name, Kind(told.kind), read_at, told.body))
        return tenant

    @property
    def finished(self) -> bool:
        """Whether every source is bounded and at its end."""
        return self._finished == set(self._sources)

    @property
    def outstanding(self) -> bool:
        """Whether a destination has not taken everything yet."""
        ledger = self._ledger
        return any(ledger.documents(after=ledger.delivered(s), limit=1) for s in self._sinks)

    def step(self) -> bool:
        """One turn of the loop; whether it brought anything.

        Raises:
            RetriableError: nothing could be kept; the next call tries the same again.
            FatalError: a person has to act.
        """
        step = self._read()
        try:
            self._take(step)
            self._commit(step)
        except BaseException:
            self._start_anew()
            raise
        self._count(step)
        self._deliver()
        return bool(step.messages or step.issues)

    def _read(self) -> _Step:
        step = _Step()
        for name, source in self._sources.items():
            if name in self._finished:
                continue
            poll = source.poll(self._ledger.cursor(name))
            step.cursors[name] = poll.cursor
            step.letters += [_letter(r, self._clock) for r in poll.rejects]
            step.messages += self._messages(poll)
            step.caught_up &= poll.finished or not poll.batches
            if poll.finished:
                self._finished.add(name)
        known = sorted({*self._engine.tenants, *(m.tenant for m in step.messages)})
        for name, feed in self._feeds.items():
            self._ask(name, feed, known, step)
        if self.finished and self._sources:
            step.messages += [Message(t, Kind.FINISH) for t in known]
        return step

    def _ask(self, name: str, feed: AdvisoryFeed, tenants: list[str], step: _Step) -> None:
        """New versions of advisories for everybody; all of them for who has just come."""
        if not tenants:
            return
        cursor = self._ledger.cursor(name)
        found = feed.changed_since(cursor)
        step.cursors[name] = dict(found.cursor)
        step.letters += [_letter(r, self._clock) for r in found.rejects] if cursor is None else []
        new = pack_advisories(found.advisories) if found.advisories else b""
        fresh = [t for t in tenants if t not in self._engine.tenants]
        every = pack_advisories(feed.changed_since(None).advisories) if fresh else b""
        for tenant in tenants:
            body = every if tenant in fresh else new
            if body:
                step.messages.append(Message(tenant, Kind.ADVISORIES, body=body))

    def _messages(self, poll: Poll) -> list[Message]:
        read_at = poll.read_at or self._clock.now()
        found = []
        for batch in poll.batches:
            for tenant, table in by_tenant(batch, self._unnamed()):
                found.append(Message(tenant, Kind.EVENTS, read_at, pack_events(table)))
        told = {m.tenant for m in found}
        if not poll.finished:
            found += [
                Message(name, Kind.CLOCK, read_at)
                for name, tenant in self._engine.tenants.items()
                if name not in told and (tenant.clock is None or read_at - tenant.clock >= _MINUTE)
            ]
        return found

    def _take(self, step: _Step) -> None:
        for message in step.messages:
            try:
                step.rows += self._engine.take(message)
            except UnreadableMessageError as error:
                step.letters.append(_dead(message, error, self._clock))
        for name in self._engine.due(caught_up=step.caught_up):
            with self._metrics.judging.time():
                issue = self._engine.judge(name)
            if issue:
                step.issues.append((name, issue))

    def _commit(self, step: _Step) -> None:
        ledger = self._ledger
        with ledger.transaction():
            last: dict[str, int] = {}
            for m in step.messages:
                if m.kind is Kind.FINISH:
                    continue  # it is told again by the source that is at its end
                read_at = None if m.read_at is None else to_us(m.read_at)
                last[m.tenant] = ledger.journal(m.tenant, m.kind.value, read_at, m.body)
                self._since.setdefault(m.tenant, _Since()).rows += len(m.body) // 32
            for name, cursor in step.cursors.items():
                ledger.put_cursor(name, dict(cursor))
            ledger.bury(step.letters)
            for name, issue in step.issues:
                flags = [(f.flag_id, f.revision, name, to_line(f)) for f in issue.flags]
                found = [(i.incident_id, i.revision, name, to_line(i)) for i in issue.incidents]
                ledger.add_documents("flag", flags)
                ledger.add_documents("incident", found)
                ledger.put_issued(name, self._engine.issued(name))
            for name, seq in last.items():
                if self._ripe(name):
                    self._store(name, seq)

    def _ripe(self, name: str) -> bool:
        since = self._since[name]
        return since.rows >= SNAPSHOT_ROWS or time.monotonic() - since.at >= SNAPSHOT_SECONDS

    def _store(self, name: str, seq: int) -> None:
        taken = self._engine.snapshot(name)
        self._ledger.put_state(name, seq, taken.body, taken.parts, taken.needed)
        self._ledger.put_issued(name, taken.issued)
        self._since[name] = _Since()

    def _count(self, step: _Step) -> None:
        metrics = self._metrics
        metrics.commits.inc()
        metrics.events.inc(step.rows)
        metrics.tenants.set(len(self._engine.tenants))
        for message in step.messages:
            metrics.messages.labels(message.kind.value).inc()
        for letter in step.letters:
            metrics.dead.labels(letter.reason).inc()
        for _, issue in step.issues:
            metrics.documents.labels("flag").inc(len(issue.flags))
            metrics.documents.labels("incident").inc(len(issue.incidents))
        held = self._engine.tenants.values()
        clocks = [t.clock for t in held if t.clock is not None]
        if clocks:
            age = (self._clock.now() - min(clocks)).total_seconds()
            metrics.delay.set(max(age, 0.0))
        metrics.open_flags.set(
            sum(f.state == "open" for t in held for f in t.issued.flags.last.values())
        )
        metrics.open_incidents.set(
            sum(not i.state.over for t in held for i in t.issued.incidents.last.values())
        )
        if step.issues:
            self._log.info(
                "issued",
                flags=sum(len(i.flags) for _, i in step.issues),
                incidents=sum(len(i.incidents) for _, i in step.issues),
                tenants=len(step.issues),
            )

    def _deliver(self) -> None:
        for name, sink in self._sinks.items():
            while self._hand_over(name, sink):
                pass

    def _hand_over(self, name: str, sink: Sink) -> bool:
        """Hand one portion over; whether there may be more. A slow sink stops nobody else."""
        if time.monotonic() < self._pause.get(name, 0.0):
            return False
        portion = self._ledger.documents(after=self._ledger.delivered(name), limit=_HANDED)
        if not portion:
            return False
        try:
            done = sink.deliver([d.document for d in portion])
        except RetriableError as error:
            self._metrics.sink_failures.labels(name).inc()
            again = _AGAIN_SECONDS if error.retry_after is None else error.retry_after
            self._pause[name] = time.monotonic() + again
            self._log.warning("delivery", sink=name, outcome="put off", error=str(error))
            return False
        if done.retry_after is not None:
            self._pause[name] = time.monotonic() + done.retry_after
            self._metrics.sink_failures.labels(name).inc()
        settled = {*done.accepted, *done.rejected}
        taken = 0
        for document in portion:  # in order: what comes after a gap is handed in again
            if (document.id, document.revision) not in settled:
                break
            taken = document.seq
        refused = set(done.rejected)
        letters = [
            DeadLetter(
                0,
                to_us(self._clock.now()),
                d.tenant,
                "refused_by_sink",
                f"{name} refused {d.kind} {d.id} revision {d.revision}; see its own log",
                f"ledger document {d.seq}",
                "document",
            )
            for d in portion
            if (d.id, d.revision) in refused and d.seq <= taken
        ]
        with self._ledger.transaction():
            self._ledger.bury(letters)
            if taken:
                self._ledger.put_delivered(name, taken)
        self._metrics.delivered.labels(name).inc(len(done.accepted))
        return bool(taken) and done.retry_after is None

    def store_all(self) -> None:
        """Store every tenant's state, so that the next start takes nothing in again."""
        with self._ledger.transaction():
            seq = self._ledger.newest()
            for name in self._engine.tenants:
                self._store(name, seq)


def _letter(reject: Reject, clock: Clock) -> DeadLetter:
    at = [f"line {reject.line}"] if reject.line is not None else []
    at += [f"record {reject.record}"] if reject.record is not None else []
    at += [f"byte {reject.offset}"] if reject.offset is not None else []
    return DeadLetter(
        0,
        to_us(clock.now()),
        None,
        reject.reason.value,
        reject.detail,
        " ".join([reject.path, *at]),
        "record",
    )


def _dead(message: Message, error: UnreadableMessageError, clock: Clock) -> DeadLetter:
    return DeadLetter(
        0,
        to_us(clock.now()),
        message.tenant,
        "unreadable_message",
        str(error),
        "message",
        message.kind.value,
        message.body,
    )


def run(
    loop: Embedded,
    *,
    health: Health,
    metrics: Metrics,
    log: FilteringBoundLogger,
    wait: Callable[[float], bool],
    idle_seconds: float = 1.0,
) -> None:
    """Turn the loop until its sources are at their end or somebody stops it.

    Args:
        loop: to turn.
        health: what the loop says of itself.
        metrics: counters.
        log: one line for each trouble.
        wait: waits so many seconds; whether to stop.
        idle_seconds: pause when there was nothing to do.
    """
    health.ready = True
    while True:
        pause = 0.0
        try:
            busy = loop.step()
            health.problem = None
            pause = 0.0 if busy else idle_seconds
        except RetriableError as error:
            metrics.failures.labels(type(error).__name__).inc()
            log.warning("step", outcome="put off", error=str(error))
            health.problem = str(error)
            pause = _AGAIN_SECONDS if error.retry_after is None else error.retry_after
        health.turn()
        if loop.finished and not health.problem and not loop.outstanding:
            break
        if wait(pause):
            break
    loop.store_all()
