"""Clients that tell why they are kept out.

kafka-python 3.0 tries a refused connection for ever and tells nobody: a wrong password shows as
a time-out, and a consumer whose right was taken away as silence. Here each connection's end is
looked at. A refusal is kept, and raised by whatever needs that broker next.
"""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from kafka import KafkaConsumer
from kafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from pipeline.model.errors import OutriderError

_METADATA_MS: Final = 10_000
# Of a connection at a time; what more has come waits for the next turn of the client's loop. A
# piece holds more than a TLS record (16 KiB): none waits inside OpenSSL, where no loop sees it.
_PIECE_BYTES: Final = 2**18
_PIECES: Final = 16

# The client tells of each reconnection; what matters of it comes back as an exception.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


class RefusedError(SaslAuthenticationFailedError):  # type: ignore[misc] # the client has no types
    """A broker keeps us out; of a kind that the client's own loops hand on."""

    def __init__(self, reason: OutriderError) -> None:
        super().__init__(type(reason).__name__)
        self.reason = reason


class Gate(Protocol):
    """What the ends of connections to some brokers mean."""

    def reason(self, error: BaseException) -> OutriderError | None:
        """What to raise if waiting does not help, else None."""
        ...

    def told(self, reason: OutriderError | None) -> None:
        """Hear why a connection was refused, or with None that one was opened."""
        ...


class Client(KafkaNetClient):  # type: ignore[misc] # the client has no types
    """The connections of a consumer, a producer or an administrator, watched.

    Args:
        gate: what their ends mean.
        options: of the client.
    """

    def __init__(self, gate: Gate, **options: Any) -> None:
        net = NetworkSelector(**options)
        self.watched = Connections(gate, net, **options)
        super().__init__(net=net, manager=self.watched, **options)

    @property
    def problem(self) -> BaseException | None:
        """What the last connection ended with, None if it was opened."""
        return self.watched.problem

    def stop(self) -> None:
        """End a client whose owner could not be made; its thread would go on for ever."""
        self.close()
        self._net.stop()


class Connections(KafkaConnectionManager):  # type: ignore[misc] # the client has no types
    """Connections whose ends are looked at.

    Args:
        gate: what their ends mean.
        net: the client's loop.
        options: of the client.
    """

    def __init__(self, gate: Gate, net: Any, **options: Any) -> None:
        self._gate = gate
        self._refused: dict[Any, OutriderError] = {}
        self._seen: dict[Any, Any] = {}
        self.problem: BaseException | None = None
        super().__init__(net, **options)
        # The client forgets to hand this on: whoever asked for a topic had it made.
        allowed = options.get("allow_auto_create_topics", True)
        self.cluster.config["allow_auto_create_topics"] = allowed

    def maybe_raise_auth_failure(self, node_id: Any) -> None:
        """Called by the client before each use of a connection."""
        reason = self._refused.get(node_id)
        if reason is not None:
            raise RefusedError(reason)

    def raise_refusal(self) -> None:
        """Raise RefusedError if any broker keeps us out, or there is no token to show to them."""
        for reason in tuple(self._refused.values()):
            raise RefusedError(reason)
        problem = self.problem
        if isinstance(problem, OutriderError) and not self.least_used_connections():
            raise RefusedError(problem)

    def get_connection(self, node_id: Any, *args: Any, **options: Any) -> Any:
        """As the client's own; the end of a new one is noted."""
        made = super().get_connection(node_id, *args, **options)
        if self._seen.get(node_id) is not made:
            self._seen[node_id] = made
            made.init_future.add_both(partial(self._opened, node_id, made))
            made.close_future.add_errback(partial(self._closed, node_id))
        return made

    def _opened(self, node_id: Any, made: Any, _result: Any) -> None:
        if made.init_future.succeeded():
            self._refused.pop(node_id, None)
            self._gate.told(None)
            self.problem = None
        else:
            self._ended(node_id, made.init_future.exception)

    def _closed(self, node_id: Any, error: BaseException) -> None:
        # A broker says so of a token that is renewed within a second; on the first connection
        # it means that the listener wants no SASL at all.
        if not isinstance(error, IllegalSaslStateError):
            self._ended(node_id, error)

    def _ended(self, node_id: Any, error: BaseException) -> None:
        self.problem = error
        reason = self._gate.reason(error)
        if reason is not None:
            self._refused[node_id] = reason
            self._gate.told(reason)

    async def _build_transport(self, *args: Any, **options: Any) -> Any:
        transport = await super()._build_transport(*args, **options)
        transport._sock_recv = partial(_received, transport)  # noqa: SLF001 # no other way in
        return transport


def _received(transport: Any) -> tuple[bytes, Exception | None]:
    """What has come of a connection, and what ended it.

    The client's own asks for 4 KiB at a time: of a batch of 2,000 records that is a quarter of
    what it takes to consume it (0.3 to 0.22 ms). And of a connection that has ended it drops what
    came right before, with it the broker's word that a password is wrong: half of the refusals
    were lost so. Here the end shows at the next read.
    """
    pieces: list[bytes] = []
    end: Exception | None = None
    while end is None and len(pieces) < _PIECES:
        try:
            piece = transport._sock.recv(_PIECE_BYTES)  # noqa: SLF001 # no other way in
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            break
        except OSError as error:
            end = KafkaConnectionError(error)
        else:
            if piece:
                pieces.append(piece)
            else:
                end = KafkaConnectionError("socket disconnected")
    return b"".join(pieces), None if pieces else end


class Consumer(KafkaConsumer):  # type: ignore[misc] # the client has no types
    """A consumer that does not mistake being kept out for having nothing to read.

    Its maker sets ``watched``, the connections.
    """

    watched: Connections

    def poll(self, *args: Any, **options: Any) -> Any:
        """As the client's own.

        Raises:
            RefusedError: nothing came, and a broker keeps us out.
            TopicAuthorizationFailedError: nothing came, and a topic is kept from us.
        """
        if self._coordinator.rejoining:
            # A join that outlasts one call is forgotten by the next one, if it was begun since
            # the topics became known or got partitions: the worker would stand still for ever.
            self._coordinator.request_rejoin()
        found = super().poll(*args, **options)
        if not found:
            self.watched.raise_refusal()
            assigned = {place.topic for place in self.assignment()}
            denied = assigned & self.watched.cluster.unauthorized_topics
            if denied:
                raise TopicAuthorizationFailedError(denied)
        return found

    def partitions_for_topic(self, topic: str) -> Any:
        """As the client's own.

        Raises:
            TopicAuthorizationFailedError: the topic is not missing, but kept from us.
        """
        found = super().partitions_for_topic(topic)
        if not found:
            # In the list of all topics a broker leaves it out; asked by name, it says why.
            cluster = self.watched.cluster
            with suppress(UnknownTopicOrPartitionError):  # missing: None, as the client's own
                self.watched.run(self.watched.wait_for, cluster.add_topic(topic), _METADATA_MS)
            if topic in cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
        return found
