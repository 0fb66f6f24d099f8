"""Who a browser speaks for: a signed cookie, and the tokens that guard its forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import cookie_parser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers

_FLOW_SECONDS: Final = 600
_MOST_ENDED: Final = 10_000
_LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes:
        way: how it is known: ``local`` (nobody else can connect), ``anonymous`` (nobody is
            asked), ``bearer`` (the token with the request), ``token`` or ``oidc`` (signed in).
        name: as the sign-in service told it; empty if nothing is known.
        form: the token that forms of this person have to send back.
        mark: of the session; empty where there is none.
    """

    way: str
    name: str = ""
    form: str = ""
    mark: str = ""

    @property
    def signed_in(self) -> bool:
        """Whether there is a session that can be ended."""
        return bool(self.mark)


class Sessions:
    """Signs and reads the cookies of browsers; nothing of them is kept, but who signed out.

    Args:
        key: that signs; servers that share it take each other's cookies.
        hours: how long a session lasts.
        secure: whether browsers send the cookies over TLS only.
    """

    def __init__(self, key: bytes, *, hours: int, secure: bool) -> None:
        self._seconds, self._secure = hours * 3600, secure
        self._form_key = hmac.digest(key, b"forms", "sha256")
        self._signed = self._serializer(key, "session")
        self._flows = self._serializer(key, "flow")
        prefix = "__Host-" if secure else ""
        self._session_name, self._flow_name = f"{prefix}outrider", f"{prefix}outrider-sign-in"
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    @staticmethod
    def _serializer(key: bytes, salt: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            key,
            salt=salt,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def begin(self, way: str, name: str = "") -> str:
        """The header ``Set-Cookie`` of a new session."""
        told = {"way": way, "name": name[:_LONGEST_NAME], "mark": secrets.token_urlsafe(16)}
        return self._cookie(self._session_name, self._signed.dumps(told), self._seconds, "Strict")

    def read(self, headers: Headers) -> Person | None:
        """The person of a session that holds; None if there is none."""
        try:
            told = self._signed.loads(
                _cookies(headers).get(self._session_name, ""), max_age=self._seconds
            )
            way, name, mark = told["way"], told["name"], told["mark"]
        except (BadData, KeyError, TypeError):
            return None
        if mark in self._ended:
            return None
        return Person(way, name, self.form_token(mark), mark)

    def end(self, person: Person) -> str:
        """Take a session back, and the header ``Set-Cookie`` that makes the browser forget it."""
        now = time.monotonic()
        with self._lock:
            self._ended = {m: until for m, until in self._ended.items() if until > now}
            if person.mark and len(self._ended) < _MOST_ENDED:
                self._ended[person.mark] = now + self._seconds
        return self._cookie(self._session_name, "", 0, "Strict")

    def form_token(self, mark: str) -> str:
        """What the forms of a session carry, so that no other page can make them up."""
        return hmac.new(self._form_key, mark.encode(), "sha256").hexdigest()

    def form_is_good(self, person: Person, given: str) -> bool:
        """Whether a form came from a page that this person was shown."""
        return bool(person.form) and hmac.compare_digest(person.form.encode(), given.encode())

    def begin_flow(self, flow: Mapping[str, Any]) -> str:
        """The header ``Set-Cookie`` that keeps a sign-in at Entra until the person is back.

        They come back from another site, so that this cookie cannot be strict.
        """
        return self._cookie(self._flow_name, self._flows.dumps(dict(flow)), _FLOW_SECONDS, "Lax")

    def read_flow(self, headers: Headers) -> dict[str, Any] | None:
        """The sign-in that was begun in this browser within ten minutes, if any."""
        try:
            told = self._flows.loads(
                _cookies(headers).get(self._flow_name, ""), max_age=_FLOW_SECONDS
            )
        except BadData:
            return None
        return told if isinstance(told, dict) else None

    def end_flow(self) -> str:
        """The header ``Set-Cookie`` that makes the browser forget it."""
        return self._cookie(self._flow_name, "", 0, "Lax")

    def _cookie(self, name: str, value: str, seconds: int, site: str) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}"


def _cookies(headers: Headers) -> dict[str, str]:
    return cookie_parser("; ".join(headers.getlist("cookie")))
