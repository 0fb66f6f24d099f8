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
from typing import TYPE_CHECKING, Any, Final

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from pipeline.model.clock import to_us
from pipeline.model.dead_letter import JUDGING_FAILED, MESSAGES, DeadLetter
from pipeline.model.errors import OutriderError
from pipeline.runtime.kafka.assigned import Assigned
from pipeline.runtime.kafka.client import Topics, consumer, letting_go, unreachable
from pipeline.runtime.kafka.committing import Committing, Step
from pipeline.runtime.kafka.letters import stretch, unreadable
from pipeline.runtime.kafka.membership import look_for_successor
from pipeline.runtime.kafka.stored import read_back
from pipeline.runtime.live.messages import UnreadableMessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.kafka.partition import Partition
    from pipeline.runtime.metrics import Metrics

# In one step, for tenants that nothing has come for since a takeover.
_BRING_SECONDS: Final = 0.2
# A collector tells each tenant the time once a minute, news or none.
_SILENT_SECONDS: Final = 600.0
_PORTION: Final = 500
# A thousand tenants judged at once take a minute; a step of this length hangs.
_STEP_MS: Final = 900_000
# Long enough for a restart of a pod, short enough for a machine that is gone.
_SESSION_MS: Final = 10_000
# A static member does not leave its group: there is nothing to wait for.
_CLOSE_MS: Final = 2_000


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
        self._committing: Committing | None = None
        self._heard_at = time.monotonic()

    @property
    def partitions(self) -> list[int]:
        """Partitions held now."""
        return sorted(self._partitions)

    @property
    def problem(self) -> str | None:
        """What keeps the tenants held from being told anything, None if nothing is known to."""
        now = time.monotonic()
        if any(now - p.ahead_at < _SILENT_SECONDS for p in self._partitions.values()):
            return (
                f"{self._topics.events}: messages are more than a day ahead of this machine's "
                "clock, and are taken as of now; look at the clocks of the collectors"
            )
        silent = now - self._heard_at
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
            assigned, committing = self._opened()
            found = self._consumer.poll(timeout_ms=timeout_ms)
            if found:
                self._heard_at = time.monotonic()
            assigned.follow(found)
            steps = self._take(found)
            self._judge(assigned, steps, idle=not found)
            group = self._consumer.group_metadata()
            try:
                committing.commit(assigned.partitions, steps, group)
            except (ProducerFencedError, InvalidProducerEpochError):
                look_for_successor(self._config, group)
                raise
            committing.observe(assigned.partitions)
            assigned.tell_lag()
        if not found:
            assigned.look()
        return bool(found)

    def stop(self) -> None:
        """Store every tenant's state, so that whoever takes over has nothing to take in again.

        Raises:
            RetriableError: the broker does not answer; nothing is lost by it.
        """
        if self._committing is None:
            return
        try:
            group = self._consumer.group_metadata()
            while self._committing.commit(self._partitions, {}, group, everything=True):
                self._beat()
        except KafkaError as error:
            raise unreachable(self._config, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything; what is not committed is done again by somebody."""
        if self._consumer is not None:
            with suppress(KafkaError):  # nothing of it matters any more
                self._consumer.close(timeout_ms=_CLOSE_MS)
        if self._committing is not None:
            self._committing.close()
        self._consumer = self._assigned = self._committing = None

    def _opened(self) -> tuple[Assigned, Committing]:
        if self._assigned is not None and self._committing is not None:
            return self._assigned, self._committing
        # First: it shuts out whoever had this name before, whatever he has under way.
        self._committing = Committing(
            self._config, self._name, clock=self._clock, metrics=self._metrics, log=self._log
        )
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
            self._config,
            self._settings,
            self._consumer,
            beat=self._beat,
            metrics=self._metrics,
            log=self._log,
        )
        return self._assigned, self._committing

    def _take(self, found: dict[Any, list[Any]]) -> dict[int, Step]:
        steps: dict[int, Step] = {}
        for place, records in found.items():
            part = self._partitions.get(place.partition)
            if part is None:
                continue
            step = steps.setdefault(place.partition, Step())
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
                    name = record.key.decode()
                    step.dead += self._set_aside(part, name, error, record.offset)
        return steps

    def _judge(self, assigned: Assigned, steps: dict[int, Step], *, idle: bool) -> None:
        until = time.monotonic() + _BRING_SECONDS
        for number, part in assigned.partitions.items():
            if part.replaying:
                continue
            caught_up = part.live or idle or assigned.behind(number) == 0
            if caught_up:
                part.bring_back(until)
            for name in part.engine.due(caught_up=caught_up):
                step = steps.setdefault(number, Step())
                self._beat()
                try:
                    with self._metrics.judging.time():
                        issue = part.engine.judge(name)
                except OutriderError:
                    raise
                except Exception as error:  # noqa: BLE001 # one tenant must not stop the others
                    step.dead += self._set_aside(part, name, error, part.position)
                    continue
                if issue:
                    step.issues.append((name, issue))

    def _set_aside(
        self, part: Partition, name: str, error: Exception, since: int
    ) -> list[DeadLetter]:
        """Take a tenant back to its stored state; a letter about the messages since, if any."""
        kept = read_back(self._config, [part.number], self._beat)[part.number]
        first = min(since, part.set_aside(name, kept))
        last = part.position - 1
        self._log.error("judging", outcome="set aside", error=type(error).__name__)
        letter = DeadLetter(
            0,
            to_us(self._clock.now()),
            name,
            JUDGING_FAILED,
            f"{type(error).__name__} while judging; these messages are left out of this tenant's "
            "state: please report it, and replay them with a version that can",
            f"{self._topics.events} partition {part.number} offsets {first} to {last}",
            MESSAGES,
            headers=stretch(first, last),
        )
        return [letter] if first <= last else []
