"""Why an Event Hubs namespace keeps us out, and what to do about each.

Seen in public: a wrong key ends the sign-in; network rules end it too, with "rejected by firewall
checks" under the code of a topic that is denied (azure-event-hubs-for-kafka issue 253); a missing
right, and a namespace of the tier Basic, deny the topics (README of the same repository); a role
on a hub alone closes the connection (issue 159).
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final

from kafka import errors as kafka_errors

from connectors.kafka.trouble import first_reason, trouble
from connectors.kafka.trust import distrust, tls_error
from pipeline.model.errors import (
    AuthError,
    ConfigError,
    FatalError,
    OutriderError,
    RetriableError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.kafka.trouble import Trouble
    from connectors.kafka.trust import Distrust
    from connectors.sources.event_hubs_login import Address, Login

_AGAIN_SECONDS: Final = 30.0
_ROLE: Final = "Azure Event Hubs Data Receiver"
_TIER: Final = "the tier Basic has no Kafka endpoint and refuses in the same way: use Standard"
_KEY: Final = (
    "the key is wrong, or was renewed; copy the connection string of the namespace's policy again "
    "(Shared access policies)"
)
_STRANGE: Final = (
    "it does not take our token; check that the namespace is in the cloud of 'microsoft.cloud' and "
    "in a subscription of the tenant that we sign in at"
)
_NETWORK: Final = (
    "its network rules do not let this machine in; allow its address under Networking of the "
    "namespace, or go through a private endpoint"
)
_LISTEN: Final = (
    "the policy of the connection string may not read {hubs}; give the policy of the namespace the "
    f"right Listen ({_TIER})"
)
_RECEIVE: Final = (
    "the application may not read {hubs}; assign it the role "
    f"'{_ROLE}' at the namespace (a new assignment takes up to 5 minutes; {_TIER})"
)
_MECHANISM: Final = "it does not know how we sign in; it is no Event Hubs namespace, or " + _TIER
_TROUBLE: Final[Mapping[Trouble, str]] = {
    "refused": "nothing listens there; check the name of the namespace, and the port",
    "unknown host": "the host name is not known; check the name of the namespace",
    "closed": "it closes the connection; if that goes on, a firewall may stand in between, the role "
    f"may be assigned at a hub instead of at the namespace, or: {_TIER}",
}
_TRUST: Final[Mapping[Distrust, str]] = {
    "early": "its certificate is not valid yet; check this machine's clock",
    "expired": "its certificate has expired; check this machine's clock",
    "name": "its certificate is for another host name; check the name of the namespace",
    "unknown": "its certificate is from an authority that is not trusted; behind a proxy that "
    "looks into TLS, name its authority with ca_file",
    "other": "its certificate cannot be trusted",
}
# The client puts whole requests beside the names of what is denied.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Gate:
    """What the ends of connections to a namespace mean."""

    def __init__(self, address: Address, login: Login) -> None:
        self._address, self._login = address, login

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
        if isinstance(error, kafka_errors.ThrottlingQuotaExceededError):
            return ThrottledError(
                f"{self._where}: asked too often; give the namespace more throughput units",
                retry_after=_AGAIN_SECONDS,
            )
        return RetriableError(f"{self._where}: {_passing(error)}", retry_after=_AGAIN_SECONDS)

    @property
    def _where(self) -> str:
        return f"Event Hubs at {self._address}"

    def _reason(self, error: BaseException) -> OutriderError | None:
        if isinstance(error, (FatalError, ConfigError)):
            return error  # of the sign-in for a token
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            return self.denied(_names(error))
        words = self._words(error)
        return None if words is None else AuthError(f"{self._where}: {words}")

    def _words(self, error: BaseException) -> str | None:
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
            text = str(error)
            if "firewall" in text.lower():
                return _NETWORK
            if kafka_errors.TopicAuthorizationFailedError.__name__ in text:
                return self._denial("its hubs")
            return _KEY if self._login.by_key else _STRANGE
        if isinstance(
            error,
            (kafka_errors.UnsupportedSaslMechanismError, kafka_errors.IllegalSaslStateError),
        ):
            return _MECHANISM
        found = tls_error(error)
        if isinstance(found, ssl.SSLCertVerificationError):
            return _TRUST[distrust(found)]
        return None

    def denied(self, hubs: list[str]) -> AuthError:
        """What to raise for hubs that are kept from us."""
        named = ", ".join(hubs) or "its hubs"
        return AuthError(f"{self._where}: {self._denial(named)}")

    def missing(self, hubs: list[str]) -> FatalError:
        """What to raise for hubs that are not there."""
        return FatalError(
            f"{self._where}: has no hub {', '.join(hubs)}; a diagnostic setting makes a hub with "
            "the first record of its category: check the setting and the name, or leave the hub out"
        )

    def silent(self) -> RetriableError:
        """What to raise where nothing comes although there is something."""
        return RetriableError(
            f"{self._where}: gives nothing although there is more; it may hold us back: look at "
            "its throttled requests, and give it more throughput units",
            retry_after=_AGAIN_SECONDS,
        )

    def _denial(self, hubs: str) -> str:
        return (_LISTEN if self._login.by_key else _RECEIVE).format(hubs=hubs)


def _names(error: BaseException) -> list[str]:
    found: set[str] = set()
    for argument in error.args:
        several = isinstance(argument, (set, frozenset, list, tuple))
        for name in argument if several else [argument]:
            if isinstance(name, str) and _NAME.fullmatch(name):
                found.add(name)
    return sorted(found)


def _passing(error: BaseException) -> str:
    """What may go away by itself, in words."""
    told = _TROUBLE.get(trouble(error))
    return told or f"no answer ({type(error).__name__}); check that port 9093 is open from here"
