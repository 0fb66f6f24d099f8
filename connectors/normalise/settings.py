"""What normalising needs to know beside the records."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_KEY = 64  # what keyed BLAKE2b takes (RFC 7693, section 2.9)


@dataclass(frozen=True, slots=True)
class NormaliseSettings:
    """Settings of one run; small and picklable, so that worker processes share them.

    Attributes:
        key: secret of the keyed hash of users and network prefixes, 1 to 64 bytes.
        tenant: tenant of records that name none (Graph v1.0 names none); may be empty.
        site_names: address prefix in CIDR form to the name of the site that uses it.
        reveal: whether to hand the names behind the hashes back beside the events.

    Raises:
        ConfigError: the key is missing or too long, or a site is no address prefix.
    """

    key: bytes = field(repr=False)
    tenant: str = ""
    site_names: Mapping[str, str] = field(default_factory=dict)
    reveal: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.key) <= _MAX_KEY:
            raise ConfigError(f"privacy key: want 1 to {_MAX_KEY} bytes, got {len(self.key)}")
        for prefix in self.site_names:
            try:
                ipaddress.ip_network(prefix, strict=False)
            except ValueError:
                raise ConfigError(
                    f"site {prefix!r}: want an address prefix such as 192.0.2.0/24"
                ) from None
