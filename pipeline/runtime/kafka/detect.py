"""The role ``detect``: batches of records in, flags and incidents out, exactly once.

One step, in this order:

1. poll a portion; take each message into its tenant, in memory;
2. judge the tenants that are due;
3. one transaction: documents, what was told, states that are due, dead letters, and the
   consumed offsets. It is the broker that says yes or no to all of it; a worker that has
   lost its partitions meanwhile is refused.

With the offset of a partition goes, as its metadata, the offset from which messages are not
in any stored state yet. Whoever takes the partition over reads the state topic, takes the
messages from there to the committed offset in again without telling anything, and goes on.
If anything fails, everything in memory is dropped and comes back that way.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from pipeline.model.clock import to_us
from pipeline.model.documents import to_line
from pipeline.model.errors import RetriableError, StateError
from pipeline.runtime.kafka.client import Topics, consumer, producer, unreachable
from pipeline.runtime.kafka.stored import MARK, Kept, ground_value, key, read_back
from pipeline.runtime.live.engine import Engine, restored
from pipeline.runtime.live.messages import Message, UnreadableMessageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.tenant import Issue, Tenant
    from pipeline.runtime.metrics import Metrics

SNAPSHOT_SECONDS: Final = 900.0
_COMMIT_SECONDS: Final = 1.0
_LIVE_MS: Final = 10_000
_PORTION: Final = 500


@dataclass(slots=True)
class _Ahead:
    """What a tenant has taken in since its state was stored."""

    first: int
    rows: int = 0
    at: float = field(default_factory=time.monotonic)


class _Partition:
    """The tenants of one partition."""

    def __init__(
        self, number: int, settings: Settings, kept: dict[str, Kept], snapshot_rows: int
    ) -> None:
        self.number = number
        self.snapshot_rows = snapshot_rows
        self.kept = kept
        self.engine = Engine(settings, self._load)
        self.ahead: dict[str, _Ahead] = {}
        self.offsets = {name: k.offset for name, k in kept.items()}
        self.position = 0
        self.committed = 0
        self.live = True

    def _load(self, name: str) -> Tenant:
        kept = self.kept.pop(name, Kept())
        self.engine.knows(name, frozenset(kept.parts))
        return restored(self.engine.settings, kept.ground, kept.parts, kept.issued)

    def take(self, record: Any) -> int:
        """Take one message in, unless the stored state holds it already."""
        message = Message.of_record(record.key, record.headers, record.value)
        if record.offset < self.offsets.get(message.tenant, 0):
            return 0
        ahead = self.ahead.setdefault(message.tenant, _Ahead(record.offset))
        rows = self.engine.take(message)
        ahead.rows += rows
        return rows

    @property
    def replay_from(self) -> int:
        """First offset that some stored state does not hold."""
        return min([self.position, *(a.first for a in self.ahead.values())])

    def ripe(self) -> list[str]:
        """Tenants whose state is to be stored."""
        now = time.monotonic()
        return [
            name
            for name, a in self.ahead.items()
            if a.rows >= self.snapshot_rows or now - a.at >= SNAPSHOT_SECONDS
        ]


@dataclass(slots=True)
class _Step:
    """One step's harvest of one partition."""

    issues: list[tuple[str, Issue]] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    rows: int = 0


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    def __init__(
        self, lost: Callable[[Iterable[Any]], None], got: Callable[[Iterable[Any]], None]
    ) -> None:
        self._lost, self._got = lost, got

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._lost(revoked)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._got(assigned)


class Detector:
    """A worker. Any number of them share the partitions.

    Args:
        config: of the broker.
        settings: of the stages.
        name: of this worker, the same after a restart: it keeps its partitions then.
        clock: dates dead letters.
        metrics: counters.
        log: one line for each commit that told something.
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
    ) -> None:
        self._config, self._settings, self._name = config, settings, name
        self._clock, self._metrics, self._log = clock, metrics, log
        self._topics = Topics(config.prefix)
        self._partitions: dict[int, _Partition] = {}
        self._consumer: Any = None
        self._producer: Any = None
        self._committed_at = 0.0
        self._assigned: list[Any] = []

    @property
    def partitions(self) -> list[int]:
        """Partitions held now."""
        return sorted(self._partitions)

    def _open(self) -> None:
        self._producer = producer(self._config, f"{self._config.prefix}-detect-{self._name}")
        self._consumer = consumer(
            self._config,
            group_id=f"{self._config.prefix}-detect",
            group_instance_id=self._name,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            max_poll_records=_PORTION,
        )
        self._consumer.subscribe([self._topics.events], listener=_Rebalance(self._lose, self._get))

    def close(self) -> None:
        """Let go of everything; what is not committed is done again by somebody."""
        for held in (self._consumer, self._producer):
            if held is not None:
                with suppress(KafkaError):  # nothing of it matters any more
                    held.close(**({"timeout": 1} if held is self._producer else {}))
        self._consumer = self._producer = None
        self._partitions.clear()
        self._assigned = []

    def _lose(self, revoked: Iterable[Any]) -> None:
        for place in revoked:
            if place in self._assigned:
                self._assigned.remove(place)
            self._partitions.pop(place.partition, None)

    def _get(self, assigned: Iterable[Any]) -> None:
        # The client calls this where it must not be asked anything.
        self._assigned += assigned

    def _go_on(self, found: dict[Any, list[Any]]) -> None:
        """Bring new partitions back; what came of them meanwhile comes again."""
        places, self._assigned = self._assigned, []
        for place in places:
            found.pop(place, None)
            kept, _ = read_back(self._config, place.partition)
            part = _Partition(place.partition, self._settings, kept, self._config.snapshot_rows)
            stood = self._consumer.committed(place, metadata=True)
            if stood is not None and stood.offset >= 0:
                part.committed = stood.offset
                part.position = json.loads(stood.metadata)["from"] if stood.metadata else 0
                self._consumer.seek(place, part.position)
            else:
                self._consumer.seek_to_beginning(place)
            self._partitions[place.partition] = part

    def step(self, timeout_ms: int = 200) -> bool:
        """One turn; whether it brought anything.

        Raises:
            RetriableError: everything not committed was dropped; call again.
        """
        try:
            if self._consumer is None:
                self._open()
            found = self._consumer.poll(timeout_ms=timeout_ms)
            self._go_on(found)
            steps = self._take(found)
            self._judge(steps, found)
            self._commit(steps)
        except KafkaError as error:
            self.close()
            raise unreachable(self._config, error) from error
        except (RetriableError, StateError):
            self.close()
            raise
        return bool(found)

    def _take(self, found: dict[Any, list[Any]]) -> dict[int, _Step]:
        steps: dict[int, _Step] = {}
        now_ms = time.time() * 1000
        for place, records in found.items():
            part = self._partitions.get(place.partition)
            if part is None:
                continue
            step = steps.setdefault(place.partition, _Step())
            for record in records:
                try:
                    step.rows += part.take(record)
                except UnreadableMessageError as error:
                    if record.offset >= part.committed:
                        step.dead.append(self._letter(place, record, error))
                        step.bodies.append(record.value or b"")
                part.position = record.offset + 1
            part.live = now_ms - records[-1].timestamp < _LIVE_MS
        return steps

    def _judge(self, steps: dict[int, _Step], found: dict[Any, list[Any]]) -> None:
        for number, part in self._partitions.items():
            # What comes before the committed offset was told before.
            if part.position < part.committed:
                continue
            for name in part.engine.due(caught_up=part.live or not found):
                with self._metrics.judging.time():
                    issue = part.engine.judge(name)
                if issue:
                    steps.setdefault(number, _Step()).issues.append((name, issue))

    def _commit(self, steps: dict[int, _Step]) -> None:
        told = any(s.issues or s.dead for s in steps.values())
        moved = {n: p for n, p in self._partitions.items() if p.position > p.committed}
        ripe = any(p.ripe() for p in moved.values())
        waited = time.monotonic() - self._committed_at >= _COMMIT_SECONDS
        if not told and (not moved or not (ripe or waited)):
            return
        self._producer.begin_transaction()
        try:
            futures = []
            for number, step in steps.items():
                futures += self._send(number, step)
            for number, part in moved.items():
                futures.append(self._put(self._topics.state, number, MARK, b""))
                for name in part.ripe():
                    futures += self._store(part, name)
            offsets = {
                TopicPartition(self._topics.events, n): OffsetAndMetadata(
                    p.position, json.dumps({"v": 1, "from": p.replay_from}), -1
                )
                for n, p in moved.items()
            }
            if offsets:
                self._producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
            for future in futures:
                future.get(timeout=30)
            self._producer.commit_transaction()
        except KafkaError:
            self._abort()
            raise
        for part in moved.values():
            part.committed = part.position
        self._committed_at = time.monotonic()
        self._count(steps)

    def _abort(self) -> None:
        with suppress(KafkaError):  # else the broker ends it, or has shut us out
            self._producer.abort_transaction()

    def _put(self, topic: str, partition: int, name: bytes, value: bytes | None) -> Any:
        return self._producer.send(topic, key=name, value=value, partition=partition)

    def _send(self, number: int, step: _Step) -> list[Any]:
        sent = []
        part = self._partitions[number]
        for name, issue in step.issues:
            for topic, documents in (
                (self._topics.flags, issue.flags),
                (self._topics.incidents, issue.incidents),
            ):
                lines = (to_line(d).encode() for d in documents)
                sent += [self._put(topic, number, name.encode(), line) for line in lines]
            issued = part.engine.issued(name)
            sent.append(self._put(self._topics.state, number, key(name, "issued"), issued))
        for letter, body in zip(step.dead, step.bodies, strict=True):
            headers = [("letter", json.dumps(letter).encode())]
            sent.append(
                self._producer.send(
                    self._topics.dead,
                    key=str(letter["tenant"]).encode(),
                    value=body,
                    partition=number,
                    headers=headers,
                )
            )
        return sent

    def _store(self, part: _Partition, name: str) -> list[Any]:
        taken = part.engine.snapshot(name)
        topic, number = self._topics.state, part.number
        sent = [
            self._put(topic, number, key(name, f"part/{p}"), body)
            for p, body in taken.parts.items()
        ]
        gone = part.engine.outdated(name)
        sent += [self._put(topic, number, key(name, f"part/{p}"), None) for p in gone]
        ground = ground_value(part.position, taken.body)
        sent.append(self._put(topic, number, key(name, "ground"), ground))
        sent.append(self._put(topic, number, key(name, "issued"), taken.issued))
        part.ahead.pop(name)
        part.offsets[name] = part.position
        return sent

    def _letter(self, place: Any, record: Any, error: Exception) -> dict[str, Any]:
        return {
            "at": to_us(self._clock.now()),
            "tenant": (record.key or b"").decode(errors="replace"),
            "reason": "unreadable_message",
            "detail": str(error),
            "place": f"{place.topic} partition {place.partition} offset {record.offset}",
            "headers": [[k, v.decode(errors="replace")] for k, v in record.headers],
        }

    def _count(self, steps: dict[int, _Step]) -> None:
        metrics = self._metrics
        metrics.commits.inc()
        metrics.tenants.set(sum(len(p.engine.tenants) for p in self._partitions.values()))
        flags = incidents = 0
        for step in steps.values():
            metrics.events.inc(step.rows)
            metrics.dead.labels("unreadable_message").inc(len(step.dead))
            flags += sum(len(i.flags) for _, i in step.issues)
            incidents += sum(len(i.incidents) for _, i in step.issues)
        metrics.documents.labels("flag").inc(flags)
        metrics.documents.labels("incident").inc(incidents)
        for number in self._partitions:
            end = self._consumer.highwater(TopicPartition(self._topics.events, number))
            if end is not None:
                behind = max(0, end - self._partitions[number].position)
                metrics.lag.labels(str(number)).set(behind)
        if flags or incidents:
            self._log.info("issued", flags=flags, incidents=incidents)
