"""Users and networks under a keyed hash: the same person, the same number, no name."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import Final

from connectors.normalise.settings import NormaliseSettings

_CACHE: Final = 100_000  # about 20 MB; a larger tenant pays 1 us for each forgotten user
_IPV4: Final = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(?:\d{1,3}|[Xx]+)(?::\d+)?")
# Loopback, link-local and Exchange's own back ends (2603:10a6::/32 and its neighbours are
# Microsoft's): addresses of machines that serve, not of the people served.
_SERVERS: Final = tuple(
    ipaddress.ip_network(p) for p in ("::1/128", "fe80::/10", "127.0.0.0/8", "2603:1000::/24")
)


def shared(settings: NormaliseSettings) -> Pseudonyms:
    """The pseudonyms of these settings, with what earlier units of the process have cached."""
    if settings.reveal:
        return Pseudonyms(settings)
    sites = tuple(sorted(settings.site_names.items()))
    return _shared(settings.key, sites)


@lru_cache(maxsize=1)
def _shared(key: bytes, sites: tuple[tuple[str, str], ...]) -> Pseudonyms:
    return Pseudonyms(NormaliseSettings(key, site_names=dict(sites)))


class Pseudonyms:
    """Keyed BLAKE2b (RFC 7693) of users and address prefixes, with caches of fixed size."""

    def __init__(self, settings: NormaliseSettings) -> None:
        self._key = settings.key
        self._sites = sorted(
            ((ipaddress.ip_network(p, strict=False), n) for p, n in settings.site_names.items()),
            key=lambda item: -item[0].prefixlen,
        )
        self.reveals = settings.reveal
        self._networks: dict[str, str | None] = {}
        self.users: dict[str, int] = {}
        self.revealed: dict[int, str] = {}

    def user(self, text: str, name: str | None = None) -> int:
        """The hash of a user or mailbox id, never 0; ``name`` is kept only to be revealed."""
        found = self.users.get(text)
        if found is not None and not self.reveals:
            return found
        if len(self.users) >= _CACHE:
            self.users.clear()
        value = self._hash(b"user", text.strip().casefold())
        self.users[text] = value
        if self.reveals:
            self.revealed[value] = name or text
        return value

    def network(self, address: str | None) -> str | None:
        """Site name, or hash of the /24 or /48 an address is in; None for servers' own."""
        if not address:
            return None
        try:
            return self._networks[address]
        except KeyError:
            pass
        if len(self._networks) >= _CACHE:
            self._networks.clear()
        self._networks[address] = name = self._network(address)
        return name

    def site(self, address: str | None) -> str | None:
        """The configured name of the site an address belongs to."""
        if not self._sites or not address:
            return None
        name = self.network(address)
        return None if name is None or name.startswith("net-") else name

    def _network(self, address: str) -> str | None:
        text = address.strip().strip("[]")
        if match := _IPV4.fullmatch(text):
            # Foreign users' last octet is masked as XXX; the prefix is what counts.
            text = ".".join((*match.groups(), "0"))
            masked = "x" in address.casefold()
            host: str | None = None if masked else address.split(":", maxsplit=1)[0]
        else:
            if "]:" in address:
                text = address.strip()[1:].split("]:")[0]
            host = text
        try:
            parsed = ipaddress.ip_address(text.split("%")[0])
            exact = parsed if host is None else ipaddress.ip_address(host.strip().split("%")[0])
        except ValueError:
            return None
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = exact = parsed.ipv4_mapped
        if any(parsed.version == n.version and parsed in n for n in _SERVERS):
            return None
        for network, name in self._sites:
            if exact.version == network.version and exact in network:
                return name
        bits = 24 if parsed.version == 4 else 48
        prefix = ipaddress.ip_network((parsed, bits), strict=False)
        return f"net-{self._hash(b'net', str(prefix)) & 0xFFFFFFFF:08x}"

    def _hash(self, person: bytes, text: str) -> int:
        digest = hashlib.blake2b(
            text.encode("utf-8", "replace"), digest_size=8, key=self._key, person=person
        ).digest()
        return int.from_bytes(digest, "big") or 1
