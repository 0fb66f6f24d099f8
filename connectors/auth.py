"""Tokens of Entra for everything that asks for one, by msal.

An :class:`Identity` keeps the token of each scope in memory and renews it at half its life, so
that half of it, some thirty minutes, is left to ride out an outage of the sign-in service
itself. Secrets are read anew at each sign-in: one that was changed on disk is used at once.

Most runs never sign in: msal, and the HTTP that it speaks, are imported by the first who does.
"""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from connectors.auth_errors import RETRY_SECONDS, refusal
from connectors.certificates import load_pair
from connectors.clouds import CLOUDS
from pipeline.model.clock import SystemClock
from pipeline.model.errors import AuthError, OutriderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pipeline.model.clock import Clock

Cloud: TypeAlias = Literal["public", "us_government", "china"]
# us_government is GCC High and DoD; both sign in at one address.
AUTHORITIES: Final[Mapping[str, str]] = {
    "public": CLOUDS["public"].login,
    "us_government": CLOUDS["gcc_high"].login,
    "china": CLOUDS["china"].login,
}
_APPLICATION: Final = "check tenant, client_id and scope"
_MACHINE: Final = (
    "give this machine an identity, or name one that it has with client_id, and check scope"
)
# With less than this left, the caller waits for the new token; before, a thread fetches it.
_SAFE: Final = timedelta(seconds=60)

# Its log lines may hold whole answers of the service.
logging.getLogger("msal").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; its text shows in no repr."""

    value: str = field(repr=False)
    got_at: datetime
    expires_at: datetime

    @property
    def renew_at(self) -> datetime:
        """When half of its life is over."""
        return self.got_at + (self.expires_at - self.got_at) / 2


class SignIn(Protocol):
    """A way to get a token."""

    def sign_in(self, scope: str) -> tuple[str, int]:
        """A token for ``scope``, and the seconds that it is valid.

        Raises:
            AuthError: the sign-in is refused.
            ConfigError: a secret or a certificate cannot be read.
            RetriableError: the service does not answer, or not now.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A shared secret; ``read`` gives it."""

    read: Callable[[], str]

    def for_msal(self) -> Any:
        """What msal wants to know of it."""
        return self.read()


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and its RSA key, PEM; ``read_password`` is called if the key is encrypted."""

    certificate: Path
    key: Path
    read_password: Callable[[], str]

    def for_msal(self) -> Any:
        """What msal wants to know of it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        password = load_pair(context, self.certificate, self.key, self.read_password)
        return {
            "private_key": self.key.read_text("ascii"),
            "public_certificate": self.certificate.read_text("ascii"),
            "passphrase": password,
        }


@dataclass(frozen=True, slots=True)
class FederatedToken:
    """A token of another issuer that the application trusts; ``read`` gives the newest."""

    read: Callable[[], str]

    def for_msal(self) -> Any:
        """What msal wants to know of it."""
        return {"client_assertion": self.read}


class Application:
    """Signs in as an application, with a credential of its own.

    Args:
        tenant: id or domain.
        client_id: of the application.
        credential: what proves that it is us.
        authority: address of the sign-in service; one of :data:`AUTHORITIES` or another.
        ca_file: authorities to trust for its certificate; None = the usual ones.
    """

    def __init__(
        self,
        *,
        tenant: str,
        client_id: str,
        credential: ClientSecret | ClientCertificate | FederatedToken,
        authority: str = AUTHORITIES["public"],
        ca_file: Path | None = None,
    ) -> None:
        self._tenant, self._client_id = tenant, client_id
        self._credential, self._authority = credential, authority.rstrip("/")
        self._ca_file = ca_file

    def sign_in(self, scope: str) -> tuple[str, int]:
        """See :class:`SignIn`."""
        import msal  # noqa: PLC0415 # 80 modules

        from connectors.auth_http import AuthHttp  # noqa: PLC0415 # the same

        who = f"sign-in of application {self._client_id} at {self._authority}/{self._tenant}"
        credential = self._credential.for_msal()
        with AuthHttp(who, _APPLICATION, self._ca_file) as http:
            # A new one each time: msal would keep a wrong answer for a minute, and the old secret.
            app = asked(
                who,
                msal.ConfidentialClientApplication,
                self._client_id,
                client_credential=credential,
                authority=f"{self._authority}/{self._tenant}",
                instance_discovery=False,  # the address is ours or the user's: nobody to ask
                http_client=http,
            )
            document = asked(who, app.acquire_token_for_client, [scope])
            return token_of(document, who, _APPLICATION)


class Machine:
    """Signs in as the Azure machine that this runs on.

    Args:
        client_id: of a user-assigned identity; None = the machine's own.
    """

    def __init__(self, client_id: str | None = None) -> None:
        self._client_id = client_id

    def sign_in(self, scope: str) -> tuple[str, int]:
        """See :class:`SignIn`."""
        import msal  # noqa: PLC0415 # 80 modules

        from connectors.auth_http import AuthHttp  # noqa: PLC0415 # the same

        who = "sign-in with the managed identity of this machine"
        identity: Any = (
            msal.SystemAssignedManagedIdentity()
            if self._client_id is None
            else msal.UserAssignedManagedIdentity(client_id=self._client_id)
        )
        with AuthHttp(who, _MACHINE) as http:
            client = msal.ManagedIdentityClient(identity, http_client=http)
            resource = scope.removesuffix("/.default")
            document = asked(who, client.acquire_token_for_client, resource=resource)
            return token_of(document, who, _MACHINE)


class Identity:
    """Who we are in Entra: a token for each scope, fresh at any time, from any thread.

    Args:
        sign_in: the way to get a token.
        clock: tells when a token gets old.
    """

    def __init__(self, sign_in: SignIn, *, clock: Clock | None = None) -> None:
        self._sign_in = sign_in
        self._clock: Clock = clock or SystemClock()
        self._held: dict[str, Token] = {}
        self._again_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def token(self, scope: str) -> str:
        """An access token for ``scope`` that is valid now.

        Raises:
            AuthError: the sign-in is refused; the message tells what to do.
            ConfigError: a secret or a certificate cannot be read.
            ThrottledError: the service asks for fewer requests.
            RetriableError: the service does not answer.
        """
        held, now = self._held.get(scope), self._clock.now()
        if held is not None:
            if now < held.renew_at:
                return held.value
            if now < held.expires_at - _SAFE:
                # The caller may be a thread that must not wait, such as that of a connection.
                if now >= self._again_at.get(scope, now):
                    self._again_at[scope] = now + timedelta(seconds=RETRY_SECONDS)
                    threading.Thread(target=self._renew, args=(scope,), daemon=True).start()
                return held.value
        return self._fetch(scope, held).value

    def refuse(self, scope: str, token: str) -> None:
        """Hear that a service takes ``token`` no more: the next one asked for is a new one."""
        with self._lock:
            held = self._held.get(scope)
            if held is not None and held.value == token:
                del self._held[scope]

    def _fetch(self, scope: str, old: Token | None) -> Token:
        with self._lock:
            held = self._held.get(scope)
            if held is not None and held is not old:
                return held  # another thread was first
            began = self._clock.now()
            value, seconds = self._sign_in.sign_in(scope)
            made = Token(value, began, began + timedelta(seconds=seconds))
            self._held[scope] = made
            self._again_at.pop(scope, None)
            return made

    def _renew(self, scope: str) -> None:
        try:
            self._fetch(scope, self._held.get(scope))
        except OutriderError:
            return  # the old one is still good; whoever finds it too old is told


def asked(who: str, call: Any, *args: Any, **options: Any) -> Any:
    """What ``call`` of msal gives.

    Raises:
        AuthError: it raised something that is no error of ours.
    """
    try:
        return call(*args, **options)
    except OutriderError:
        raise
    except Exception as error:  # noqa: BLE001 # msal, and what it signs with, raise anything
        raise AuthError(
            f"{who}: could not be made ({type(error).__name__}); the key of a certificate must be "
            "RSA, and tenant and authority those of the application"
        ) from None


def token_of(document: Mapping[str, Any], who: str, remedy: str) -> tuple[str, int]:
    """The token in an answer of msal, and the seconds that it is valid.

    Raises:
        OutriderError: there is none: by :func:`connectors.auth_errors.refusal`.
    """
    token = document.get("access_token")
    if not isinstance(token, str):
        raise refusal(document, who, remedy)
    return token, int(document.get("expires_in", 0))
