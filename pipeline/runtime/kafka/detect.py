"""The role ``detect``: batches of records in, flags and incidents out, exactly once.

One step, in this order:

1. poll a portion; take each message into its tenant, in memory;
2. judge the tenants that are due;
3. one transaction: documents, what was told, states that are due, dead letters, and the
   consumed offsets. It is the broker that says yes or no to all of it; a worker that has
   lost its partitions meanwhile is refused.

With the offset of a partition goes, as its metadata, the offset from which messages are not
in any stored state yet. Whoever takes the partition over asks for that offset, which waits for
a commit under way, then reads the state topic, takes the messages from there to the committed
offset in again without telling anything, and goes on. If anything fails, everything in memory
is dropped and comes back that way.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from pipeline.model.clock import to_us
from pipeline.model.dead_letter import JUDGING_FAILED, MESSAGES, DeadLetter
from pipeline.model.errors import OutriderError
from pipeline.runtime.kafka.assigned import Assigned
from pipeline.runtime.kafka.client import Topics, consumer, letting_go, unreachable
from pipeline.runtime.kafka.letters import stretch, unreadable
from pipeline.runtime.kafka.stored import read_back
from pipeline.runtime.kafka.writing import Writing
from pipeline.runtime.live.messages import UnreadableMessageError
from pipeline.runtime.live.observe import count, observe
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.kafka.partition import Partition, Ripe
    from pipeline.runtime.live.parts import Issue
    from pipeline.runtime.metrics import Metrics

# How often offsets are committed where nothing is to be told.
_COMMIT_SECONDS: Final = 1.0
# A state takes 10 to 50 ms, and a thousand may be due at once: the broker ends a transaction that
# is open for 15 seconds, and whoever waits for a flag waits for the states in its transaction.
_STORE_SECONDS: Final = 1.0
_OBSERVE_SECONDS: Final = 5.0
# A collector tells each tenant the time once a minute, news or none.
_SILENT_SECONDS: Final = 600.0
_PORTION: Final = 500
# A thousand tenants judged at once take a minute; a step of this length hangs.
_STEP_MS: Final = 900_000
# Long enough for a restart of a pod, short enough for a machine that is gone.
_SESSION_MS: Final = 10_000


@dataclass(slots=True)
class _Step:
    """One step's harvest of one partition."""

    issues: list[tuple[str, Issue]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    rows: int = 0


class Detector:
    """A worker. Any number of them share the partitions.

    Args:
        config: of the broker.
        settings: of the stages.
        name: of this worker, the same after a restart: it keeps its partitions then.
        clock: dates dead letters.
        metrics: counters.
        log: one line for each commit that told something.
        beat: called within long steps too, so that whoever watches sees the loop turn.
    """

    def __init__(
        self,
        config: Kafka,
        settings: Settings,
        name: str,
        *,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._settings, self._name = config, settings, name
        self._beat = beat
        self._clock, self._metrics, self._log = clock, metrics, log
        self._topics = Topics(config.prefix)
        self._consumer: Any = None
        self._assigned: Assigned | None = None
        self._writing: Writing | None = None
        self._committed_at = self._observed_at = 0.0
        self._heard_at = time.monotonic()

    @property
    def partitions(self) -> list[int]:
        """Partitions held now."""
        return sorted(self._partitions)

    @property
    def problem(self) -> str | None:
        """What keeps the tenants held from being told anything, None if nothing is known to."""
        silent = time.monotonic() - self._heard_at
        if silent < _SILENT_SECONDS or not any(p.engine.tenants for p in self._partitions.values()):
            return None
        return (
            f"{self._topics.events}: nothing has come for {silent / 60:.0f} minutes; look whether "
            "a collector runs"
        )

    @property
    def _partitions(self) -> dict[int, Partition]:
        return {} if self._assigned is None else self._assigned.partitions

    def step(self, timeout_ms: int = 500) -> bool:
        """One turn; whether it brought anything.

        Raises:
            RetriableError: everything not committed was dropped; call again.
            FatalError: a person has to act.
        """
        with letting_go(self._config, self.close, self._name):
            assigned, writing = self._opened()
            found = self._consumer.poll(timeout_ms=timeout_ms)
            if found:
                self._heard_at = time.monotonic()
            assigned.follow(found)
            steps = self._take(found)
            self._judge(assigned, steps, idle=not found)
            self._commit(writing, steps)
            assigned.tell_lag()
        if time.monotonic() - self._observed_at >= _OBSERVE_SECONDS:
            self._observe()
        if not found:
            assigned.look()
        return bool(found)

    def stop(self) -> None:
        """Store every tenant's state, so that whoever takes over has nothing to take in again.

        Raises:
            RetriableError: the broker does not answer; nothing is lost by it.
        """
        if self._writing is None:
            return
        try:
            while self._commit(self._writing, {}, everything=True):
                self._beat()
        except KafkaError as error:
            raise unreachable(self._config, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything; what is not committed is done again by somebody."""
        if self._consumer is not None:
            with suppress(KafkaError):  # nothing of it matters any more
                self._consumer.close()
        if self._writing is not None:
            self._writing.close()
        self._consumer = self._assigned = self._writing = None

    def _opened(self) -> tuple[Assigned, Writing]:
        if self._assigned is not None and self._writing is not None:
            return self._assigned, self._writing
        # First: it shuts out whoever had this name before, whatever he has under way.
        self._writing = Writing(self._config, self._name)
        self._consumer = consumer(
            self._config,
            group_id=f"{self._config.prefix}-detect",
            group_instance_id=self._name,
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=_SESSION_MS,
            max_poll_interval_ms=_STEP_MS,
            heartbeat_interval_ms=1_000,
            max_poll_records=_PORTION,
        )
        self._assigned = Assigned(
            self._config, self._settings, self._consumer, metrics=self._metrics, log=self._log
        )
        return self._assigned, self._writing

    def _take(self, found: dict[Any, list[Any]]) -> dict[int, _Step]:
        steps: dict[int, _Step] = {}
        for place, records in found.items():
            part = self._partitions.get(place.partition)
            if part is None:
                continue
            step = steps.setdefault(place.partition, _Step())
            self._beat()
            for record in records:
                try:
                    step.rows += part.take(record)
                except UnreadableMessageError as error:
                    if record.offset >= part.committed:
                        step.dead.append(unreadable(record, error, self._clock.now()))
                except OutriderError:
                    raise
                except Exception as error:  # noqa: BLE001 # one tenant must not stop the others
                    step.dead.append(self._set_aside(part, record.key.decode(), error))
        return steps

    def _judge(self, assigned: Assigned, steps: dict[int, _Step], *, idle: bool) -> None:
        for number, part in assigned.partitions.items():
            if part.replaying:
                continue
            caught_up = part.live or idle or assigned.behind(number) == 0
            for name in part.engine.due(caught_up=caught_up):
                step = steps.setdefault(number, _Step())
                self._beat()
                try:
                    with self._metrics.judging.time():
                        issue = part.engine.judge(name)
                except OutriderError:
                    raise
                except Exception as error:  # noqa: BLE001 # one tenant must not stop the others
                    step.dead.append(self._set_aside(part, name, error))
                    continue
                if issue:
                    step.issues.append((name, issue))

    def _set_aside(self, part: Partition, name: str, error: Exception) -> DeadLetter:
        """Take a tenant back to its stored state, without the messages since."""
        first = part.set_aside(name, read_back(self._config, [part.number])[part.number])
        self._log.error("judging", outcome="set aside", error=type(error).__name__)
        return DeadLetter(
            0,
            to_us(self._clock.now()),
            name,
            JUDGING_FAILED,
            f"{type(error).__name__} while judging; these messages are left out of this tenant's "
            "state: please report it, and replay them with a version that can",
            f"{self._topics.events} partition {part.number} offsets {first} to {part.position - 1}",
            MESSAGES,
            headers=stretch(first, part.position - 1),
        )

    def _commit(
        self, writing: Writing, steps: dict[int, _Step], *, everything: bool = False
    ) -> bool:
        """Make a step durable; whether states are left to be stored with the next one."""
        told = any(s.issues or s.dead for s in steps.values())
        held = [p for p in self._partitions.values() if not p.replaying]
        ripe = sorted(r for p in held for r in p.ripe(everything=everything))
        due = {r.partition for r in ripe}
        moved = [p for p in held if p.moved or p.number in due]
        waited = time.monotonic() - self._committed_at >= _COMMIT_SECONDS
        if not told and not ripe and (not moved or not (waited or everything)):
            return False
        began = time.monotonic()
        with span("commit") as work, writing.transaction():
            for number, step in steps.items():
                part = self._partitions[number]
                for name, issue in step.issues:
                    writing.tell(part, name, issue)
                writing.bury(part, step.dead)
            for part in held:
                writing.show(part)
            stored = self._store(writing, ripe)
            writing.consume(moved, self._consumer.group_metadata())
            work["records"] = sum(s.rows for s in steps.values())
            work["issues"] = sum(len(s.issues) for s in steps.values())
        for part in moved:
            part.settled()
        self._committed_at = time.monotonic()
        self._count(steps, stored, self._committed_at - began)
        return stored < len(ripe)

    def _store(self, writing: Writing, ripe: list[Ripe]) -> int:
        """Store the states that have waited longest; how many of them."""
        until = time.monotonic() + _STORE_SECONDS
        for done, each in enumerate(ripe):
            if done and time.monotonic() >= until:
                return done
            writing.store(self._partitions[each.partition], each.tenant)
        return len(ripe)

    def _observe(self) -> None:
        held = [t for p in self._partitions.values() for t in p.engine.tenants.values()]
        observe(self._metrics, held, self._clock.now())
        self._observed_at = time.monotonic()

    def _count(self, steps: dict[int, _Step], stored: int, seconds: float) -> None:
        metrics = self._metrics
        self._observe()
        rows = sum(s.rows for s in steps.values())
        letters = [m for s in steps.values() for m in s.dead]
        issues = [i for s in steps.values() for _, i in s.issues]
        flags, incidents = count(metrics, rows, letters, issues)
        write = self._log.info if flags or incidents or letters else self._log.debug
        write(
            "commit",
            records=rows,
            flags=flags,
            incidents=incidents,
            dead=len(letters),
            states=stored,
            seconds=round(seconds, 3),
        )
