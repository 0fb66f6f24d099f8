"""Whether an address is reached: its name, its port, and whom its certificate is of."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from connectors.certificates import load_authorities
from connectors.kafka.trust import distrust
from pipeline.model.errors import ConfigError
from pipeline.runtime.checking.finding import Finding, State, of_error, skipped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connectors.kafka.trust import Distrust
    from pipeline.model.clock import Clock

_SECONDS: Final = 5.0
# Services renew theirs by themselves; so few days before its end, one of them has not.
_FEW_DAYS: Final = 7
_TRUST: Final[Mapping[Distrust, tuple[str, str]]] = {
    "early": ("its certificate is not valid yet", "set this machine's clock"),
    "expired": (
        "its certificate has expired",
        "set this machine's clock if it is off; else its owner has to renew the certificate",
    ),
    "name": (
        "its certificate is for another host name",
        "check the address; something else may answer in its place",
    ),
    "unknown": (
        "its certificate is from an authority that is not trusted",
        "behind a proxy that looks into TLS, name its authority with ca_file",
    ),
    "other": ("its certificate cannot be trusted", "ask its owner to look at the certificate"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service listens.

    Attributes:
        host, port: of it.
        tls: whether it is spoken to through TLS.
        url: by which HTTP asks it, for proxies; empty if it is not asked by HTTP.
        ca_file: authorities to trust; None = the usual ones.
    """

    host: str
    port: int
    tls: bool = True
    url: str = ""
    ca_file: Path | None = None

    @classmethod
    def of(cls, url: str, ca_file: Path | None = None) -> Place:
        """The place of ``https://host[:port]/...``."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls, url, ca_file)


def reached(where: str, place: Place, clock: Clock) -> list[Finding]:
    """Look whether a place is reached; the last finding is ok or a warning if it is."""
    if place.url and get_environ_proxies(place.url):
        told = "through the proxy of HTTPS_PROXY, which looks the name up"
        return [Finding(where, "name", State.OK, told)]
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError:
        return [
            Finding(
                where,
                "name",
                State.FAIL,
                f"{place.host}: nobody knows this name",
                "check the address in the configuration, and this machine's name servers (DNS); "
                "behind a proxy, set HTTPS_PROXY",
            ),
            skipped(where, "TLS" if place.tls else "port", "the name is not known"),
        ]
    numbers = {item[4][0] for item in found}
    count = f"{len(numbers)} address{'es' if len(numbers) > 1 else ''}"
    name = Finding(where, "name", State.OK, f"{place.host}: {count}")
    return [name, _connected(where, place, clock)]


def _connected(where: str, place: Place, clock: Clock) -> Finding:
    what, named = "TLS" if place.tls else "port", f"{place.host}:{place.port}"
    try:
        context = _context(place)
        with socket.create_connection((place.host, place.port), timeout=_SECONDS) as plain:
            if context is None:
                return Finding(where, what, State.OK, f"{named} listens, without TLS")
            with context.wrap_socket(plain, server_hostname=place.host) as secure:
                return _certificate(where, named, secure, clock)
    except ConfigError as error:
        return of_error(where, what, error)
    except ssl.SSLCertVerificationError as error:
        told, remedy = _TRUST[distrust(error)]
        return Finding(where, what, State.FAIL, f"{named}: {told}", remedy)
    except ssl.SSLError:
        return Finding(
            where,
            what,
            State.FAIL,
            f"{named}: what listens there speaks no TLS that we know",
            "check host and port, and what stands between this machine and the service",
        )
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        told = "nothing listens there" if refused else "no connection within 5 s"
        return Finding(
            where,
            what,
            State.FAIL,
            f"{named}: {told}",
            f"check the address, and let firewalls pass TCP {place.port} to it",
        )


def _context(place: Place) -> ssl.SSLContext | None:
    if not place.tls:
        return None
    if place.ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_authorities(context, place.ca_file)
        return context
    if not place.url:  # Kafka's client trusts what the machine trusts
        return ssl.create_default_context()
    # What requests trusts, in its order.
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return ssl.create_default_context(cafile=named or DEFAULT_CA_BUNDLE_PATH)


def _certificate(where: str, named: str, secure: ssl.SSLSocket, clock: Clock) -> Finding:
    shown = secure.getpeercert() or {}
    version = secure.version() or "TLS"
    if "notAfter" not in shown:
        return Finding(where, "TLS", State.OK, f"{named}: {version}")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    days = (ends - clock.now()).days
    told = f"{named}: {version}, its certificate is good for {days} more days"
    if days < _FEW_DAYS:
        remedy = "its owner has to renew the certificate, or nothing is read from then on"
        return Finding(where, "TLS", State.WARN, told, remedy)
    return Finding(where, "TLS", State.OK, told)
