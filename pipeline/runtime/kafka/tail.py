"""Looking at the topic of events: from its beginning, its end or an offset on."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError

from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka.client import Topics, consumer, unreachable
from pipeline.runtime.kafka.stored import reached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.runtime.config import Kafka

# Of the newest messages where no number is told.
NEWEST: Final = 10
_POLL_MS: Final = 200
_SILENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where to begin, and what to look at.

    Attributes:
        start: ``earliest``, ``latest`` (the newest messages, then what comes), or an offset.
        tenant: only this one's.
        partition: only this one.
        limit: at most so many messages; None = all, of ``latest`` the newest ten.
        follow: wait for more at the end.

    Raises:
        ConfigError: a value says nothing.
    """

    start: str = "latest"
    tenant: str | None = None
    partition: int | None = None
    limit: int | None = None
    follow: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.start not in {"earliest", "latest"} and not self.start.isdecimal():
            raise ConfigError(f"--from: {self.start!r} is neither earliest, latest nor an offset")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit: {self.limit} is less than one message")


def tail(config: Kafka, spot: Spot) -> Iterator[Any]:
    """The records of the events topic that are meant, as the client gives them.

    Within a partition they are in order. Only what is committed is seen.

    Raises:
        ConfigError: the topic or the partition is not there.
        RetriableError: the broker does not answer.
    """
    # The newest ones are that many already, and what comes after them is followed for good.
    limit = None if spot.start == "latest" else spot.limit
    reader = consumer(config)
    try:
        yield from islice(_records(reader, Topics(config.prefix).events, spot), limit)
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        reader.close()


def _records(reader: Any, topic: str, spot: Spot) -> Iterator[Any]:
    places = _places(reader, topic, spot)
    reader.assign(places)
    begins, ends = reader.beginning_offsets(places), reader.end_offsets(places)
    if spot.start == "latest":
        yield from _newest(reader, places, begins, ends, spot)
        for place in places:
            reader.seek(place, ends[place])
    else:
        for place in places:
            wanted = begins[place] if spot.start == "earliest" else int(spot.start)
            reader.seek(place, min(max(wanted, begins[place]), ends[place]))
        yield from _up_to(reader, ends, spot)
    while spot.follow:
        for records in reader.poll(timeout_ms=_POLL_MS).values():
            yield from (r for r in records if _meant(r, spot))


def _places(reader: Any, topic: str, spot: Spot) -> list[TopicPartition]:
    numbers = reader.partitions_for_topic(topic)
    if not numbers:
        raise ConfigError(f"topic {topic} does not exist; run 'outrider kafka init' first")
    if spot.partition is not None and spot.partition not in numbers:
        raise ConfigError(f"--partition: {topic} has the partitions 0 to {max(numbers)}")
    return [TopicPartition(topic, n) for n in sorted(numbers) if spot.partition in {None, n}]


def _meant(record: Any, spot: Spot) -> bool:
    return spot.tenant is None or record.key == spot.tenant.encode()


def _up_to(reader: Any, ends: dict[TopicPartition, int], spot: Spot) -> Iterator[Any]:
    until = time.monotonic() + _SILENCE_SECONDS
    while not reached(reader, ends):
        found = reader.poll(timeout_ms=_POLL_MS)
        if found:
            until = time.monotonic() + _SILENCE_SECONDS
        elif time.monotonic() > until:
            return  # somebody's transaction is open: what follows is not committed
        for place, records in found.items():
            yield from (r for r in records if r.offset < ends[place] and _meant(r, spot))


def _newest(
    reader: Any,
    places: list[TopicPartition],
    begins: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    spot: Spot,
) -> list[Any]:
    """The newest records that are meant, oldest first: further back until there are enough."""
    wanted = spot.limit or NEWEST
    # Each transaction takes an offset of its own, so that a few more have to be looked at.
    back = 2 * wanted + 2
    while True:
        for place in places:
            reader.seek(place, max(begins[place], ends[place] - back))
        kept: dict[int, deque[Any]] = {p.partition: deque(maxlen=wanted) for p in places}
        for record in _up_to(reader, ends, spot):
            kept[record.partition].append(record)
        found = sorted(
            (r for records in kept.values() for r in records),
            key=lambda r: (r.timestamp, r.partition, r.offset),
        )
        whole = all(ends[p] - back <= begins[p] for p in places)
        if whole or all(len(k) == wanted for k in kept.values()):
            return found[-wanted:]
        back *= 4
