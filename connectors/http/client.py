"""The one HTTP client of all connectors: every failure is one of ours, without a secret.

One call is one request: nothing here waits or tries again, but for one new token where a
service takes the old one no more. What to do after a failure is told by the error's class
(:mod:`pipeline.model.errors`) and its ``retry_after``.
"""

from __future__ import annotations

import gzip
import logging
import re
import ssl
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import requests

from connectors.certificates import load_authorities
from connectors.http.answers import (
    RETRY_SECONDS,
    Answer,
    RefusedError,
    asked_to_wait,
    failure,
    parse_http_date,
    told_code,
)
from pipeline.model.clock import SystemClock
from pipeline.model.errors import AuthError, ConfigError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from connectors.http.budget import Budget
    from pipeline.model.clock import Clock

_CONNECT_SECONDS: Final = 10.0
# Between two bytes of the answer: Graph takes up to a minute for a page.
_ANSWER_SECONDS: Final = 90.0
# What a header may hold as it is; anything else would come back in the error of a library.
_PLAIN: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_MOST_BYTES: Final = 256 * 2**20
_PIECE: Final = 1 << 16
_REFUSED: Final = HTTPStatus.UNAUTHORIZED

# It logs each request with its parameters, and so a shared access signature.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class Tokens(Protocol):
    """Who gives tokens: :class:`connectors.auth.Identity`."""

    def token(self, scope: str) -> str:
        """A token that is valid now."""
        ...

    def refuse(self, scope: str, token: str) -> None:
        """Hear that a service takes this token no more."""
        ...


class HttpClient:
    """Asks one service.

    Args:
        what: it is, for messages: ``"Microsoft Graph"``.
        root: its address, ``https://host``; requests and links to any other host are refused,
            as they would hand our token to a stranger.
        tokens: who gives tokens; None = the service asks for none.
        scope: of these tokens.
        budget: shared by all that ask this service.
        ca_file: authorities to trust; None = the usual ones.
        clock: tells how far the service's clock is from ours.
        secret: gives parameters that go with each request and show nowhere, such as a shared
            access signature.
        secret_headers: gives headers that go with each request and show nowhere, such as
            ``Authorization: Splunk ...``.
        timeout: seconds to wait between two bytes of an answer.
    """

    def __init__(
        self,
        what: str,
        root: str,
        *,
        tokens: Tokens | None = None,
        scope: str = "",
        budget: Budget | None = None,
        ca_file: Path | None = None,
        clock: Clock | None = None,
        secret: Callable[[], Mapping[str, str]] | None = None,
        secret_headers: Callable[[], Mapping[str, str]] | None = None,
        timeout: float = _ANSWER_SECONDS,
    ) -> None:
        self._what, self.root = what, root.rstrip("/")
        self._secret, self._secret_headers = secret, secret_headers
        self._timeout = (min(_CONNECT_SECONDS, timeout), timeout)
        self._tokens, self._scope, self._budget = tokens, scope, budget
        self._clock: Clock = clock or SystemClock()
        self._ca_file = ca_file
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Of the environment only the proxies count: ~/.netrc would replace our token.
        self._session.auth = _keep_header
        if ca_file is not None:
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)
        self.skew = timedelta(0)
        """How far the service's clock is ahead of ours, by its last answer."""

    @property
    def left(self) -> int | None:
        """Requests that the budget allows now; None = there is no budget."""
        return None if self._budget is None else self._budget.left

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        any_status: bool = False,
    ) -> Answer:
        """Ask for a path below the root, or for a link that the service gave.

        Args:
            path: to ask for.
            params: of the query.
            headers: to send.
            any_status: give every answer, whatever its status, to a caller who reads the service's
                own codes in it.

        Raises:
            ThrottledError: asked too often, by the budget or by the service.
            RetriableError: no answer, a broken one, or a failure of the service's own.
            AuthError: the token is refused, or the service's certificate is not to be trusted.
            RefusedError: anything else that the service refuses.
        """
        options = {"params": params, "headers": headers}
        return self._read("GET", path, options, any_status=any_status)

    def post(
        self,
        path: str,
        *,
        document: Any = None,
        body: bytes | None = None,
        packed: bool = False,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        any_status: bool = False,
    ) -> Answer:
        """Send a JSON document, bytes, or nothing; raises the same.

        Args:
            path: to send to.
            document: to send as JSON.
            body: to send as it is; ``headers`` tell its Content-Type.
            packed: send the body gzipped.
            params: of the query.
            headers: to send.
            any_status: as in :meth:`get`.
        """
        sent = dict(headers or {})
        if body is not None and packed:
            body = gzip.compress(body, mtime=0)
            sent["Content-Encoding"] = "gzip"
        options = {"params": params, "headers": sent, "json": document, "data": body}
        return self._read("POST", path, options, any_status=any_status)

    def wait(self, answer: Answer) -> float | None:
        """Seconds that an answer asks to wait (Retry-After); None = it asks for none."""
        return asked_to_wait(answer, self._clock.now() + self.skew)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _read(self, method: str, path: str, options: dict[str, Any], *, any_status: bool) -> Answer:
        answer, renewed = self._ask(method, self._url(path), options)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        trouble = self._failure(answer)
        if any_status:
            return answer
        if renewed and isinstance(trouble, RefusedError) and trouble.status == _REFUSED:
            raise AuthError(
                f"{self._what}: refuses a new token (HTTP 401{told_code(trouble.code)}); check that "
                "cloud and addresses fit the tenant, and this machine's clock"
            )
        raise trouble

    def _ask(self, method: str, url: str, options: dict[str, Any]) -> tuple[Answer, bool]:
        """The answer, and whether it is the one to a new token."""
        given = self._token()
        answer = self._once(method, url, given, options)
        if answer.status != _REFUSED or self._tokens is None or given is None:
            return answer, False
        if not isinstance(self._failure(answer), RefusedError):
            return answer, False
        # Revoked, or our clock is behind: a new one may do.
        self._tokens.refuse(self._scope, given)
        return self._once(method, url, self._token(), options), True

    def _url(self, path: str) -> str:
        url = path if "://" in path else f"{self.root}/{path.lstrip('/')}"
        ours, theirs = urlsplit(self.root), urlsplit(url)
        if (theirs.scheme, theirs.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
            raise RetriableError(
                f"{self._what}: gave a link to another address than {ours.netloc}; it is not "
                "followed, as our token would go there",
                retry_after=RETRY_SECONDS,
            )
        return url

    def _token(self) -> str | None:
        return None if self._tokens is None else self._tokens.token(self._scope)

    def _once(self, method: str, url: str, token: str | None, options: dict[str, Any]) -> Answer:
        if self._budget is not None:
            self._budget.take()
        headers = {"Accept": "application/json", **(options["headers"] or {}), **self._hidden()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        # Not in the address, which an answer holds and a message may tell.
        hidden = {} if self._secret is None else self._secret()
        params = {**(options["params"] or {}), **hidden}
        # Told with each request: REQUESTS_CA_BUNDLE would win over the session's own.
        verify = True if self._ca_file is None else str(self._ca_file)
        # Nothing that requests raises is kept as the cause: it holds the request, and so the token.
        try:
            with self._session.request(
                method,
                url,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                verify=verify,
                **{**options, "headers": headers, "params": params},
            ) as response:
                body = self._body(response)
        except requests.exceptions.RequestException as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise AuthError(
                    f"{self._what}: the certificate of {urlsplit(url).hostname} is not to be "
                    "trusted; behind a proxy that looks into TLS, name its authority with ca_file"
                ) from None
            raise RetriableError(
                f"{self._what}: no whole answer ({type(error).__name__}); check the network and "
                "HTTPS_PROXY",
                retry_after=RETRY_SECONDS,
            ) from None
        found = {k.lower(): v for k, v in response.headers.items()}
        self._look_at_clock(found)
        return Answer(url, response.status_code, found, body)

    def _hidden(self) -> dict[str, str]:
        """Headers that hold a secret; a library that refuses one would tell it."""
        found = {} if self._secret_headers is None else dict(self._secret_headers())
        for name, value in found.items():
            if not _PLAIN.fullmatch(value):
                raise ConfigError(
                    f"{self._what}: the secret in {name} holds a line end or a character that no "
                    "header may hold; check the file that it is read from"
                )
        return found

    def _body(self, response: requests.Response) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            if size > _MOST_BYTES:
                raise RetriableError(
                    f"{self._what}: an answer of more than {_MOST_BYTES >> 20} MiB is no page",
                    retry_after=RETRY_SECONDS,
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _look_at_clock(self, headers: Mapping[str, str]) -> None:
        with suppress(KeyError, ValueError):
            self.skew = parse_http_date(headers["date"]) - self._clock.now()

    def _failure(self, answer: Answer) -> Exception:
        error = failure(self._what, answer, self._clock.now() + self.skew)
        if isinstance(error, ThrottledError) and self._budget is not None:
            self._budget.hold(error.retry_after or RETRY_SECONDS)
        return error


def _keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
