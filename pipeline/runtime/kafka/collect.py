"""The role ``collect``: a source's records to the topic, with the place to read on.

Batches and cursor commit in one transaction: a collector killed anywhere goes on after the last
batch that others can see.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaError

from pipeline.runtime.kafka.client import Topics, producer, unreachable
from pipeline.runtime.kafka.stored import key, read_back
from pipeline.runtime.live.messages import Kind, Message, by_tenant, pack_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Source
    from pipeline.runtime.config import Kafka


class Collector:
    """Reads one source into the topic of events.

    Args:
        config: of the broker.
        name: of the source; the key of its cursor and of its transactions.
        source: to read.
        unnamed: gives the tenant of records that name none.
        clock: tells when records were read, if the source does not.
    """

    def __init__(
        self,
        config: Kafka,
        name: str,
        source: Source,
        *,
        unnamed: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._config, self._name, self._source = config, name, source
        self._unnamed, self._clock = unnamed, clock
        self._topics = Topics(config.prefix)
        self._producer: Any = None
        self._cursor: dict[str, Any] | None = None
        self._tenants: set[str] = set()
        self.finished = False

    def _open(self) -> None:
        self._producer = producer(self._config, f"{self._config.prefix}-collect-{self._name}")
        _, others = read_back(self._config, 0)
        held = others.get(f"cursor/{self._name}")
        if held is not None:
            told = json.loads(held)
            self._cursor, self._tenants = told["cursor"], set(told["tenants"])

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages in one transaction, without a cursor.

        Raises:
            RetriableError: none of them was sent.
        """
        self._transact(list(messages), None)

    def step(self) -> bool:
        """Read one portion and send it; whether it brought anything.

        Raises:
            RetriableError: nothing was sent; the next call tries the same again.
        """
        if self._producer is None:
            self._open()
        poll = self._source.poll(self._cursor)
        read_at = poll.read_at or self._clock.now()
        messages = [
            Message(tenant, Kind.EVENTS, read_at, pack_events(table))
            for batch in poll.batches
            for tenant, table in by_tenant(batch, self._unnamed())
        ]
        self._tenants |= {m.tenant for m in messages}
        told = {m.tenant for m in messages}
        kind = Kind.FINISH if poll.finished else Kind.CLOCK
        if poll.finished or not poll.batches:
            at = None if poll.finished else read_at
            messages += [Message(t, kind, at) for t in sorted(self._tenants - told)]
        self._transact(messages, poll.cursor)
        self.finished = poll.finished
        return bool(poll.batches)

    def _transact(self, messages: list[Message], cursor: dict[str, Any] | None) -> None:
        if self._producer is None:
            self._open()
        try:
            self._producer.begin_transaction()
            futures = [
                self._producer.send(
                    self._topics.events,
                    key=m.tenant.encode(),
                    value=m.body,
                    headers=m.headers(),
                )
                for m in messages
            ]
            if cursor is not None:
                told = {"cursor": cursor, "tenants": sorted(self._tenants)}
                futures.append(
                    self._producer.send(
                        self._topics.state,
                        key=key("", f"cursor/{self._name}"),
                        value=json.dumps(told).encode(),
                        partition=0,
                    )
                )
            for future in futures:
                future.get(timeout=30)
            self._producer.commit_transaction()
        except KafkaError as error:
            self.close()
            raise unreachable(self._config, error) from error
        if cursor is not None:
            self._cursor = cursor

    def close(self) -> None:
        """Let go of the broker; the cursor is read again at the next step."""
        if self._producer is not None:
            self._producer.close(timeout=1)
        self._producer, self._cursor = None, None
