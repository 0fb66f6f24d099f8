"""Flags and incidents to a topic of brokers that are yours, one message for each revision.

The producer is idempotent and waits for all copies (``acks=all``): what it repeats by itself is
there once. A revision whose answer was lost, or that was handed in again after a restart, may be
there twice; its headers ``id`` and ``revision`` tell.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from connectors.kafka.watching import RefusedError
from connectors.sinks.encoders.encoder import key_of, kind_of
from connectors.sinks.encoders.words import tenants
from connectors.sinks.kafka_topic_brokers import producer
from connectors.sinks.kafka_topic_errors import Gate
from pipeline.model.contracts import Delivery
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.kafka.producing import Producer
    from connectors.sinks.encoders.encoder import Encoder
    from connectors.sinks.kafka_topic_brokers import Brokers

    Key = tuple[str, int]
    Parcel = dict[Key, dict[str, Any]]

SECONDS: Final = 30.0
"""How long a call waits for answers at most, unless told otherwise."""
_AGAIN_SECONDS: Final = 10.0


class KafkaTopicSink:
    """Writes each document to one topic, the revisions of one id in order.

    Args:
        brokers: of the topic, and how they let us in.
        topic: which exists.
        form: of the messages.
        key: of the messages: the id, or the tenant, whose documents then share a partition.
        seconds: to wait for an answer, at opening and for what was sent.
    """

    def __init__(
        self,
        brokers: Brokers,
        topic: str,
        form: Encoder,
        *,
        key: Literal["id", "tenant"] = "id",
        seconds: float = SECONDS,
    ) -> None:
        self._brokers, self._topic, self._form = brokers, topic, form
        self._key, self._seconds = key, seconds
        self._gate = Gate(", ".join(brokers.servers), topic)
        self._producer: Producer | None = None

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Write the documents, and wait until all copies have them.

        Rejected is what the form has no words for, and what the broker finds too large.

        Raises:
            RetriableError: no broker answers in time; what it may have got comes again.
            AuthError: a broker keeps us out, or the topic is kept from us.
            FatalError: the topic is not there, or a file cannot be read.
        """
        until = time.monotonic() + self._seconds
        accepted: list[Key] = []
        left, rejected = self._messages(documents)
        try:
            while left:
                self._write(left, until, accepted, rejected)
        except (OutriderError, KafkaError) as error:
            self._drop()
            if not accepted:
                raise self._told(error) from error
            return Delivery(accepted, rejected, retry_after=_AGAIN_SECONDS)
        return Delivery(accepted, rejected)

    def close(self) -> None:
        """Let go of the brokers."""
        self._drop()

    def _told(self, error: OutriderError | KafkaError) -> OutriderError:
        if isinstance(error, OutriderError):
            return error
        return self._gate.failure(error.reason if isinstance(error, RefusedError) else error)

    def _messages(self, documents: Sequence[Mapping[str, Any]]) -> tuple[Parcel, list[Key]]:
        made: Parcel = {}
        rejected = []
        for document in documents:
            key = key_of(document)
            name, revision = key
            try:
                partition = name if self._key == "id" else ", ".join(tenants(document))
                made[key] = {
                    "value": _octets(self._form.line(document)),
                    "key": _octets(partition),
                    "headers": [
                        ("id", _octets(name)),
                        ("revision", str(revision).encode()),
                        ("kind", kind_of(document).encode()),
                    ],
                }
            except (KeyError, TypeError, ValueError):
                rejected.append(key)
        return made, rejected

    def _write(self, left: Parcel, until: float, accepted: list[Key], rejected: list[Key]) -> None:
        """Write the first that is left of each id, and take what was settled off."""
        wave = _firsts(left)
        large = self._send(wave, left, until, accepted)
        for key in large:
            # The client refuses others together with the one that is too large.
            if len(wave) == 1 or self._send([key], left, until, accepted):
                rejected.append(key)
                del left[key]

    def _send(self, wave: list[Key], left: Parcel, until: float, accepted: list[Key]) -> list[Key]:
        """Write these together; gives those that were too large."""
        sent: dict[Key, Any] = {}
        large = []
        problem: KafkaError | None = None
        for key in wave:
            try:
                sent[key] = self._opened().send(self._topic, **left[key])
            except MessageSizeTooLargeError:
                large.append(key)
        for key, future in sent.items():
            try:
                self._wait(future, until)
            except MessageSizeTooLargeError:
                large.append(key)
            except KafkaError as error:
                problem = problem or error
            else:
                accepted.append(key)
                del left[key]
        if problem is not None:
            raise problem
        if large:
            # The producer numbers what it sends, and what was refused left a gap.
            self._drop()
        return large

    def _wait(self, future: Any, until: float) -> None:
        """Wait for an answer; a broker that keeps us out gives none."""
        while True:
            try:
                future.get(timeout=max(0.0, min(0.2, until - time.monotonic())))
            except KafkaTimeoutError:
                if future.is_done or time.monotonic() > until:
                    raise
                if self._producer is not None:
                    self._producer.watched.raise_refusal()
            else:
                return

    def _opened(self) -> Producer:
        if self._producer is None:
            self._producer = producer(self._brokers, self._topic, self._gate, self._seconds / 3)
        return self._producer

    def _drop(self) -> None:
        """Let go of the producer; what it has not sent yet is not sent any more."""
        if self._producer is not None:
            self._producer.close(timeout=0)
            self._producer = None


def _firsts(left: Parcel) -> list[Key]:
    """The first of each id: a later revision goes only after it has arrived."""
    found: dict[str, Key] = {}
    for name, revision in left:
        found.setdefault(name, (name, revision))
    return list(found.values())


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
