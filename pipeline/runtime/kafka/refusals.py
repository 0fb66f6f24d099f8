"""Why brokers keep us out: the client's and OpenSSL's errors in words, with what to do.

Those for which waiting does not help become fatal; anything else is worth another try.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Final

from kafka import errors as kafka_errors

from connectors.kafka.trouble import trouble
from connectors.kafka.trust import distrust, tls_error
from pipeline.model.errors import AuthError, ConfigError, FatalError, OutriderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.kafka.trouble import Trouble
    from connectors.kafka.trust import Distrust
    from pipeline.runtime.config import Kafka

PAGE: Final = "docs/kafka-security.md"
_TRUST: Final[Mapping[Distrust, str]] = {
    "early": "the broker's certificate is not valid yet; check this machine's clock, or have the "
    "certificate made anew",
    "expired": "the broker's certificate has expired; have it renewed, or check this machine's "
    "clock",
    "name": "the broker's certificate is for another host name; name the broker in kafka.servers "
    "(and in its advertised.listeners) as its certificate does",
    "unknown": "the broker's certificate is from an authority that is not trusted; name that "
    "authority with kafka.ca_file, if the broker is the right one",
    "other": "the broker's certificate cannot be trusted",
}
_TROUBLE: Final[Mapping[Trouble, str]] = {
    "refused": "nothing listens there; check that it runs, and the port",
    "unknown host": "the host name is not known; check kafka.servers",
    "closed": "the broker closes the connection; if that goes on, its listener may want something "
    "else than kafka.security says",
}
_ALERTS: Final = {
    "CERTIFICATE_EXPIRED": "our certificate has expired; renew kafka.certificate_file",
    "CERTIFICATE_REVOKED": "our certificate was revoked; have a new one made",
    "PROTOCOL_VERSION": "the broker speaks no TLS 1.2 or newer; have its ssl.enabled.protocols set",
}
_CERTIFICATE_ALERTS: Final = (
    "BAD_CERTIFICATE",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "UNKNOWN_CA",
    "HANDSHAKE_FAILURE",
    "ACCESS_DENIED",
)
_LOGIN: Final = (
    "the user name or the password is wrong; check kafka.username and kafka.password_file, and "
    "that the broker has the user for {mechanism}"
)
_OAUTH: Final = (
    "the broker does not take our token; check kafka.oauth.scope against the audience that the "
    "broker expects, and its issuer"
)
# The client puts whole requests beside the names of what is denied.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ACCESS: Final = (
    (kafka_errors.TopicAuthorizationFailedError, "a topic"),
    (kafka_errors.GroupAuthorizationFailedError, "a consumer group"),
    (kafka_errors.TransactionalIdAuthorizationFailedError, "a transactional id"),
    (kafka_errors.ClusterAuthorizationFailedError, "the cluster"),
)


def fatal_reason(config: Kafka, error: BaseException) -> OutriderError | None:
    """What to raise if waiting does not help, else None.

    Args:
        config: of the broker.
        error: what the client raised, or what a connection ended with.
    """
    reasons = (_reason(config, found) for found in (error, *_wrapped(error)))
    return next((reason for reason in reasons if reason is not None), None)


def _reason(config: Kafka, error: BaseException) -> OutriderError | None:
    if isinstance(error, (FatalError, ConfigError)):
        return error  # of the sign-in for a token
    if isinstance(error, kafka_errors.AuthorizationError):
        return _denied(config, error)
    where = f"Kafka at {', '.join(config.servers)}"
    if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
        words = _OAUTH if config.tokens else _LOGIN.format(mechanism=config.sasl_mechanism)
        return AuthError(f"{where}: {words}")
    if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        return ConfigError(
            f"{where}: the broker does not know {config.sasl_mechanism}; set kafka.sasl_mechanism "
            "to one that its listener has enabled"
        )
    if isinstance(error, kafka_errors.IllegalSaslStateError):
        return ConfigError(
            f"{where}: this listener of the broker wants no SASL; set kafka.security to "
            f"{'SSL' if config.tls else 'PLAINTEXT'}, or name another port"
        )
    found = tls_error(error)
    told = None if found is None else _tls_words(config, found)
    return None if told is None else AuthError(f"{where}: {told}")


def unreadable(config: Kafka, topic: str) -> AuthError:
    """What to raise for a topic whose settings the broker leaves out."""
    denied = kafka_errors.TopicAuthorizationFailedError(topic)
    return _denied(config, denied, "the settings of a topic")


def unseen(config: Kafka, described: Mapping[str, Any]) -> OutriderError:
    """What to raise for a topic that the broker does not list: kept from us, or not there.

    Args:
        config: of the broker.
        described: what it answers when asked for that topic by name.
    """
    name, denied = described["name"], kafka_errors.TopicAuthorizationFailedError
    if described["error_code"] == denied.errno:
        return _denied(config, denied(name))
    return ConfigError(f"topic {name} does not exist; run 'outrider kafka init' first")


def passing_reason(error: BaseException) -> str:
    """What may go away by itself, in words."""
    if isinstance(error, OutriderError):
        return str(error)
    told = _TROUBLE.get(trouble(error))
    if told is not None:
        return told
    told_by = next(_wrapped(error), error)
    return f"{type(told_by).__name__}; check that it runs and lets us in"


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """What an error comes from: the client wraps some in a ``KafkaError`` that says nothing."""
    return (found for found in error.args if isinstance(found, BaseException))


def _denied(
    config: Kafka, error: kafka_errors.AuthorizationError, kind: str | None = None
) -> AuthError:
    if kind is None:
        kind = next((words for cls, words in _ACCESS if isinstance(error, cls)), "something")
    names = sorted({name for argument in error.args for name in _names(argument)})
    named = f" ({', '.join(names)})" if names else ""
    return AuthError(
        f"Kafka at {', '.join(config.servers)}: access to {kind}{named} is denied; have the access "
        f"rules (ACLs) of this role added, as {PAGE} lists them"
    )


def _names(argument: object) -> list[str]:
    found = argument if isinstance(argument, (set, frozenset, list, tuple)) else [argument]
    return [name for name in found if isinstance(name, str) and _NAME.fullmatch(name)]


def _tls_words(config: Kafka, error: ssl.SSLError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _TRUST[distrust(error)]
    reason = error.reason or ""
    if "ALERT" not in reason:
        return None
    for alert, words in _ALERTS.items():
        if reason.endswith(alert):
            return words
    if not reason.endswith(_CERTIFICATE_ALERTS):
        return None
    if config.certificate_file is None:
        return (
            "the broker asks for a certificate; name ours with kafka.certificate_file and "
            "kafka.certificate_key_file"
        )
    return (
        "the broker does not take our certificate; use one of an authority that it trusts "
        "(its ssl.truststore)"
    )
