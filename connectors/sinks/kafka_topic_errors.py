"""Why the brokers of a topic take nothing, in words, with what to do."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from kafka import errors as kafka_errors

from connectors.kafka.trouble import first_reason, trouble
from connectors.kafka.trust import distrust, tls_error
from pipeline.model.errors import AuthError, ConfigError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.kafka.trouble import Trouble
    from connectors.kafka.trust import Distrust

_AGAIN_SECONDS: Final = 10.0
_TROUBLE: Final[Mapping[Trouble, str]] = {
    "refused": "nothing listens there; check that it runs, and the port",
    "unknown host": "the host name is not known; check servers",
    "closed": "the broker closes the connection; if that goes on, its listener may want something "
    "else than security says",
}
_TRUST: Final[Mapping[Distrust, str]] = {
    "early": "the broker's certificate is not valid yet; check this machine's clock",
    "expired": "the broker's certificate has expired; have it renewed, or check this machine's "
    "clock",
    "name": "the broker's certificate is for another host name; name the broker in servers (and in "
    "its advertised.listeners) as its certificate does",
    "unknown": "the broker's certificate is from an authority that is not trusted; name that "
    "authority with ca_file, if the broker is the right one",
    "other": "the broker's certificate cannot be trusted",
}
_LOGIN: Final = (
    "the user name, the password or the token is not taken; check them, and that the broker has "
    "the user for this sasl_mechanism"
)
_WRITE: Final = "we may not write to it; give our user the operations Describe and Write on it"
_IDEMPOTENT: Final = (
    "we may not write so that nothing is doubled; give our user IdempotentWrite on the cluster "
    "(brokers before 3.0 ask for it)"
)


class Gate:
    """What the ends of connections to some brokers mean.

    Args:
        servers: the brokers, for messages.
        topic: that is written to.
    """

    def __init__(self, servers: str, topic: str) -> None:
        self._where, self._topic = f"Kafka at {servers}", topic

    def reason(self, error: BaseException) -> OutriderError | None:
        """What to raise if waiting does not help, else None."""
        return first_reason(error, self._reason)

    def told(self, reason: OutriderError | None) -> None:
        """See :class:`connectors.kafka.watching.Gate`; nothing is kept."""

    def failure(self, error: BaseException) -> OutriderError:
        """What to raise for an error of the client: fatal, or worth another try."""
        reason = self.reason(error)
        if reason is not None:
            return reason
        if isinstance(error, RetriableError):
            return error  # of the sign-in for a token
        told = _TROUBLE.get(trouble(error))
        words = told or f"no answer ({type(error).__name__}); check that the brokers are well"
        return RetriableError(f"{self._where}: {words}", retry_after=_AGAIN_SECONDS)

    def missing(self) -> FatalError:
        """What to raise where there is no such topic."""
        return FatalError(
            f"{self._where}: has no topic {self._topic}; make it, or name another with topic"
        )

    def denied(self) -> AuthError:
        """What to raise where the topic is kept from us."""
        return AuthError(f"{self._where}: {self._topic}: {_WRITE}")

    def _reason(self, error: BaseException) -> OutriderError | None:
        if isinstance(error, ConfigError):
            return FatalError(str(error))
        if isinstance(error, FatalError):
            return error  # of the sign-in for a token
        if isinstance(error, kafka_errors.ClusterAuthorizationFailedError):
            return AuthError(f"{self._where}: {_IDEMPOTENT}")
        if isinstance(error, kafka_errors.AuthorizationError):
            return self.denied()
        words = self._words(error)
        return None if words is None else AuthError(f"{self._where}: {words}")

    @staticmethod
    def _words(error: BaseException) -> str | None:
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
            return _LOGIN
        if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
            return "the broker does not know this sasl_mechanism; set one that its listener has"
        if isinstance(error, kafka_errors.IllegalSaslStateError):
            return "this listener wants no SASL; set security without it, or name another port"
        found = tls_error(error)
        if isinstance(found, ssl.SSLCertVerificationError):
            return _TRUST[distrust(found)]
        if found is not None and "CERTIFICATE" in (found.reason or ""):
            return "the broker does not take our certificate; check certificate_file"
        return None
