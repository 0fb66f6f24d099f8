"""Connection strings of Event Hubs: taken apart, and held to what the Kafka endpoint takes.

``Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=NAME;SharedAccessKey=KEY``,
with ``;EntityPath=HUB`` behind it if the policy is one of a single hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COPY: Final = (
    "copy 'Connection string-primary key' of a policy with the right Listen, under Shared access "
    "policies of the namespace"
)
_ENDPOINT, _NAME, _KEY = "endpoint", "sharedaccesskeyname", "sharedaccesskey"
_SPELLING: Final = {_ENDPOINT: "Endpoint", _NAME: "SharedAccessKeyName", _KEY: "SharedAccessKey"}
_QUOTES: Final = ('"', "'")


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """A connection string that the endpoint may take.

    Attributes:
        text: the whole; it shows in no repr.
        host: of the namespace, in lower case.
        hub: the only one it is good for; None = all of the namespace.
    """

    text: str = field(repr=False)
    host: str
    hub: str | None


def parse_connection_string(text: str, what: str) -> ConnectionString:
    """Take a connection string apart; no message quotes any of it but the host.

    Args:
        text: as it was copied.
        what: it is, for messages.

    Raises:
        ConfigError: it is none of Event Hubs, or lacks a part.
    """
    text = text.strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        text = text[1:-1]
    if "\n" in text or "\r" in text:
        raise ConfigError(f"{what}: has line breaks within; it is one line: {_COPY}")
    parts = dict(_part(piece, what) for piece in text.split(";") if piece.strip())
    if "accountkey" in parts or "accountname" in parts:
        raise ConfigError(f"{what}: is of a storage account, not of Event Hubs; {_COPY}")
    if "sharedaccesssignature" in parts:
        raise ConfigError(
            f"{what}: holds a shared access signature, which the Kafka endpoint does not take; "
            f"{_COPY}"
        )
    for name, spelled in _SPELLING.items():
        if not parts.get(name):
            raise ConfigError(f"{what}: has no {spelled}=; {_COPY}")
    address = urlsplit(parts[_ENDPOINT])
    if address.scheme != "sb" or not address.hostname:
        raise ConfigError(f"{what}: its Endpoint is not sb://HOST/; {_COPY}")
    return ConnectionString(text, address.hostname, parts.get("entitypath") or None)


def check_fits(string: ConnectionString, host: str, hubs: Sequence[str], what: str) -> None:
    """See that a connection string is for this namespace and for all of these hubs.

    Raises:
        ConfigError: it is for another namespace, or for one hub only.
    """
    if string.host != host.lower():
        raise ConfigError(
            f"{what}: is for the namespace {string.host}, and {host} is to be read; {_COPY}"
        )
    others = [hub for hub in hubs if string.hub is not None and hub.lower() != string.hub.lower()]
    if others:
        raise ConfigError(
            f"{what}: is for the hub {string.hub} alone (EntityPath), and {', '.join(others)} is "
            f"to be read too; {_COPY}"
        )


def _part(piece: str, what: str) -> tuple[str, str]:
    name, equals, value = piece.partition("=")
    if not equals:
        raise ConfigError(f"{what}: is no connection string (Endpoint=sb://...;...); {_COPY}")
    return name.strip().lower(), value.strip()
