"""One connection to a receiver of syslog: opened, looked at, written to, closed in order.

Every step ends by a moment that the caller names, but for the look-up of the host's name, which
is the system's.
"""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import sys
import termios
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from connectors.certificates import load_authorities, load_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

State: TypeAlias = Literal["open", "closed", "broken"]
"""closed: the receiver closed it in order, and some time after the last write. broken: else."""

# A receiver that closes for being idle does so after minutes, one that stops closes at any time:
# what it had just been sent it may have dropped.
_QUIET_SECONDS: Final = 5.0
# TLS 1.3: the receiver's word on our certificate comes after the handshake, as does its first
# ticket otherwise.
_VERDICT_SECONDS: Final = 1.0
_LOOK_MS: Final = 5
# A receiver that is gone without a word is known after 60 seconds, and no firewall forgets us.
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_LINUX: Final = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a receiver is, and what to show to it.

    Attributes:
        host: name or address.
        port: 6514 by RFC 5425.
        tls: whether to speak TLS; its certificate and name are always checked.
        ca_file: authorities to trust, PEM; None = those of the machine.
        certificate_file: our own certificate, PEM; None = none.
        key_file: its private key, PEM.
        key_password: asked for if that is encrypted.
    """

    host: str
    port: int = 6514
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Callable[[], str] = field(default=str, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def context(self) -> ssl.SSLContext:
        """TLS as our files say it now: they may be renewed.

        Raises:
            ConfigError: a file cannot be read or is not what it should be.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file is None:
            made.load_default_certs()
        else:
            load_authorities(made, self.ca_file)
        if self.certificate_file is not None and self.key_file is not None:
            load_pair(made, self.certificate_file, self.key_file, self.key_password)
        return made


class Connection:
    """Open from when it is made.

    Args:
        receiver: to connect to.
        until: seconds of the monotonic clock at which all that is not done fails.

    Raises:
        OSError: it cannot be opened; TimeoutError, ssl.SSLError and others are kinds of it.
        ConfigError: a file of ours is not what it should be.
    """

    def __init__(self, receiver: Receiver, until: float) -> None:
        context = receiver.context() if receiver.tls else None
        self._socket = _connected(receiver, until)
        try:
            if context is not None:
                self._socket.settimeout(_left(until))
                self._socket = context.wrap_socket(
                    self._socket, server_hostname=receiver.host, suppress_ragged_eofs=False
                )
                self._hear_verdict(until)
        except BaseException:
            self._socket.close()
            raise
        self.opened = time.monotonic()
        """When, in seconds of the monotonic clock."""

    def _hear_verdict(self, until: float) -> None:
        """Wait until the receiver has taken our certificate, or the lack of one."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.version() == "TLSv1.3":
            self._readable(min(1000 * _VERDICT_SECONDS, 1000 * _left(until)))
            self._read()

    def look(self) -> State:
        """Whether it still stands, without waiting."""
        try:
            return "open" if self._read() else self._how_closed()
        except OSError:
            return "broken"

    def stands(self, seconds: float) -> bool:
        """Whether it still stands after some time, within which nobody has closed it."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._readable(1000 * left) and self.look() != "open":
                return False
        return True

    def _read(self) -> bool:
        """Pass over what has come, whose meaning syslog does not know; False = it was closed."""
        self._socket.settimeout(0)
        while True:
            try:
                if not self._socket.recv(4096):
                    return False
            except (ssl.SSLWantReadError, BlockingIOError):
                return True

    def _how_closed(self) -> State:
        # A system resets a connection of which somebody has not read everything; the alert that
        # closes TLS may have gone out just before.
        problem = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem or not _LINUX or not isinstance(self._socket, ssl.SSLSocket):
            return "broken"
        told = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
        numbers = struct.unpack_from("=14I", told, 8)
        sent, received = numbers[9], numbers[11]  # milliseconds ago: our last data, and its own
        return "closed" if sent - received >= 1000 * _QUIET_SECONDS else "broken"

    def send(self, data: bytes, until: float) -> None:
        """Write, until the receiver's system has acknowledged every byte.

        Raises:
            TimeoutError: it has not by then.
            OSError: the connection is no more. How much arrived is not known.
        """
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(_left(until))
            rest = rest[self._socket.send(rest) :]
        while self._unacknowledged():
            _left(until)
            if self._readable(_LOOK_MS):
                self._stand()
        self._stand()

    def _stand(self) -> None:
        if not self._read():
            raise ConnectionResetError("closed")

    def _unacknowledged(self) -> int:
        """Bytes of which the other system has not said that it has them."""
        if not _LINUX:
            return 0
        told = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return int.from_bytes(told, sys.byteorder)

    def _readable(self, milliseconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def close(self, until: float) -> bool:
        """Close it in order; whether the receiver did so too, which it does after the last byte."""
        answered = False
        try:
            self._socket.settimeout(_left(until))
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.unwrap().close()
                answered = True
            else:
                self._socket.shutdown(socket.SHUT_WR)
                while self._socket.recv(4096):
                    self._socket.settimeout(_left(until))
                answered = True
        except ssl.SSLEOFError:
            # It closed without the alert, but after ours and without a reset.
            answered = True
        except OSError:
            answered = False
        self.drop()
        return answered

    def drop(self) -> None:
        """Let go of it, whatever its state."""
        with suppress(OSError):
            self._socket.close()


def _left(until: float) -> float:
    """Seconds left; raises TimeoutError if none are."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no answer")
    return seconds


def _connected(receiver: Receiver, until: float) -> socket.socket:
    """A socket to the first address of the host that takes us."""
    problem: OSError = ConnectionRefusedError()
    found = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(found):
        made = socket.socket(family, kind, protocol)
        try:
            # An address that does not answer leaves time for the others.
            made.settimeout(_left(until) / (len(found) - number))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEP_ALIVE.items():
                if hasattr(socket, name):
                    made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            made.connect(address)
        except OSError as error:
            made.close()
            problem = error
        else:
            return made
    raise problem
