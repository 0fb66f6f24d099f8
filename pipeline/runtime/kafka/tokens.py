"""Tokens of Entra instead of a password: OAUTHBEARER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.kafka.tokens import token_provider
from pipeline.runtime.identity import identity

if TYPE_CHECKING:
    from connectors.kafka.tokens import TokenProvider
    from pipeline.runtime.config_entra import Entra


def tokens(entra: Entra) -> TokenProvider:
    """The provider for a client, with a token in hand.

    Raises:
        AuthError: the sign-in is refused.
        ConfigError: a secret or a certificate cannot be read.
        RetriableError: the sign-in service does not answer.
    """
    return token_provider(identity(entra), entra.scope or "")
