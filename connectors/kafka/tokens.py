"""Tokens of Entra instead of a password: OAUTHBEARER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka.net.sasl.oauth import AbstractTokenProvider

if TYPE_CHECKING:
    from connectors.http.client import Tokens


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc] # the client has no types
    """What the client asks at each connection, and again before a token's end.

    Args:
        identity: who gives tokens.
        scope: of these tokens.
    """

    def __init__(self, identity: Tokens, scope: str) -> None:
        super().__init__()
        self._identity, self._scope = identity, scope
        self._shown = ""

    def token(self) -> str:
        """A token that is valid now; raises what :meth:`connectors.auth.Identity.token` does."""
        self._shown = self._identity.token(self._scope)
        return self._shown

    def refuse(self) -> None:
        """Hear that the last token was not taken: the next one is a new one."""
        self._identity.refuse(self._scope, self._shown)


def token_provider(identity: Tokens, scope: str) -> TokenProvider:
    """The provider for a client, with a token in hand.

    Without one, the client would sign in on the thread of its connections, and would try again
    and again when that fails.

    Raises:
        AuthError: the sign-in is refused.
        ConfigError: a secret or a certificate cannot be read.
        RetriableError: the sign-in service does not answer.
    """
    provider = TokenProvider(identity, scope)
    provider.token()
    return provider
