"""How far a group is behind the end of its partitions, and what it can never get any more."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kafka import OffsetAndMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kafka import TopicPartition
    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.metrics import Metrics

_LOOK_SECONDS: Final = 5.0
ANSWER_MS: Final = 10_000


class Behind:
    """Asks the broker now and then, also while nothing is fetched.

    Args:
        sink: the destination that the group is for.
        kinds: topics, and the kind of document in each.
        metrics: where it is told.
        log: one line where documents are gone.
    """

    def __init__(
        self, sink: str, kinds: Mapping[str, str], metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        self._sink, self._kinds, self._metrics, self._log = sink, kinds, metrics, log
        self._missed: dict[TopicPartition, int] = {}
        self._looked_at = -_LOOK_SECONDS

    def came(self, consumer: Any, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Partitions have come: a group that was away for long may find its place removed.

        Returns:
            Where the group goes on in partitions of which more was removed. It has to be
            committed, or whoever holds the partition next counts the same again.

        Raises:
            KafkaError: the broker does not answer.
        """
        begins = consumer.beginning_offsets(places, timeout_ms=ANSWER_MS)
        stood = {p: consumer.committed(p, timeout_ms=ANSWER_MS) for p in places}
        self._looked_at = -_LOOK_SECONDS
        # Behind the last document that was taken stands the mark of its transaction, and no other.
        return self._lost({p: at + 1 for p, at in stood.items() if at is not None}, begins)

    def gone(self, places: Iterable[TopicPartition]) -> None:
        """Partitions have gone to another worker, which tells of them now."""
        for place in places:
            self._missed.pop(place, None)
            with suppress(KeyError):  # it was never looked at
                self._metrics.lag.remove(self._sink, self._label(place))

    def look(self, consumer: Any, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Tell of each partition how far it is behind, if that was not told just now.

        Returns:
            As of :meth:`came`.

        Raises:
            KafkaError: the broker does not answer.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS or not places:
            return {}
        self._looked_at = now
        ends = consumer.end_offsets(places, timeout_ms=ANSWER_MS)
        begins = consumer.beginning_offsets(places, timeout_ms=ANSWER_MS)
        stands = {}
        for place in places:
            at = consumer.position(place, timeout_ms=ANSWER_MS)
            if at is not None:
                lag = self._metrics.lag.labels(self._sink, self._label(place))
                lag.set(max(0, ends[place] - at))
                stands[place] = at
        return self._lost(stands, begins)

    def _label(self, place: TopicPartition) -> str:
        return f"{self._kinds[place.topic]}/{place.partition}"

    def _lost(
        self, stands: dict[TopicPartition, int], begins: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Offsets before the first message of a partition are lost to this group."""
        return {p: begins[p] for p, at in stands.items() if self._note(p, begins[p] - at)}

    def _note(self, place: TopicPartition, count: int) -> bool:
        before = self._missed.get(place, 0)
        self._missed[place] = max(0, count)
        if count <= before:
            return False
        self._metrics.expired.labels(self._sink).inc(count - before)
        self._log.error(
            "delivery",
            sink=self._sink,
            outcome="too late",
            error=f"{place.topic} partition {place.partition}: the broker has removed up to "
            f"{count} documents before the destination took them; keep them for longer "
            "(kafka.retention_days, and retention.ms of the topic)",
        )
        return True


def begin_at_end(
    consumer: Any, places: Iterable[TopicPartition], log: FilteringBoundLogger
) -> None:
    """Have a group that is new begin with what comes from now on.

    The place is committed at once: what comes while the worker is away is not left out.

    Raises:
        KafkaError: the broker does not answer.
    """
    new = [p for p in places if consumer.committed(p, timeout_ms=ANSWER_MS) is None]
    if not new:
        return
    ends = consumer.end_offsets(new, timeout_ms=ANSWER_MS)
    consumer.commit(
        {p: OffsetAndMetadata(end, "", -1) for p, end in ends.items()}, timeout_ms=ANSWER_MS
    )
    for place, end in ends.items():
        consumer.seek(place, end)
    log.info("deliver", outcome="begins with what comes from now on", partitions=len(new))
