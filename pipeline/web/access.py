"""Who may ask: the address that is listened on, the token, and the host that is asked for."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_kafka import host_of, is_loopback
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    from pipeline.runtime.config_serve import Serve

_LEAST_CHARACTERS: Final = 16
_BEARER: Final = re.compile(r"[Bb]earer +([!-~]+) *")
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
            raise ConfigError(f"{text!r} is no HOST:PORT; write 127.0.0.1:8470, say")
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


class Access:
    """Lets a request in or not.

    Args:
        serve: the section of the configuration.
        address: that is listened on.

    Raises:
        ConfigError: others could connect and would need no token, or the token is no good.
    """

    def __init__(self, serve: Serve, address: Address) -> None:
        self._digest: bytes | None = None
        self._local = False
        if serve.token_file is not None:
            token = read_secret(serve.token_file, "", "the token of readers", "serve.token_file")
            if len(token) < _LEAST_CHARACTERS or not _BEARER.fullmatch(f"Bearer {token}"):
                raise ConfigError(
                    f"{serve.token_file}: the token needs {_LEAST_CHARACTERS} or more printable "
                    "ASCII characters without blanks; 'openssl rand -hex 32' makes a good one"
                )
            self._digest = _digest(token.encode())
        elif address.loopback:
            self._local = True
        elif not serve.allow_anonymous:
            raise ConfigError(
                f"{address.host} can be reached by others: name a file with a token "
                "(serve.token_file), or set serve.allow_anonymous = true"
            )

    def token_is_good(self, authorization: str | None) -> bool:
        """Whether the header ``Authorization`` says the token, if one is needed."""
        if self._digest is None:
            return True
        match = _BEARER.fullmatch(authorization or "")
        given = b"" if match is None else match[1].encode()
        # The digests are of one length: the time of the comparison tells nothing.
        return hmac.compare_digest(_digest(given), self._digest)

    def host_is_good(self, host: str | None) -> bool:
        """Whether the header ``Host`` names this machine, where that is all that protects.

        A page that a browser on this machine shows may have a name that turns into a loopback
        address; its requests come with that name.
        """
        if not self._local:
            return True
        name = host or ""
        return is_loopback(host_of(name) if re.search(r":\d*\Z", name) else name.strip("[]"))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
