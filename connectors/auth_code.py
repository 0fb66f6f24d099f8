"""A person signs in to us with their browser, at Entra: OpenID Connect, by msal.

Microsoft identity platform, "OAuth 2.0 authorization code flow", with PKCE, state and nonce.
The ID token comes from the token endpoint itself over verified TLS, which stands for its
signature (OpenID Connect Core 1.0, section 3.1.3.7, point 6); all else of it is checked here.
"""

from __future__ import annotations

import re
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

import msal

from connectors.auth import asked
from connectors.auth_errors import refusal
from connectors.auth_http import AuthHttp
from pipeline.model.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connectors.auth import ClientCertificate, ClientSecret, FederatedToken

_REMEDY: Final = "check tenant, client_id and the credential of serve.oidc"
_SKEW_SECONDS: Final = 120
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The scopes openid, profile and offline_access are msal's own; the last is of no use here.
_LEFT_OUT: Final = ["offline_access"]


class SignInPage:
    """Sends people to the sign-in page of a tenant and reads what they bring back.

    Args:
        tenant: id or domain.
        client_id: of the application.
        credential: what proves to the token endpoint that it is us.
        authority: address of the sign-in service.
        redirect: where it sends people back to; registered with the application.
        ca_file: authorities to trust for its certificate; None = the usual ones.
    """

    def __init__(
        self,
        *,
        tenant: str,
        client_id: str,
        credential: ClientSecret | ClientCertificate | FederatedToken,
        authority: str,
        redirect: str,
        ca_file: Path | None = None,
    ) -> None:
        self._tenant, self._client_id, self._credential = tenant, client_id, credential
        self._authority, self._redirect = authority.rstrip("/"), redirect
        self._ca_file = ca_file
        self._who = f"sign-in of people at {self._authority}/{tenant}"

    def begin(self) -> tuple[str, dict[str, Any]]:
        """Where to send a browser, and what to remember until it is back.

        Raises:
            OutriderError: see :class:`connectors.auth.SignIn`.
        """
        with AuthHttp(self._who, _REMEDY, self._ca_file) as http, warnings.catch_warnings():
            # msal prefers a form that another site posts; no cookie that is kept from other
            # sites comes with it. The code in the address is good once, and for us alone (PKCE).
            warnings.simplefilter("ignore", UserWarning)
            flow = asked(
                self._who,
                self._app(http).initiate_auth_code_flow,
                [],
                redirect_uri=self._redirect,
                response_mode="query",
            )
        return str(flow.pop("auth_uri")), flow

    def finish(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> dict[str, Any]:
        """The claims of a person who came back.

        Args:
            flow: of :meth:`begin`.
            answer: the query that they came back with.

        Raises:
            AuthError: the sign-in was refused, or the answer belongs to another one.
            OutriderError: see :class:`connectors.auth.SignIn`.
        """
        with AuthHttp(self._who, _REMEDY, self._ca_file) as http:
            try:
                told = self._app(http).acquire_token_by_auth_code_flow(dict(flow), dict(answer))
            except (ValueError, RuntimeError, KeyError):
                # Their texts hold tokens and names.
                raise AuthError(
                    f"{self._who}: the answer belongs to another sign-in; begin anew"
                ) from None
        claims = told.get("id_token_claims")
        if not isinstance(claims, dict):
            raise refusal(told, self._who, _REMEDY)
        self._check(claims)
        return claims

    def _app(self, http: AuthHttp) -> Any:
        return asked(
            self._who,
            msal.ConfidentialClientApplication,
            self._client_id,
            client_credential=self._credential.for_msal(),
            authority=f"{self._authority}/{self._tenant}",
            instance_discovery=False,  # the address is ours or the user's: nobody to ask
            exclude_scopes=_LEFT_OUT,
            http_client=http,
        )

    def _check(self, claims: Mapping[str, Any]) -> None:
        """See that the token is for us, of this tenant, and fresh; msal has compared the nonce."""
        tenant, issuer, now = str(claims.get("tid", "")), str(claims.get("iss", "")), time.time()
        until = claims.get("exp")
        good = (
            claims.get("aud") == self._client_id
            and _GUID.fullmatch(tenant) is not None
            and issuer.endswith(f"/{tenant}/v2.0")
            and isinstance(until, int | float)
            and until + _SKEW_SECONDS > now
            and claims.get("nbf", 0) - _SKEW_SECONDS < now
        )
        if good and _GUID.fullmatch(self._tenant):
            good = tenant.lower() == self._tenant.lower()
        if not good:
            raise AuthError(
                f"{self._who}: the ID token is for somebody else or of another time; check tenant "
                "and client_id, and set this machine's clock"
            )
