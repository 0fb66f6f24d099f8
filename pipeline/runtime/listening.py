"""The address that a server of ours listens on, of either family."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_kafka import host_of, is_loopback

_PORTS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; ``port`` 0 takes a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can connect."""
        return is_loopback(self.host)

    @classmethod
    def of(cls, text: str) -> Address:
        """Read ``HOST:PORT``, an IPv6 host in brackets.

        Raises:
            ConfigError: it is none.

        >>> Address.of("[::1]:8470")
        Address(host='::1', port=8470)
        """
        host, _, port = text.rpartition(":")
        bare = host_of(text)
        if not (bare and port.isdecimal() and port.isascii() and int(port) < _PORTS):
            raise ConfigError(f"{text!r} is no HOST:PORT; write 127.0.0.1:9464, say")
        if (":" in bare) is not host.startswith("["):
            raise ConfigError(f"{text!r}: write an IPv6 host in brackets, as in [::1]:8470")
        return cls(bare, int(port))

    def listen(self) -> socket.socket:
        """A socket that is bound and not accepting yet.

        Raises:
            ConfigError: the host is not known here, or the port is taken.
        """
        try:
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, where = found[0]
            made = socket.socket(family, kind, protocol)
        except OSError as error:
            raise ConfigError(f"cannot listen on {self.host}: {error.strerror}") from error
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(where)
        except OSError as error:
            made.close()
            raise ConfigError(
                f"cannot listen on {self.host} port {self.port}: {error.strerror}"
            ) from error
        return made
