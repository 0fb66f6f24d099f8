"""The one HTTP client of all connectors: every failure is one of ours, without a secret.

One call is one request: nothing here waits or tries again, but for one new token where a
service takes the old one no more. What to do after a failure is told by the error's class
(:mod:`pipeline.model.errors`) and its ``retry_after``.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import requests

from connectors.certificates import load_authorities
from pipeline.model.clock import SystemClock
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from connectors.http.budget import Budget
    from pipeline.model.clock import Clock

RETRY_SECONDS: Final = 30.0
# A service that names an hour means it; one that names a year has a broken clock.
MOST_RETRY_SECONDS: Final = 3600.0
# Seconds to connect, and between two bytes of the answer: Graph takes up to a minute for a page.
_TIMEOUT: Final = (10.0, 90.0)
_MOST_BYTES: Final = 256 * 2**20
_PIECE: Final = 1 << 16
_CODE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_CODE_IN_XML: Final = re.compile(r"<Code>\s*([A-Za-z0-9]{1,80})\s*</Code>")
# Azure Storage says so when an account is asked more than it may be.
_BUSY: Final = "ServerBusy"

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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered with success.

    Attributes:
        url: that was asked.
        status: of HTTP, 200 to 299.
        headers: by name in lower case.
        body: unpacked.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def document(self, what: str) -> Any:
        """The body as JSON.

        Raises:
            RetriableError: it is none; ``what`` was asked for.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise RetriableError(
                f"{what}: answered HTTP {self.status} without JSON; is there a proxy in between?",
                retry_after=RETRY_SECONDS,
            ) from None


class RefusedError(FatalError):
    """A request that the service refuses, and will refuse again as it stands.

    Attributes:
        status: of HTTP.
        code: of the service, empty if it gave none.
        text: the service's words, for whoever tells refusals apart; never to be shown, as
            they may quote what was sent.
    """

    def __init__(self, message: str, *, status: int, code: str, text: str) -> None:
        super().__init__(message)
        self.status, self.code, self.text = status, code, text


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
    ) -> None:
        self._what, self.root = what, root.rstrip("/")
        self._secret = secret
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
    ) -> Answer:
        """Ask for a path below the root, or for a link that the service gave.

        Raises:
            ThrottledError: asked too often, by the budget or by the service.
            RetriableError: no answer, a broken one, or a failure of the service's own.
            AuthError: the token is refused, or the service's certificate is not to be trusted.
            RefusedError: anything else that the service refuses.
        """
        return self._ask("GET", path, params=params, headers=headers)

    def post(
        self,
        path: str,
        *,
        document: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a JSON document, or nothing; raises the same."""
        return self._ask("POST", path, params=params, headers=headers, json=document)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _ask(self, method: str, path: str, **options: Any) -> Answer:
        url = self._url(path)
        given = self._token()
        try:
            return self._once(method, url, given, options)
        except RefusedError as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED or self._tokens is None or given is None:
                raise
        # Revoked, or our clock is behind: a new one may do.
        self._tokens.refuse(self._scope, given)
        try:
            return self._once(method, url, self._token(), options)
        except RefusedError as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise AuthError(
                f"{self._what}: refuses a new token (HTTP 401{_told(refused.code)}); check that "
                "cloud and addresses fit the tenant, and this machine's clock"
            ) from None

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
        headers = {"Accept": "application/json", **(options["headers"] or {})}
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
                timeout=_TIMEOUT,
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
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            raise self._failure(response.status_code, found, body)
        return Answer(url, response.status_code, found, body)

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
        try:
            told = parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError):
            return
        self.skew = told.replace(tzinfo=told.tzinfo or UTC) - self._clock.now()

    def _failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
        text = body[:4096].decode("utf-8", "replace")
        code = error_code(text)
        if not code:
            code = _CODE.sub("", headers.get("x-ms-error-code", ""))[:80]
        wait = self._wait(headers)
        # The Management Activity API throttles with 403 and a body in single quotes.
        if status == HTTPStatus.TOO_MANY_REQUESTS or "AF429" in text or code == _BUSY:
            seconds = RETRY_SECONDS if wait is None else wait
            if self._budget is not None:
                self._budget.hold(seconds)
            return ThrottledError(f"{self._what}: asked too often", retry_after=seconds)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return RetriableError(
                f"{self._what}: a failure of its own (HTTP {status}{_told(code)})",
                retry_after=RETRY_SECONDS if wait is None else wait,
            )
        return RefusedError(
            f"{self._what}: refused with HTTP {status}{_told(code)}",
            status=status,
            code=code,
            text=text,
        )

    def _wait(self, headers: Mapping[str, str]) -> float | None:
        """Seconds that Retry-After asks for: a number, or a date by the service's clock."""
        text = headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        else:
            try:
                until = parsedate_to_datetime(text)
            except ValueError:
                return None
            until = until.replace(tzinfo=until.tzinfo or UTC)
            seconds = (until - self._clock.now() - self.skew).total_seconds()
        return min(max(seconds, 0.0), MOST_RETRY_SECONDS)


def error_code(text: str) -> str:
    """The code in an error's body: ``{"error": {"code": ...}}``, that with single quotes, or XML.

    >>> error_code('{"error": {"code": "Authorization_RequestDenied", "message": "..."}}')
    'Authorization_RequestDenied'
    >>> error_code("{'error':{'code':'AF429','message':'Too many requests'}}")
    'AF429'
    >>> error_code("<?xml version='1.0'?><Error><Code>ContainerNotFound</Code></Error>")
    'ContainerNotFound'
    """
    found = _CODE_IN_XML.search(text)
    if found is not None:
        return found[1]
    try:
        error = json.loads(text)["error"]
        code = error["code"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        match = re.search(r"""['"]code['"]\s*:\s*['"]([^'"]{1,80})""", text)
        code = "" if match is None else match[1]
    return _CODE.sub("", str(code))[:80]


def parse_http_date(text: str) -> datetime:
    """A date of a header, in UTC.

    Raises:
        ValueError: it is none.
    """
    told = parsedate_to_datetime(text)
    return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)


def _told(code: str) -> str:
    return f", {code}" if code else ""


def _keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
