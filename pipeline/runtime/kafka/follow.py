"""Following the topics of documents into a ledger of one's own, for whoever only looks.

No group: every process that follows reads all partitions. Documents and the places to read on
commit in one transaction, so a kill anywhere leaves a ledger that is whole and goes on from
there; what comes again changes nothing.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from pipeline.model.clock import to_us
from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka.client import Topics, consumer, letting_go
from pipeline.runtime.kafka.desk import Answers
from pipeline.runtime.kafka.letters import UNKNOWN_LETTER, letter_of, mark_of
from pipeline.runtime.kafka.told import kinds, told
from pipeline.runtime.kafka.view import Views
from pipeline.runtime.live.answering import answer
from pipeline.runtime.live.messages import UnreadableMessageError
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.followed import FollowedLedger
    from pipeline.model.clock import Clock
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.metrics import Metrics

CURSOR: Final = "kafka"
_PORTION: Final = 2000
_LOOK_SECONDS: Final = 2.0
_CLEAN_SECONDS: Final = 3600.0
_ANSWER_MS: Final = 10_000


class Follower:
    """Copies documents and dead letters into a ledger; used by one thread.

    Args:
        config: of the broker.
        ledger: to fill; nobody else writes it.
        clock: tells when something was committed.
        metrics: counters.
        log: one line for each portion with something unreadable in it.
        keep_days: how long the ledger keeps documents.
        sink: as which destination its lag is told, where it follows for some; empty for none.
    """

    def __init__(
        self,
        config: Kafka,
        ledger: FollowedLedger,
        *,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
        keep_days: int = 400,
        sink: str = "",
    ) -> None:
        self._config, self._ledger, self._clock = config, ledger, clock
        self._metrics, self._log, self._keep_days = metrics, log, keep_days
        self._sink = sink
        topics = Topics(config.prefix)
        self._dead, self._desk, self._view = topics.dead, topics.desk, topics.view
        self._kinds = kinds(topics)
        self._words = {
            **self._kinds,
            self._dead: "dead letter",
            self._desk: "desk",
            self._view: "view",
        }
        self._consumer: Any = None
        self._places: list[TopicPartition] = []
        self._positions: dict[TopicPartition, int] = {}
        self._looked_at = self._cleaned_at = -_CLEAN_SECONDS
        self._lag: dict[str, int] = {}
        self._committed_at: datetime | None = None
        self._caught_up = False

    @property
    def caught_up(self) -> bool:
        """Whether it has once been at the end of all partitions since it began."""
        return self._caught_up

    @property
    def lag(self) -> dict[str, int]:
        """Messages that are not in the ledger yet, by kind; empty if that is not known."""
        return dict(self._lag)

    @property
    def committed_at(self) -> datetime | None:
        """When something was last committed since the process began."""
        return self._committed_at

    def step(self, timeout_ms: int = 500) -> bool:
        """One turn; whether it brought anything.

        Raises:
            RetriableError: broker or disk do not answer; nothing of the portion was kept, and
                the next call reads it again.
            ConfigError: the ledger is of other topics.
        """
        with letting_go(self._config, self.close):
            if self._consumer is None:
                self._open()
            found = self._consumer.poll(timeout_ms=timeout_ms, max_records=_PORTION)
            if found:
                self._keep(found)
            answer(self._ledger, self._log)
            self._look()
        return bool(found)

    def close(self) -> None:
        """Let go of the broker; the next step goes on from what is in the ledger."""
        if self._consumer is not None:
            with suppress(KafkaError):  # nothing of it matters any more
                self._consumer.close()
        self._consumer = None
        self._lag = {}

    def _open(self) -> None:
        self._consumer = consumer(self._config)
        self._places = self._partitions()
        self._consumer.assign(self._places)
        self._positions = self._stored()
        for place in self._places:
            if place in self._positions:
                self._consumer.seek(place, self._positions[place])
            else:
                self._consumer.seek_to_beginning(place)
        self._looked_at = -_LOOK_SECONDS

    def _partitions(self) -> list[TopicPartition]:
        found = []
        for topic in self._words:
            numbers = None
            with suppress(UnknownTopicOrPartitionError):
                numbers = self._consumer.partitions_for_topic(topic)
            if not numbers:
                raise ConfigError(f"topic {topic} does not exist; run 'outrider kafka init' first")
            found += [TopicPartition(topic, n) for n in sorted(numbers)]
        return found

    def _stored(self) -> dict[TopicPartition, int]:
        cursor = self._ledger.cursor(CURSOR)
        if cursor is None:
            return {}
        if cursor["prefix"] != self._config.prefix:
            raise ConfigError(
                f"{self._ledger.path}: follows the topics {cursor['prefix']}.*, and kafka.prefix "
                f"is {self._config.prefix}; name another --state"
            )
        return {TopicPartition(t, p): offset for t, p, offset in cursor["offsets"]}

    def _keep(self, found: dict[TopicPartition, list[Any]]) -> None:
        documents: dict[str, list[tuple[str, int, str, str]]] = {"flag": [], "incident": []}
        letters: list[DeadLetter] = []
        marks: list[tuple[str, int]] = []
        answers, views = Answers(), Views()
        positions = dict(self._positions)
        unread = 0
        for place, records in found.items():
            positions[place] = records[-1].offset + 1
            for record in records:
                if place.topic == self._dead:
                    mark = mark_of(record)
                    if mark is None:
                        letters.append(letter_of(record))
                    else:
                        marks.append(mark)
                    continue
                try:
                    if place.topic == self._desk:
                        answers.add(record)
                        continue
                    if place.topic == self._view:
                        views.add(record)
                        continue
                    one = told(record, self._kinds[place.topic])
                except UnreadableMessageError:
                    unread += 1
                    continue
                documents[one.kind].append((one.id, one.revision, one.tenant, one.text))
        unread += sum(letter.reason == UNKNOWN_LETTER for letter in letters)
        with span("follow") as work, self._ledger.transaction():
            new = {k: self._ledger.add_documents(k, r, again=True) for k, r in documents.items()}
            self._ledger.bury_followed(letters)
            self._ledger.replayed_followed(marks)
            answers.keep(self._ledger)
            unread += views.keep(self._ledger, to_us(self._clock.now()))
            offsets = [[p.topic, p.partition, offset] for p, offset in positions.items()]
            cursor = {"v": 1, "prefix": self._config.prefix, "offsets": offsets}
            self._ledger.put_cursor(CURSOR, cursor)
            work.update(messages=sum(map(len, found.values())), documents=sum(new.values()))
        self._positions, self._committed_at = positions, self._clock.now()
        self._metrics.commits.inc()
        for kind, count in new.items():
            self._metrics.documents.labels(kind).inc(count)
        if unread:
            self._metrics.dead.labels("unreadable_message").inc(unread)
            self._log.warning("follow", outcome="left out", unreadable=unread)

    def _look(self) -> None:
        """Tell how far the ledger is behind; now and then, clean it."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        if self._partitions() != self._places:
            self.close()  # partitions were added
            return
        ends = self._consumer.end_offsets(self._places, timeout_ms=_ANSWER_MS)
        lag = dict.fromkeys(self._words.values(), 0)
        for place in self._places:
            at = self._consumer.position(place, timeout_ms=_ANSWER_MS)
            behind = ends[place] if at is None else max(0, ends[place] - at)
            lag[self._words[place.topic]] += behind
            label = f"{self._words[place.topic]}/{place.partition}"
            self._metrics.lag.labels(self._sink, label).set(behind)
        self._lag = lag
        self._caught_up |= not any(lag.values())
        if now - self._cleaned_at >= _CLEAN_SECONDS:
            self._clean(now)

    def _clean(self, now: float) -> None:
        """Drop documents that are old, and letters that the topic does not hold any more."""
        today = self._clock.now()
        with self._ledger.transaction():
            more = self._ledger.tidy(
                to_us(today), keep_days=self._keep_days, delivered=sys.maxsize, limit=_PORTION
            )
            self._ledger.forget_letters(to_us(today - timedelta(days=self._config.retention_days)))
        if not more:
            self._cleaned_at = now
