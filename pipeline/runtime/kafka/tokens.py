"""Tokens of Entra instead of a password: OAUTHBEARER."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kafka.net.sasl.oauth import AbstractTokenProvider

from connectors.auth import (
    AUTHORITIES,
    Application,
    ClientCertificate,
    ClientSecret,
    FederatedToken,
    Identity,
    Machine,
)
from pipeline.runtime.secret_files import (
    KAFKA_CLIENT_KEY_PASSWORD,
    KAFKA_CLIENT_SECRET,
    read_secret,
)

if TYPE_CHECKING:
    from connectors.auth import SignIn
    from pipeline.runtime.config_entra import Entra


class Tokens(AbstractTokenProvider):  # type: ignore[misc] # the client has no types
    """What the client asks at each connection, and again before a token's end."""

    def __init__(self, entra: Entra) -> None:
        super().__init__()
        self._identity, self._scope = identity(entra), entra.scope or ""

    def token(self) -> str:
        """A token that is valid now; raises what :meth:`connectors.auth.Identity.token` does."""
        return self._identity.token(self._scope)


def tokens(entra: Entra) -> Tokens:
    """The provider for a client, with a token in hand.

    Without one, the client would sign in on the thread of its connections, and would try again
    and again when that fails.

    Raises:
        AuthError: the sign-in is refused.
        ConfigError: a secret or a certificate cannot be read.
        RetriableError: the sign-in service does not answer.
    """
    provider = Tokens(entra)
    provider.token()
    return provider


@lru_cache(maxsize=8)
def identity(entra: Entra) -> Identity:
    """The identity that the section tells; all clients of a process share it and its tokens."""
    return Identity(_sign_in(entra))


def _sign_in(entra: Entra) -> SignIn:
    if entra.managed_identity:
        return Machine(entra.client_id)
    return Application(
        tenant=entra.tenant or "",
        client_id=entra.client_id or "",
        credential=_credential(entra),
        authority=entra.authority or AUTHORITIES[entra.cloud],
        ca_file=entra.ca_file,
    )


def _credential(entra: Entra) -> ClientSecret | ClientCertificate | FederatedToken:
    if entra.certificate_file is not None and entra.certificate_key_file is not None:
        return ClientCertificate(
            entra.certificate_file,
            entra.certificate_key_file,
            lambda: read_secret(
                entra.certificate_key_password_file,
                KAFKA_CLIENT_KEY_PASSWORD,
                f"{entra.certificate_key_file}: the key is encrypted, and its password",
                "kafka.oauth.certificate_key_password_file",
            ),
        )
    if entra.federated_token_file is not None:
        return FederatedToken(
            lambda: read_secret(
                entra.federated_token_file, "", "the federated token", "federated_token_file"
            )
        )
    return ClientSecret(
        lambda: read_secret(
            entra.secret_file, KAFKA_CLIENT_SECRET, "the client secret", "kafka.oauth.secret_file"
        )
    )
