"""A person signs in for us with a code, in any browser: for a first try, without a credential.

Microsoft identity platform, "OAuth 2.0 device authorization grant" (RFC 8628). What the person
may read, we may read; refresh tokens live in memory, so a restart asks again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import msal

from connectors.auth import asked, token_of
from connectors.auth_http import AuthHttp
from pipeline.model.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_REMEDY: Final = (
    "enter the code in time, and let the application sign people in with a code (allow public "
    "client flows in its registration)"
)


class DeviceCode:
    """Signs in as the person who enters a code.

    Args:
        tenant: id or domain.
        client_id: of the application, which has to allow public client flows.
        tell: shows the person where to enter which code.
        authority: address of the sign-in service.
        ca_file: authorities to trust for its certificate; None = the usual ones.
    """

    def __init__(
        self,
        *,
        tenant: str,
        client_id: str,
        tell: Callable[[str], None],
        authority: str,
        ca_file: Path | None = None,
    ) -> None:
        self._tenant, self._client_id, self._tell = tenant, client_id, tell
        self._authority, self._ca_file = authority.rstrip("/"), ca_file
        self._app: Any = None
        self._lock = threading.Lock()

    def sign_in(self, scope: str) -> tuple[str, int]:
        """See :class:`connectors.auth.SignIn`; waits for the person, up to 15 minutes."""
        who = f"sign-in of a person at {self._authority}/{self._tenant}"
        # One question at a time: the answer to the first one is good for the others.
        with self._lock:
            app = self._opened(who)
            known = app.get_accounts()
            if known:
                document = asked(who, app.acquire_token_silent, [scope], known[0])
                if document and "access_token" in document:
                    return token_of(document, who, _REMEDY)
            flow = asked(who, app.initiate_device_flow, scopes=[scope])
            if "user_code" not in flow:
                raise AuthError(f"{who}: no code was given; {_REMEDY}")
            self._tell(
                f"to let outrider read as you, open {flow['verification_uri']} and enter the "
                f"code {flow['user_code']}"
            )
            document = asked(who, app.acquire_token_by_device_flow, flow)
            return token_of(document, who, _REMEDY)

    def _opened(self, who: str) -> Any:
        if self._app is None:
            self._app = asked(
                who,
                msal.PublicClientApplication,
                self._client_id,
                authority=f"{self._authority}/{self._tenant}",
                instance_discovery=False,  # the address is ours or the user's: nobody to ask
                http_client=AuthHttp(who, _REMEDY, self._ca_file),
            )
        return self._app
