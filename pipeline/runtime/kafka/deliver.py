"""The role ``deliver``: flags and incidents to one destination, in order, at least once.

Each destination is a consumer group of its own, so that a slow one costs itself time and nobody
else. One step, in this order:

1. poll a portion; read each document;
2. hand it over, partition by partition, from the first document that is not settled yet;
3. commit the offsets of what the destination accepted or finally refused. What was refused goes
   to the dead topic in the same transaction.

A destination that asks for time is left alone until it is over: its partitions are paused, and
polled all the same, so that the worker stays in its group. What was handed over and not committed
when a worker is killed is handed over again; (id, revision) tells.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kafka import OffsetAndMetadata
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    KafkaError,
    RebalanceInProgressError,
)

from pipeline.model.clock import to_us
from pipeline.runtime.handing import Handing
from pipeline.runtime.kafka.behind import ANSWER_MS, Behind, begin_at_end
from pipeline.runtime.kafka.client import Topics, consumer, letting_go, producer
from pipeline.runtime.kafka.letters import record_of, unreadable
from pipeline.runtime.kafka.moves import Moves
from pipeline.runtime.kafka.told import Told, kinds, meant_for, told
from pipeline.runtime.kafka.transaction import transaction
from pipeline.runtime.live.messages import UnreadableMessageError

if TYPE_CHECKING:
    from kafka import TopicPartition
    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Sink
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.metrics import Metrics

_PORTION: Final = 500
# A portion that takes longer than this is halved the next time: the group waits for a worker
# no longer than five minutes, and a stop no longer than a step.
_STEP_SECONDS: Final = 5.0
_SESSION_MS: Final = 10_000


@dataclass(slots=True)
class _Line:
    """One partition: what is settled and not committed yet."""

    turn: int = 0
    settled: int | None = None
    letters: list[DeadLetter] = field(default_factory=list)


class Deliverer:
    """A worker of one destination. Any number of them share its partitions.

    Args:
        config: of the broker.
        sink_name: of the destination; workers of the same share its partitions.
        sink: the destination.
        name: of this worker, the same after a restart: it keeps its partitions then.
        clock: dates dead letters.
        metrics: counters.
        log: one line for each portion that was put off or refused.
        session_ms: how long after its last sign of life the others wait for a worker.
        patient: wait for a person to mend what the destination refuses to all, a wrong token
            say, rather than end.
        history: whether a destination that is new gets what is in the topics already.
    """

    def __init__(
        self,
        config: Kafka,
        sink_name: str,
        sink: Sink,
        name: str,
        *,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
        session_ms: int = _SESSION_MS,
        patient: bool = False,
        history: bool = True,
    ) -> None:
        self._config, self._name, self._clock = config, name, clock
        self._metrics, self._log, self._session_ms = metrics, log, session_ms
        self._topics = Topics(config.prefix)
        self._kinds = kinds(self._topics)
        self._group = f"{config.prefix}-deliver-{sink_name}"
        self._handing = Handing(sink_name, sink, patient=patient)
        self._history = history
        self._lines: dict[TopicPartition, _Line] = {}
        self._moves = Moves()
        self._consumer: Any = None
        self._producer: Any = None
        self._behind = Behind(sink_name, self._kinds, metrics, log)
        self._portion, self._turn = _PORTION, 0

    @property
    def partitions(self) -> list[TopicPartition]:
        """Partitions held now."""
        return sorted(self._lines)

    @property
    def problem(self) -> str | None:
        """Why the destination takes nothing now, None if it does as far as is known."""
        return self._handing.problem

    @property
    def waiting(self) -> bool:
        """Whether the destination has asked for time that is not over yet."""
        return self._handing.waiting

    def step(self, timeout_ms: int = 200) -> bool:
        """One turn; whether it brought anything.

        Raises:
            RetriableError: the broker does not answer; call again. What was not committed is
                handed over again.
            FatalError: a person has to act.
        """
        with letting_go(self._config, self.close, self._name):
            if self._consumer is None:
                self._open()
            self._pause()
            found = self._consumer.poll(timeout_ms=timeout_ms, max_records=self._portion)
            self._move()
            self._hand_over(found)
            self._move()
            self._commit()
            self._pass_over(self._behind.look(self._consumer, list(self._lines)))
        return bool(found)

    def close(self) -> None:
        """Let go of everything; what is not committed is handed over again by somebody."""
        if self._consumer is not None:
            with suppress(KafkaError):  # nothing of it matters any more
                self._consumer.close()
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=1)
        self._consumer = self._producer = None
        self._lose(list(self._lines))
        self._handing.close()

    def _open(self) -> None:
        self._consumer = consumer(
            self._config,
            group_id=self._group,
            group_instance_id=self._name,
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=self._session_ms // 10,
        )
        self._moves = Moves()
        self._consumer.subscribe(list(self._kinds), listener=self._moves)

    def _move(self) -> None:
        """Take note of partitions that came or went."""
        for came, places in self._moves.take():
            if came:
                self._lines.update({place: _Line() for place in places})
                if not self._history:
                    begin_at_end(self._consumer, places, self._log)
                self._pass_over(self._behind.came(self._consumer, places))
            else:
                self._lose(places)

    def _lose(self, places: list[TopicPartition]) -> None:
        for place in places:
            self._lines.pop(place, None)
            self._handing.forget(place)
        self._behind.gone(places)

    def _pass_over(self, lost: dict[TopicPartition, int]) -> None:
        """What the broker has removed is settled: the next commit says so."""
        for place, begin in lost.items():
            line = self._lines[place]
            line.settled = max(line.settled or 0, begin)

    def _pause(self) -> None:
        """Fetch nothing while the destination has asked for time; new partitions come paused."""
        paused = self._consumer.paused()
        with suppress(KeyError):  # one of them has just gone to another worker
            if self._handing.waiting:
                self._consumer.pause(*(self._consumer.assignment() - paused))
            elif paused:
                self._consumer.resume(*paused)
        self._metrics.sink_waiting.labels(self._handing.name).set(self._handing.waiting)

    def _hand_over(self, found: dict[TopicPartition, list[Any]]) -> None:
        """Hand over what was polled; whatever is not settled is polled again."""
        began = time.monotonic()
        # Whoever came first the last time comes last now: a destination may take a few only.
        for place in sorted(found, key=lambda p: self._lines[p].turn if p in self._lines else 0):
            line = self._lines.get(place)
            if line is None:
                continue
            records = found[place]
            first = records[0].offset
            settled = first if self._handing.waiting else self._settle(place, line, records)
            if settled <= records[-1].offset:
                with suppress(ValueError):  # it has just gone to another worker
                    self._consumer.seek(place, settled)
        seconds = time.monotonic() - began
        if seconds > _STEP_SECONDS:
            self._portion = max(1, self._portion // 2)
        elif seconds < _STEP_SECONDS / 4:
            self._portion = min(_PORTION, self._portion * 2)

    def _settle(self, place: TopicPartition, line: _Line, records: list[Any]) -> int:
        """Hand one partition's records over; the offset up to which they are settled."""
        self._turn += 1
        line.turn = self._turn
        documents, unread = self._read(records)
        done = self._handing.hand(documents, place)
        name, metrics = self._handing.name, self._metrics
        whole = done.taken == len(documents)
        settled = records[-1].offset + 1 if whole else documents[done.taken].offset
        now = to_us(self._clock.now())
        line.letters += [letter for offset, letter in unread if offset < settled]
        line.letters += self._handing.refusals(documents, done, lambda d: d.place, now)
        if settled > records[0].offset:
            line.settled = max(line.settled or 0, settled)
        metrics.delivered.labels(name).inc(done.taken - len(done.refused))
        if done.failed:
            metrics.sink_failures.labels(name).inc()
            self._log.warning(
                "delivery",
                sink=name,
                outcome="refused" if done.refused else "put off",
                documents=len(documents),
                refused=len(done.refused),
                again=done.again,
                error=done.problem,
            )
        return settled

    def _read(self, records: list[Any]) -> tuple[list[Told], list[tuple[int, DeadLetter]]]:
        documents, letters = [], []
        for record in records:
            if not meant_for(record, self._handing.name):
                continue
            try:
                documents.append(told(record, self._kinds[record.topic]))
            except UnreadableMessageError as error:
                letters.append((record.offset, unreadable(record, error, self._clock.now())))
        return documents, letters

    def _commit(self) -> None:
        moved = {p: line for p, line in self._lines.items() if line.settled is not None}
        if not moved:
            return
        offsets = {p: OffsetAndMetadata(line.settled, "", -1) for p, line in moved.items()}
        letters = [(p.partition, m) for p, line in moved.items() for m in line.letters]
        try:
            if letters:
                self._bury(letters, offsets)
            else:
                self._consumer.commit(offsets, timeout_ms=ANSWER_MS)
        except (CommitFailedError, RebalanceInProgressError):
            return  # the next step commits it, if the partitions are still ours
        self._metrics.commits.inc()
        for _, letter in letters:
            self._metrics.dead.labels(letter.reason).inc()
        for line in moved.values():
            line.settled, line.letters = None, []

    def _bury(self, letters: list[tuple[int, DeadLetter]], offsets: dict[Any, Any]) -> None:
        """Dead letters and offsets in one transaction: each letter once."""
        if self._producer is None:
            self._producer = producer(self._config, f"{self._group}-{self._name}")
        with transaction(self._producer) as send:
            for partition, letter in letters:
                send(self._topics.dead, **record_of(letter), partition=partition)
            self._producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
