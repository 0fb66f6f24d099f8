"""The partitions that a worker holds, as its group gives them and takes them away."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError

from pipeline.runtime.kafka.client import Topics, unreachable
from pipeline.runtime.kafka.moves import Moves
from pipeline.runtime.kafka.partition import Partition
from pipeline.runtime.kafka.stored import read_back
from pipeline.runtime.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.config import Kafka
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.kafka.stored import Kept
    from pipeline.runtime.metrics import Metrics

_LOOK_SECONDS: Final = 5.0
_ANSWER_MS: Final = 5_000


class Assigned:
    """Brings partitions back as the topics hold them, and says how far each is behind.

    Args:
        config: of the broker.
        settings: of the stages.
        consumer: of the worker; subscribes to the events.
        beat: called while partitions are brought back, which takes a minute at times.
        metrics: where lag is told.
        log: one line for what has come, and for what the broker has removed before.

    Attributes:
        partitions: by number.
    """

    def __init__(
        self,
        config: Kafka,
        settings: Settings,
        consumer: Any,
        *,
        beat: Callable[[], None],
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self._config, self._settings = config, settings
        self._consumer, self._beat = consumer, beat
        self._metrics, self._log = metrics, log
        self._topic = Topics(config.prefix).events
        self._moves = Moves()
        self._looked_at = 0.0
        consumer.subscribe([self._topic], listener=self._moves)

    def follow(self, found: dict[Any, list[Any]]) -> None:
        """Let go of what was taken away, and bring new partitions back.

        Args:
            found: what the last poll gave; what came of new partitions is taken out, as it
                comes again.

        Raises:
            KafkaError, RetriableError: the broker does not answer.
        """
        held = set(self._consumer.assignment())
        gone = set(map(self._place, self.partitions)) - held
        gone.update(p for came, places in self._moves.take() if not came for p in places)
        for place in gone:
            self.partitions.pop(place.partition, None)
            with suppress(KeyError):  # it was never told
                self._metrics.lag.remove("", str(place.partition))
        if gone:
            give_back()
        places = sorted(p for p in held if p.partition not in self.partitions)
        if places:
            self._bring(places)
        for place in places:
            found.pop(place, None)

    def _bring(self, places: list[TopicPartition]) -> None:
        began = time.monotonic()
        # Offsets first: the broker answers once no commit is under way, and whatever that
        # commit wrote is in the state topic by then.
        stood = {p: self._consumer.committed(p, metadata=True) for p in places}
        kept = read_back(self._config, [p.partition for p in places], self._beat)
        begins = self._consumer.beginning_offsets(places)
        ends = self._consumer.end_offsets(places)
        for place, offset in stood.items():
            number = place.partition
            older = self._forget_older(place, kept[number], ends[place])
            rows = self._config.snapshot_rows
            part = Partition(number, self._settings, kept[number], rows, self._beat)
            if offset is not None and 0 <= offset.offset <= ends[place]:
                part.committed = offset.offset
                part.position = json.loads(offset.metadata)["from"] if offset.metadata else 0
                known = part.position
            else:
                # New; or nobody worked for a week, after which a broker forgets offsets.
                known = max((k.offset for k in kept[number].values()), default=begins[place])
            if begins[place] > part.position:
                self._miss(place, begins[place] - known)
                part.skip(begins[place])
            part.store_at_once(older)
            self._consumer.seek(place, part.position)
            self.partitions[number] = part
        self._log.info(
            "assigned",
            partitions=len(places),
            tenants=sum(map(len, kept.values())),
            mib=round(sum(k.size for t in kept.values() for k in t.values()) / 2**20, 1),
            seconds=round(time.monotonic() - began, 3),
        )

    def _forget_older(self, place: TopicPartition, kept: dict[str, Kept], end: int) -> list[str]:
        """Take offsets behind the end of the topic for what they are: those of an earlier one.

        What came meanwhile is not in these states, whatever their offsets say. Whose they are.
        """
        older = [name for name, k in kept.items() if k.offset > end]
        for name in older:
            kept[name].offset = 0
        if older:
            self._log.error(
                "assigned",
                outcome="another topic",
                error=f"{place.topic} partition {place.partition} ends at {end}, and the states of "
                f"{len(older)} tenants are further: the topic was made anew, or has lost its end. "
                "They go on with what it holds; backfill what no worker has taken",
            )
        return older

    def _miss(self, place: TopicPartition, offsets: int) -> None:
        """Say what the broker has removed while no worker came."""
        count = offsets - 1  # the last one is the mark of a transaction; others may be, too
        if count > 0:
            self._metrics.unseen.inc(count)
            self._log.error(
                "assigned",
                outcome="too late",
                error=f"{place.topic} partition {place.partition}: the broker has removed up to "
                f"{count} messages that no worker has taken; keep them for longer (kafka.retention_days, "
                "and retention.ms of the topic), and backfill that time",
            )

    def look(self) -> None:
        """Ask now and then whether the broker is there: a poll that finds nothing tells nothing.

        Raises:
            RetriableError: it does not answer; what is in memory stays.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        places = [self._place(number) for number in self.partitions]
        try:
            ends = self._consumer.end_offsets(places, timeout_ms=_ANSWER_MS) if places else {}
        except KafkaError as error:
            raise unreachable(self._config, error) from error
        for place, end in ends.items():
            self._tell(place.partition, self._short_of(place.partition, end))

    def tell_lag(self) -> None:
        """Tell the metrics how far each partition is behind, as the last answers say."""
        for number in self.partitions:
            behind = self.behind(number)
            if behind is not None:
                self._tell(number, behind)

    def behind(self, number: int) -> int | None:
        """Messages that are there and not taken yet, as the last answer says; None = unknown."""
        end = self._consumer.highwater(self._place(number))
        return None if end is None else self._short_of(number, end)

    def _short_of(self, number: int, end: int) -> int:
        # The last offset of the topic is the mark of a transaction.
        return max(0, end - 1 - self.partitions[number].position)

    def _tell(self, number: int, behind: int) -> None:
        self._metrics.lag.labels("", str(number)).set(behind)

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)
