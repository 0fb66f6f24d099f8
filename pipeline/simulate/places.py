"""Networks and addresses, all from the ranges kept for documentation.

RFC 5737 (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24), RFC 3849 (2001:db8::/32) and,
for AS numbers, RFC 5398 (64496-64511, 65536-65551).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Network:
    """One network: ``addresses`` are its IPv4 egress addresses, or it is IPv6 by user."""

    name: str
    asn: int
    country: str
    city: str
    state: str
    latitude: float
    longitude: float
    addresses: tuple[str, ...] = ()
    prefix: str = ""


def _block(base: str, first: int, count: int) -> tuple[str, ...]:
    return tuple(f"{base}.{first + i}" for i in range(count))


OFFICES: Final = (
    Network("berlin", 64500, "DE", "Berlin", "Berlin", 52.52, 13.4, _block("198.51.100", 10, 4)),
    Network("munich", 64501, "DE", "Munich", "Bavaria", 48.14, 11.58, _block("198.51.100", 140, 2)),
    Network(
        "new_york", 64502, "US", "New York", "New York", 40.71, -74.0, _block("203.0.113", 10, 3)
    ),
)
HOMES: Final = (
    Network("dsl_de", 64505, "DE", "Potsdam", "Brandenburg", 52.4, 13.06, prefix="2001:db8:10"),
    Network("cable_de", 64506, "DE", "Augsburg", "Bavaria", 48.37, 10.9, prefix="2001:db8:11"),
    Network("cable_us", 64507, "US", "Newark", "New Jersey", 40.73, -74.17, prefix="2001:db8:12"),
)
CARRIERS: Final = (
    Network("mobile_de", 64508, "DE", "Berlin", "Berlin", 52.5, 13.4, _block("192.0.2", 1, 60)),
    Network(
        "mobile_us", 64509, "US", "New York", "New York", 40.7, -74.0, _block("192.0.2", 101, 30)
    ),
)
# Exchange's own servers, calling mailboxes over the REST system path.
DATACENTRE: Final = Network(
    "datacentre", 65536, "DE", "Frankfurt", "Hesse", 50.11, 8.68, prefix="2001:db8:ff00"
)
FOREIGN: Final = (
    Network(
        "hosting_br", 65540, "BR", "Campinas", "Sao Paulo", -22.9, -47.06, prefix="2001:db8:b0"
    ),
    Network("hosting_vn", 65541, "VN", "Hanoi", "Ha Noi", 21.03, 105.85, prefix="2001:db8:b1"),
    Network("hosting_ng", 65542, "NG", "Lagos", "Lagos", 6.45, 3.39, _block("203.0.113", 200, 16)),
    Network(
        "hosting_ru", 65543, "RU", "Kazan", "Tatarstan", 55.79, 49.12, _block("203.0.113", 220, 16)
    ),
    Network("hosting_id", 65544, "ID", "Depok", "West Java", -6.4, 106.82, prefix="2001:db8:b2"),
)


class AddressBook:
    """Numbers every address once, so that rows hold an index."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.networks: list[Network] = []

    def add(self, network: Network, address: str) -> int:
        """Keep an address and return its number."""
        self.addresses.append(address)
        self.networks.append(network)
        return len(self.addresses) - 1

    def add_all(self, network: Network, count: int = 8) -> list[int]:
        """Keep every egress address of ``network``, or ``count`` of its prefix."""
        own = network.addresses or tuple(
            f"{network.prefix}:{i:x}::{i + 16:x}" for i in range(1, count + 1)
        )
        return [self.add(network, address) for address in own]
