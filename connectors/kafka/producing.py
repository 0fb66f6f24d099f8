"""A producer that can be let go of, whatever its brokers do."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

if TYPE_CHECKING:
    from connectors.kafka.watching import Connections


class Producer(KafkaProducer):  # type: ignore[misc] # the client has no types
    """As the client's own, but for its end. Its maker sets ``watched``, the connections."""

    watched: Connections

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:  # noqa: FBT001, FBT002 # the client's own
        """As the client's own, which leaves its thread behind where records cannot be sent."""
        try:
            super().close(timeout=timeout, null_logger=null_logger)
        except KafkaTimeoutError:
            self._sender.force_close()
            self._sender.join(timeout)
            with suppress(KafkaTimeoutError):
                super().close(timeout=0, null_logger=null_logger)
