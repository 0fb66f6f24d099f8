"""How msal speaks HTTP here: every failure is one of ours, with its remedy and without a secret."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import requests

from connectors.auth_errors import RETRY_SECONDS, refusal
from connectors.certificates import load_authorities
from pipeline.model.errors import AuthError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

# What a sign-in with a code answers until the person has entered it (RFC 8628, section 3.5).
_WAITING: Final = frozenset({"authorization_pending", "slow_down"})
_TIMEOUT: Final = (5.0, 10.0)  # seconds to connect, and between two bytes of the answer


class AuthHttp:
    """The HTTP client that msal is given: time-outs, verified certificates, our errors.

    Args:
        who: signs in where, for messages.
        remedy: for refusals that carry no AADSTS code.
        ca_file: authorities to trust; None = the usual ones.

    Raises:
        ConfigError: that file holds none.
    """

    def __init__(self, who: str, remedy: str, ca_file: Path | None = None) -> None:
        self._who, self._remedy, self._session = who, remedy, requests.Session()
        self._ca_file = ca_file
        if ca_file is not None:
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, url: str, **options: Any) -> requests.Response:
        """Answer of ``url``; raises what :class:`connectors.auth.SignIn` tells."""
        return self._ask("GET", url, options)

    def post(self, url: str, **options: Any) -> requests.Response:
        """Answer to a form that is sent to ``url``; raises the same."""
        return self._ask("POST", url, options)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _ask(self, method: str, url: str, options: dict[str, Any]) -> requests.Response:
        # Nothing that requests raises is kept as the cause: it holds the request, and so the secret.
        try:
            # Told with each request: REQUESTS_CA_BUNDLE would win over the session's own.
            verify = True if self._ca_file is None else str(self._ca_file)
            answer = self._session.request(
                method, url, timeout=_TIMEOUT, allow_redirects=False, verify=verify, **options
            )
        except requests.exceptions.RequestException as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise AuthError(
                    f"{self._who}: the certificate of the service is not to be trusted; behind a "
                    "proxy that looks into TLS, name its authority with ca_file"
                ) from None
            raise RetriableError(
                f"{self._who}: no answer ({type(error).__name__}); check the network and HTTPS_PROXY",
                retry_after=RETRY_SECONDS,
            ) from None
        self._check(answer)
        return answer

    def _check(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _seconds(answer.headers.get("Retry-After"))
            raise ThrottledError(f"{self._who}: asked too often", retry_after=wait)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = _seconds(answer.headers.get("Retry-After"))
            raise RetriableError(f"{self._who}: answered HTTP {status}", retry_after=wait)
        try:
            document = json.loads(answer.text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise RetriableError(
                f"{self._who}: answered HTTP {status} without JSON; is there a proxy in between?",
                retry_after=RETRY_SECONDS,
            )
        if document.get("error") in _WAITING:
            return
        if status >= HTTPStatus.BAD_REQUEST:
            raise refusal(document, self._who, self._remedy)


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdigit() else RETRY_SECONDS
