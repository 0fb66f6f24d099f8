"""The brokers of a run, watched: why they keep us out, and a producer that does not wait for ever."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import KafkaError, KafkaTimeoutError

from connectors.kafka.producing import Producer as Ended
from pipeline.runtime.kafka.refusals import fatal_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.model.errors import OutriderError
    from pipeline.runtime.config import Kafka

# The broker ends a transaction after 15 seconds by itself, and a restart of it takes as long.
_ANSWER_SECONDS: Final = 30.0
_LOOK_MS: Final = 200
# Why this process was kept out last, by configuration: clients come and go, and what fails with
# a time-out because of it is told of after its client is gone.
_NEWEST: Final[dict[str, OutriderError]] = {}


class Gate:
    """What the ends of connections to the brokers of ``config`` mean."""

    def __init__(self, config: Kafka) -> None:
        self._config, self._key = config, config.model_dump_json()

    def reason(self, error: BaseException) -> OutriderError | None:
        """See :class:`connectors.kafka.watching.Gate`."""
        return fatal_reason(self._config, error)

    def told(self, reason: OutriderError | None) -> None:
        """See :class:`connectors.kafka.watching.Gate`."""
        if reason is None:
            _NEWEST.pop(self._key, None)
        else:
            _NEWEST[self._key] = reason


def newest_refusal(config: Kafka) -> OutriderError | None:
    """Why a broker of ``config`` kept us out last, None if it lets us in by now."""
    return _NEWEST.get(config.model_dump_json())


class Producer(Ended):
    """A producer that does not wait for ever for a broker that keeps it out, or is gone.

    What a transaction came to is not known after either: whoever goes on reads what is committed.
    Once something has ended the transaction, every later call raises that and not, as the
    client's own does, a bare ``KafkaError``: whoever was shut out learns it from each of them.
    """

    def begin_transaction(self) -> None:
        """As the client's own; raises what ended the transaction before."""
        with self._cause():
            super().begin_transaction()

    def send(self, topic: str, **record: Any) -> Any:
        """As the client's own; raises what ended the transaction."""
        with self._cause():
            return super().send(topic, **record)

    def commit_transaction(self) -> None:
        """As the client's own.

        Raises:
            RefusedError: a broker keeps us out.
            KafkaTimeoutError: no broker answers.
            KafkaError: what ended the transaction.
        """
        with self._cause():
            self._wait(self._transaction_manager.begin_commit())

    def abort_transaction(self) -> None:
        """As the client's own; raises what :meth:`commit_transaction` does."""
        with self._cause():
            self._wait(self._transaction_manager.begin_abort())

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
        """As the client's own; raises what :meth:`commit_transaction` does."""
        manager = self._transaction_manager
        with self._cause():
            self._wait(manager.send_offsets_to_transaction(offsets, group_metadata))

    def _wait(self, result: Any) -> None:
        self._sender.wakeup()
        until = time.monotonic() + _ANSWER_SECONDS
        while not result.wait(timeout_ms=_LOOK_MS):
            self.watched.raise_refusal()
            if time.monotonic() > until:
                raise KafkaTimeoutError("no answer to the end of a transaction")

    @contextmanager
    def _cause(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            cause = self._transaction_manager.last_error
            if type(error) is not KafkaError or cause is None:
                raise
            raise cause from error
