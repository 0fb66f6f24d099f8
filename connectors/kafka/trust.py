"""Why a broker's certificate is not to be trusted, by OpenSSL's own codes."""

from __future__ import annotations

import ssl
from typing import Final, Literal, TypeAlias

Distrust: TypeAlias = Literal["early", "expired", "name", "unknown", "other"]

# X509_V_ERR codes of OpenSSL, which are part of its interface.
_UNKNOWN: Final = frozenset({2, 18, 19, 20, 21})
_VERIFY: Final[dict[int, Distrust]] = {9: "early", 10: "expired", 62: "name", 64: "name"}


def tls_error(error: BaseException) -> ssl.SSLError | None:
    """OpenSSL's error in one of the client's, which wraps it or raises its own meanwhile."""
    for found in (error, error.__cause__, error.__context__):
        if isinstance(found, ssl.SSLError):
            return found
    return None


def distrust(error: ssl.SSLCertVerificationError) -> Distrust:
    """What is wrong with a certificate: not valid yet, expired, another name, nobody's."""
    code = error.verify_code
    return _VERIFY.get(code, "unknown" if code in _UNKNOWN else "other")
