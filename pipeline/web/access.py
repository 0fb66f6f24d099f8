"""Who may ask: by the address that is listened on, the token, and the host that is asked for."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_kafka import host_of, is_loopback
from pipeline.runtime.secret_files import read_secret
from pipeline.web.session import Person, Sessions

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.datastructures import Headers

    from pipeline.runtime.config_serve import Serve
    from pipeline.runtime.listening import Address

_LEAST_CHARACTERS: Final = 16
_BEARER: Final = re.compile(r"[Bb]earer +([!-~]+) *")


class Access:
    """Lets a request in or not, and knows whose it is.

    Args:
        serve: the section of the configuration.
        address: that is listened on.

    Raises:
        ConfigError: others could connect and nobody would have to sign in, or a secret is no
            good.

    Attributes:
        sessions: the cookies of browsers.
        write: whether pages may acknowledge and silence.
        by_token, by_oidc: the ways in which a browser can sign in.
        secure: whether browsers speak TLS with this server.
    """

    def __init__(self, serve: Serve, address: Address) -> None:
        self._digest: bytes | None = None
        self.by_token, self.by_oidc = serve.token_file is not None, serve.oidc.configured
        self.write = serve.write
        if serve.token_file is not None:
            token = _secret(serve.token_file, "the token of readers", "serve.token_file")
            self._digest = _digest(token.encode())
        self._asks = self.by_token or self.by_oidc
        self._local = not self._asks and address.loopback
        if not self._asks and not address.loopback and not serve.allow_anonymous:
            raise ConfigError(
                f"{address.host} can be reached by others: name a file with a token "
                "(serve.token_file), let people sign in (serve.oidc), or set "
                "serve.allow_anonymous = true"
            )
        self._origin = serve.url
        self.secure = serve.certificate_file is not None or (serve.url or "").startswith("https:")
        self.sessions = Sessions(
            self._session_key(serve), hours=serve.session_hours, secure=self.secure
        )

    def _session_key(self, serve: Serve) -> bytes:
        if serve.session_key_file is not None:
            what = "the key of sessions"
            own = _secret(serve.session_key_file, what, "serve.session_key_file").encode()
        else:
            own = self._digest or secrets.token_bytes(32)
        # Another token ends the sessions that the old one began.
        return hmac.digest(own, b"sessions" + (self._digest or b""), "sha256")

    def person(self, headers: Headers) -> Person | None:
        """Who asks; None = somebody who has to sign in first."""
        if not self._asks:
            way = "local" if self._local else "anonymous"
            return Person(way, form=self.sessions.form_token(way))
        authorization = headers.get("authorization")
        if authorization is not None:
            return Person("bearer") if self.token_is_good(authorization) else None
        return self.sessions.read(headers)

    def token_is_good(self, authorization: str | None) -> bool:
        """Whether the header ``Authorization`` says the token, if one is needed."""
        if self._digest is None:
            return not self.by_oidc
        match = _BEARER.fullmatch(authorization or "")
        given = b"" if match is None else match[1].encode()
        # The digests are of one length: the time of the comparison tells nothing.
        return hmac.compare_digest(_digest(given), self._digest)

    def host_is_good(self, host: str | None) -> bool:
        """Whether the header ``Host`` names this machine, where that is all that protects.

        A page that a browser on this machine shows may have a name that turns into a loopback
        address; its requests come with that name.
        """
        if not self._local:
            return True
        name = host or ""
        return is_loopback(host_of(name) if re.search(r":\d*\Z", name) else name.strip("[]"))

    def origin_is_good(self, headers: Headers) -> bool:
        """Whether a form was sent by a page of this server, by what the browser says."""
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origin = headers.get("origin", "").lower()
        if self._origin is not None:
            return origin == self._origin
        # The scheme is left out: a proxy may speak TLS in front of this.
        return origin.partition("://")[2] == headers.get("host", "").lower() != ""


def _secret(path: Path, what: str, key: str) -> str:
    text = read_secret(path, "", what, key)
    if len(text) < _LEAST_CHARACTERS or not _BEARER.fullmatch(f"Bearer {text}"):
        raise ConfigError(
            f"{path}: {what.removesuffix(' of readers')} needs {_LEAST_CHARACTERS} or more "
            "printable ASCII characters without blanks; 'openssl rand -hex 32' makes a good one"
        )
    return text


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
