"""What a namespace holds, read by offset through its Kafka endpoint.

No consumer group is joined and no offset is committed: in Kafka's protocol a fetch names
partition and offset only, so that positions are nobody's but the caller's, no other reader loses
records to us, and the limits on commits (4 a second and partition) do not matter.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kafka import TopicPartition
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from connectors.certificates import load_authorities
from connectors.kafka.watching import Client, Consumer, RefusedError
from connectors.sources.event_hubs_errors import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connectors.kafka.watching import Connections
    from connectors.sources.event_hubs_login import Address, Login
    from pipeline.model.errors import OutriderError

# What the endpoint speaks, by Microsoft's word; the client would begin with a newer request, at
# which the endpoint hangs up (kafka-python issue 2602).
_PROTOCOL: Final = (1, 0)
# For so long a new client looks for an endpoint that lets it in.
_BOOTSTRAP_MS: Final = 10_000
_LOOK_MS: Final = 200
_ANSWER_MS: Final = 10_000
_CLOSING_MS: Final = 1_000
# By Microsoft's recommendations for clients of the endpoint: it may hold an answer back for a
# minute, and Azure cuts connections that were idle for four.
_REQUEST_MS: Final = 60_000
_IDLE_MS: Final = 180_000
_PIECE_MS: Final = 500
# A message has up to 1 MB in the usual tiers; a larger one comes alone.
_FETCH_BYTES: Final = 16 * 2**20
_PARTITION_BYTES: Final = 2 * 2**20
_AT_ONCE: Final = 500
# Ends a reading early: a backlog of large messages would not fit into memory.
_MOST_BYTES: Final = 32 * 2**20


class Bounds(NamedTuple):
    """What a partition holds: offsets of the oldest message, and behind the newest."""

    oldest: int
    end: int


class Stretch(NamedTuple):
    """What came of a partition.

    Attributes:
        messages: in order; each with ``offset``, ``timestamp`` (ms since 1970) and ``value``.
        stands: offset to read on at.
    """

    messages: list[Any]
    stands: int


class HubClient:
    """A connection to some hubs of a namespace.

    Args:
        address: of the namespace.
        hubs: to read.
        login: how to sign in.
        ca_file: authorities to trust; None = the usual ones.

    Raises:
        AuthError, ConfigError, RetriableError: it could not be opened; told by :class:`Gate`.
    """

    def __init__(
        self, address: Address, hubs: Sequence[str], login: Login, ca_file: Path | None
    ) -> None:
        self.gate = Gate(address, login)
        self._hubs, self._login = tuple(hubs), login
        self._known: list[TopicPartition] = []
        self._assigned: list[TopicPartition] = []
        self._stands: dict[TopicPartition, int] = {}
        self._consumer = self._open(address, ca_file)

    def _open(self, address: Address, ca_file: Path | None) -> Consumer:
        options: dict[str, Any] = {
            "bootstrap_servers": [str(address)],
            "api_version": _PROTOCOL,
            "client_id": "outrider",
            "security_protocol": "SASL_SSL",
            "ssl_check_hostname": True,
            "request_timeout_ms": _REQUEST_MS,
            "connections_max_idle_ms": _IDLE_MS,
            "metadata_max_age_ms": _IDLE_MS,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "allow_auto_create_topics": False,
            "enable_incremental_fetch_sessions": False,
            "fetch_max_bytes": _FETCH_BYTES,
            "max_partition_fetch_bytes": _PARTITION_BYTES,
            "fetch_max_wait_ms": _PIECE_MS,
            "metrics_enabled": False,
            **self._login.options(address, self._hubs),
        }
        if ca_file is not None:
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)
            options["ssl_cafile"] = str(ca_file)
        made: list[Client] = []

        def connections(**more: Any) -> Client:
            made.append(Client(self.gate, **more))
            # A role at single hubs may ask for these only; asked for none, the endpoint hangs up.
            made[0].cluster._topics = set(self._hubs)  # noqa: SLF001 # set_topics would ask at once
            return made[0]

        consumer = Consumer(kafka_client=connections, **options)
        consumer.watched = made[0].watched
        try:
            _bootstrap(made[0].watched)
        except KafkaError as error:
            problem = made[0].problem
            consumer.close(autocommit=False, timeout_ms=_CLOSING_MS)
            made[0].stop()
            raise self.failure(problem or error) from None
        return consumer

    def failure(self, error: BaseException) -> OutriderError:
        """What to raise for an error of the client."""
        return error.reason if isinstance(error, RefusedError) else self.gate.failure(error)

    def partitions(self) -> list[TopicPartition]:
        """The partitions of all hubs, in order.

        Raises:
            AuthError: a hub is kept from us.
            FatalError: a hub is not there.
            KafkaError: no answer.
        """
        cluster = self._consumer.watched.cluster
        if any(cluster.partitions_for_topic(hub) is None for hub in self._hubs):
            with suppress(UnknownTopicOrPartitionError, KafkaTimeoutError):
                watched = self._consumer.watched
                watched.run(watched.wait_for, cluster.request_update(), _ANSWER_MS)
        denied = sorted(cluster.unauthorized_topics.intersection(self._hubs))
        if denied:
            raise self.gate.denied(denied)
        found = {hub: cluster.partitions_for_topic(hub) for hub in self._hubs}
        missing = [hub for hub, numbers in found.items() if not numbers]
        if missing:
            self._consumer.watched.raise_refusal()
            raise self.gate.missing(missing)
        self._known = [TopicPartition(hub, n) for hub in self._hubs for n in sorted(found[hub])]
        return self._known

    def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """What the partitions hold now.

        Raises:
            KafkaError: no answer, or a refusal.
        """
        try:
            # The end last: what is between was there when it was asked.
            oldest = self._consumer.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
            ends = self._consumer.end_offsets(partitions, timeout_ms=_ANSWER_MS)
        except KeyError:
            # The client's own way to say that an answer leaves a partition out.
            raise KafkaTimeoutError("no offsets of a partition") from None
        return {place: Bounds(oldest[place], ends[place]) for place in partitions}

    def read(
        self, wanted: Mapping[TopicPartition, Bounds], seconds: float
    ) -> dict[TopicPartition, Stretch]:
        """Read messages from an offset up to another, or as many as come in ``seconds``.

        Raises:
            KafkaError: no answer, a refusal, or the messages have left meanwhile.
        """
        self._aim(wanted)
        until = time.monotonic() + seconds
        found: dict[TopicPartition, list[Any]] = {place: [] for place in wanted}
        left = {place: bounds.end for place, bounds in wanted.items()}
        size = 0
        while left and size < _MOST_BYTES and (remaining := until - time.monotonic()) > 0:
            wait = min(1000 * remaining, _PIECE_MS)
            came = self._consumer.poll(timeout_ms=wait, max_records=_AT_ONCE)
            for place, messages in came.items():
                kept = self._trimmed(place, messages, left[place])
                size += sum(len(message.value or b"") for message in kept)
                found[place] += kept
            if not came:
                self._pass_gaps(left)
            for place in [p for p, end in left.items() if self._stands[p] >= end]:
                del left[place]
                self._consumer.pause(place)
        return {place: Stretch(found[place], self._stands[place]) for place in wanted}

    def _aim(self, wanted: Mapping[TopicPartition, Bounds]) -> None:
        """Have the client fetch from these places and no others."""
        consumer = self._consumer
        fresh = self._known != self._assigned
        if fresh:
            consumer.assign(self._known)
            self._assigned = self._known
            self._stands.clear()
        consumer.pause(*self._assigned)
        # A partition without any position is an error to the client, though it is paused.
        for place in self._assigned if fresh else wanted:
            start = wanted[place].oldest if place in wanted else 0
            if self._stands.get(place) != start:
                consumer.seek(place, start)
                self._stands[place] = start
        consumer.resume(*wanted)

    def _trimmed(self, place: TopicPartition, messages: list[Any], end: int) -> list[Any]:
        """The messages before ``end``; the client goes back to it."""
        kept = [message for message in messages if message.offset < end]
        self._stands[place] = kept[-1].offset + 1 if kept else end
        if len(kept) < len(messages):
            self._consumer.seek(place, self._stands[place])
        return kept

    def _pass_gaps(self, left: Mapping[TopicPartition, int]) -> None:
        """Notice offsets that hold no message, as the marks of transactions do."""
        for place in left:
            stands = self._consumer.position(place, timeout_ms=_PIECE_MS)
            if stands is not None:
                self._stands[place] = max(self._stands[place], stands)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close(autocommit=False, timeout_ms=_CLOSING_MS)


def _bootstrap(watched: Connections) -> None:
    """Wait until the hubs are known; the client's own wait may last for ever.

    Raises:
        KafkaError: no answer, or a refusal.
    """
    known = watched.bootstrap_async(_BOOTSTRAP_MS)
    until = time.monotonic() + _BOOTSTRAP_MS / 1000
    while not known.is_done:
        with suppress(KafkaTimeoutError):
            watched.run(watched.wait_for, known, _LOOK_MS)
        if watched.cluster.unauthorized_topics:
            raise TopicAuthorizationFailedError(watched.cluster.unauthorized_topics)
        if time.monotonic() > until:
            raise KafkaTimeoutError("no answer to the first request")
    watched.run(watched.wait_for, known, _LOOK_MS)
