"""Why a receiver of syslog takes nothing, in words, with what to do."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from connectors.kafka.trust import distrust
from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.kafka.trust import Distrust
    from connectors.sinks.syslog_connection import Receiver

_AGAIN_SECONDS: Final = 10.0
_TRUST: Final[Mapping[Distrust, str]] = {
    "early": "its certificate is not valid yet; check this machine's clock",
    "expired": "its certificate has expired; have it renewed, or check this machine's clock",
    "name": "its certificate is for another host name; write host as its certificate does",
    "unknown": "its certificate is from an authority that is not trusted; name that authority with "
    "ca_file, if the receiver is the right one",
    "other": "its certificate cannot be trusted",
}
# By the names of OpenSSL's alerts.
_OURS: Final = {
    "CERTIFICATE_EXPIRED": "our certificate has expired; renew certificate_file",
    "CERTIFICATE_REVOKED": "our certificate was revoked; have a new one made",
    "CERTIFICATE_REQUIRED": "it asks for a certificate of ours; name one with certificate_file",
    "PROTOCOL_VERSION": "it speaks no TLS 1.2 or newer; have that switched on there",
}
_OUR_CERTIFICATE: Final = (
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "UNKNOWN_CA",
    "HANDSHAKE_FAILURE",
    "ACCESS_DENIED",
)
# What comes back when the other side answers in the clear, or hangs up at our first byte.
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


def failure(receiver: Receiver, error: OSError) -> OutriderError:
    """What to raise for an error of a connection: fatal, or worth another try."""
    where = f"syslog at {receiver}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return AuthError(f"{where}: {_TRUST[distrust(error)]}")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        for name, told in _OURS.items():
            if reason.endswith(name):
                return AuthError(f"{where}: {told}")
        if reason.endswith(_OUR_CERTIFICATE):
            return AuthError(f"{where}: it does not take our certificate; check certificate_file")
        if reason in _NO_TLS:
            return FatalError(
                f'{where}: it speaks no TLS; check the port, or set transport = "tcp" if messages '
                "may be read on the way"
            )
    return RetriableError(f"{where}: {_passing(error)}", retry_after=_AGAIN_SECONDS)


def _passing(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name is not known; check host"
    if isinstance(error, TimeoutError):
        return "no answer in time; check that the port is open from here"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; check that it runs, and the port"
    if isinstance(error, (ConnectionError, ssl.SSLError)):
        return "it closed the connection; what it was sent last goes again"
    return f"cannot be reached ({error.strerror}); check the way to it"
