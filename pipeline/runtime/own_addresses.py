"""IP addresses that the configuration names as places to connect to: these may stand in a log.

An operator who is told that a broker does not answer needs to know which. An address of somebody who
signed in never comes from the configuration.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Keys that hold a host, HOST:PORT, a whole address, or a list of these. Networks of [sites] and
# recipients of mail are none: people are behind them.
_KEYS: Final = frozenset(
    {"servers", "host", "address", "endpoint", "authority", "url", "public_url", "namespace"}
)
_SUFFIX: Final = "_address"


def addresses_of(section: BaseModel) -> Iterator[Address]:
    """The IP addresses among the hosts that a section, or one within it, names."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from addresses_of(value)
        elif isinstance(value, dict):
            for inner in value.values():
                if isinstance(inner, BaseModel):
                    yield from addresses_of(inner)
        elif name in _KEYS or name.endswith(_SUFFIX):
            yield from _within(value)


def _within(value: Any) -> Iterator[Address]:
    for text in value if isinstance(value, list) else [value]:
        found = address_of(text) if isinstance(text, str) else None
        if found is not None:
            yield found


def address_of(text: str) -> Address | None:
    """The IP address that a host, HOST:PORT or a whole address names; None if it names none.

    >>> str(address_of("192.0.2.7:9092")), str(address_of("https://[2001:db8::5]:8088/x"))
    ('192.0.2.7', '2001:db8::5')
    >>> address_of("kafka.example.net:9092") is None
    True
    """
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname
        return None if host is None else ipaddress.ip_address(host)
    except ValueError:
        return None


class _Own:
    """Those of the configuration that was loaded last; a process has one."""

    addresses: frozenset[Address] = frozenset()


def keep_visible(addresses: Iterable[Address]) -> None:
    """Let these, and no others, stand in this process's log."""
    _Own.addresses = frozenset(addresses)


def is_own(address: Address) -> bool:
    """Whether the configuration names it as a place to connect to."""
    return address in _Own.addresses
