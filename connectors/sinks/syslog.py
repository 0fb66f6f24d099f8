"""Flags and incidents as messages of syslog, over TLS (RFC 5425) or, where it must be, plain TCP.

Syslog has no acknowledgements. What is known, and when:

- after a write: the receiver's *system* has acknowledged every byte and the connection still
  stands. That makes a document accepted. Its program may not have read it yet.
- when the receiver closes a TLS connection in order, five seconds or more after the last write:
  it has read everything. The same holds when we close it, and it closes too.
- when the connection ends in any other way: nothing more. What was written since the last moment
  at which everything was known to be read goes again first, in the same order. The receiver knows
  it by its key.

Such a moment comes when the connection is renewed, every hour and every MiB. With ``confirmed``
every call ends with one, and only that makes a document accepted: then nothing is lost even if
both sides are killed at a time.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.syslog_connection import Connection
from connectors.sinks.syslog_errors import failure
from connectors.sinks.syslog_frame import framed
from pipeline.model.contracts import Delivery
from pipeline.model.errors import ConfigError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sinks.syslog_connection import Receiver
    from connectors.sinks.syslog_frame import Messages

    Framed = tuple[tuple[str, int], bytes]

SECONDS: Final = 10.0
"""How long a call lasts at most, unless told otherwise; the look-up of the name is not in it."""
_PIECE_OCTETS: Final = 64 * 2**10
# What may go again is bounded by renewing the connection: a bad day is some MiB.
_RENEW_OCTETS: Final = 2**20
_RENEW_SECONDS: Final = 3600.0
_CLOSING_SECONDS: Final = 2.0
_SETTLING_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 10.0


class SyslogSink:
    """Sends each document as one message, over one connection that is kept.

    Args:
        receiver: where to.
        messages: makes them.
        seconds: that a call lasts at most, connecting included.
        confirmed: end each call by closing the connection, and count as accepted only what the
            receiver has read for certain. Costs a handshake each time.

    Raises:
        ConfigError: a certificate or key cannot be read.
    """

    def __init__(
        self,
        receiver: Receiver,
        messages: Messages,
        *,
        seconds: float = SECONDS,
        confirmed: bool = False,
    ) -> None:
        self._receiver, self._messages = receiver, messages
        self._seconds, self._confirmed = seconds, confirmed
        self._connection: Connection | None = None
        # Written and accepted, and not known to be read.
        self._unsure: list[bytes] = []
        if receiver.tls:
            receiver.context()

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send the documents, in order.

        Rejected is what the form has no words for, or what cannot be made short enough.

        Raises:
            RetriableError: the receiver cannot be reached, does not take anything in time, or
                hung up.
            AuthError: one of the two certificates is refused.
            FatalError: the receiver speaks no TLS, or a file cannot be read any more.
        """
        until = time.monotonic() + self._seconds
        made, rejected = self._made(documents)
        accepted: list[tuple[str, int]] = []
        try:
            for piece in _pieces(made):
                if accepted and time.monotonic() > until - self._seconds / 2:
                    break  # over a slow line the rest is for the next call
                self._send([frame for _, frame in piece], until)
                accepted += [key for key, _ in piece]
            if self._confirmed and made:
                self._confirm(until)
        except OutriderError:
            self._drop()
            if self._confirmed or not accepted:
                raise
            return Delivery(accepted, rejected, retry_after=_AGAIN_SECONDS)
        return Delivery(accepted, rejected)

    def close(self) -> None:
        """Close the connection in order, within two seconds."""
        if self._connection is not None:
            self._close(time.monotonic() + _CLOSING_SECONDS)

    def _made(
        self, documents: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Framed], list[tuple[str, int]]]:
        made: dict[tuple[str, int], bytes] = {}
        rejected = []
        for document in documents:
            key = key_of(document)
            if key in made:
                continue
            try:
                made[key] = framed(self._messages.message(document))
            except (KeyError, TypeError, ValueError):
                rejected.append(key)
        return list(made.items()), rejected

    def _send(self, frames: list[bytes], until: float) -> None:
        try:
            connection = self._open(until)
            connection.send(b"".join(frames), until)
        except ConfigError as error:
            raise FatalError(str(error)) from error
        except OSError as error:
            raise failure(self._receiver, error) from error
        if not self._confirmed:
            self._unsure.extend(frames)

    def _open(self, until: float) -> Connection:
        """The connection that stands, or a new one over which the unsure has gone again."""
        if self._connection is not None:
            state = self._connection.look()
            if state == "closed":
                self._unsure.clear()
            if state != "open":
                self._drop()
            elif self._due(self._connection):
                self._confirm(min(until, time.monotonic() + _CLOSING_SECONDS))
        if self._connection is None:
            connection = Connection(self._receiver, until)
            try:
                if self._unsure:
                    connection.send(b"".join(self._unsure), until)
            except BaseException:
                connection.drop()
                raise
            self._connection = connection
        return self._connection

    def _due(self, connection: Connection) -> bool:
        age = time.monotonic() - connection.opened
        return age > _RENEW_SECONDS or sum(map(len, self._unsure)) > _RENEW_OCTETS

    def _confirm(self, until: float) -> None:
        """Close the connection, and with that know that everything was read."""
        if not self._close(until):
            raise RetriableError(
                f"syslog at {self._receiver}: it did not close the connection in answer to us, so "
                "that what it read is not known and goes again; see whether it hangs",
                retry_after=_AGAIN_SECONDS,
            )

    def _close(self, until: float) -> bool:
        """Close the connection in order; whether everything is known to be read."""
        connection, self._connection = self._connection, None
        # Had it hung up by itself, without reading, that would look like its answer.
        stands = connection is not None and connection.stands(_SETTLING_SECONDS)
        answered = connection is not None and connection.close(until) and stands
        if answered:
            self._unsure.clear()
        return answered

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None


def _pieces(made: list[Framed]) -> Iterator[list[Framed]]:
    """Parts of which each is acknowledged before the next: of one that fails nothing is known."""
    left, size, count = iter(made), 0, 0
    for _, frame in made:
        if count and size + len(frame) > _PIECE_OCTETS:
            yield list(islice(left, count))
            size, count = 0, 0
        size, count = size + len(frame), count + 1
    if count:
        yield list(islice(left, count))
