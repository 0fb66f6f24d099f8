"""Ways into the Kafka endpoint of Event Hubs: a connection string, or a token of Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from connectors.kafka.hidden import Hidden
from connectors.kafka.tokens import TokenProvider, token_provider
from connectors.sources.connection_string import check_fits, parse_connection_string
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors.http.client import Tokens

PORT: Final = 9093
_USER: Final = "$ConnectionString"
_WHAT: Final = "the connection string of Event Hubs"


class Address(NamedTuple):
    """Where a namespace is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def address_of(namespace: str, domain: str) -> Address:
    """Where to find a namespace.

    Args:
        namespace: its name, its whole host name, or that with a port.
        domain: of the cloud, for a name alone: ``servicebus.windows.net``.

    Raises:
        ConfigError: the port is none.

    >>> str(address_of("contoso-logs", "servicebus.windows.net"))
    'contoso-logs.servicebus.windows.net:9093'
    """
    host, colon, port = namespace.partition(":")
    if colon and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"{namespace}: the port of an Event Hubs namespace is a number, as 9093")
    whole = "." in host or bool(colon)
    return Address(host if whole else f"{host}.{domain}", int(port) if colon else PORT)


class Login(Protocol):
    """How to sign in at a namespace."""

    by_key: bool
    """Whether it is a key, and not a token, that opens the door."""

    def options(self, address: Address, hubs: Sequence[str]) -> dict[str, Any]:
        """Options of the client, made anew for each.

        Raises:
            ConfigError: what is needed is missing, or does not fit.
            AuthError: the sign-in for a token is refused.
            RetriableError: the sign-in service does not answer.
        """
        ...

    def refused(self) -> None:
        """Hear that the namespace did not take what it was shown."""
        ...


class KeyLogin:
    """A connection string; ``read`` gives it, and is asked anew for each client."""

    by_key = True

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def options(self, address: Address, hubs: Sequence[str]) -> dict[str, Any]:
        """See :class:`Login`."""
        string = parse_connection_string(self._read(), _WHAT)
        check_fits(string, address.host, hubs, _WHAT)
        return {
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": _USER,
            "sasl_plain_password": Hidden(string.text),
        }

    def refused(self) -> None:
        """Nothing is kept: the next client reads it anew."""


class TokenLogin:
    """Tokens of Entra, given by ``identity``."""

    by_key = False

    def __init__(self, identity: Tokens) -> None:
        self._identity = identity
        self._provider: TokenProvider | None = None

    def options(self, address: Address, hubs: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002 # a token is for the namespace
        """See :class:`Login`."""
        self._provider = token_provider(self._identity, f"https://{address.host}/.default")
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": self._provider}

    def refused(self) -> None:
        """See :class:`Login`."""
        if self._provider is not None:
            self._provider.refuse()
