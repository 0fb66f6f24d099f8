"""Entra's sign-in of people: the authorization code flow with PKCE, state and nonce.

It refuses what the real one refuses: an address that is not registered, a code twice, a wrong
verifier, another client. ``person`` is who sits at the browser, with the claims of their token.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from html import escape
from urllib.parse import parse_qs, urlencode

import jwt

from tests.services.entra import CLIENT, SECRET, TENANT, Entra, refused
from tests.services.server import Reply

_KEY = "signing-key-of-the-service-on-loopback"


class EntraPeople(Entra):
    """``redirects``: registered addresses. ``claims`` are added to the ID token, or replace."""

    def __init__(self, clock, *, redirects=()):
        super().__init__(clock)
        self.redirects = set(redirects)
        self.claims = {}
        self.denies = False
        self.grants = {}
        self.asked = []

    def answer(self, request):
        tenant, _, rest = request.path.strip("/").partition("/")
        if rest == "oauth2/v2.0/authorize":
            return self._authorize(tenant, request.query)
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") == "authorization_code" and not self.code:
            return self._redeem(tenant, form)
        return super().answer(request)

    def _authorize(self, tenant, query):
        """The page with the button, as a person sees it."""
        self.asked.append(query)
        wrong = (
            tenant not in self.tenants
            or query.get("client_id") != CLIENT
            or query.get("redirect_uri") not in self.redirects
            or query.get("response_type") != "code"
            or query.get("code_challenge_method") != "S256"
            or not query.get("state")
            or not query.get("nonce")
            or "openid" not in query.get("scope", "").split()
        )
        if wrong:
            return _page("AADSTS50011: the request is not one of the application's")
        code = secrets.token_urlsafe(24)
        self.grants[code] = query
        back = {"code": code, "state": query["state"], "session_state": "x"}
        if self.denies:
            back = {
                "error": "access_denied",
                "error_description": "AADSTS65004: declined",
                "state": query["state"],
            }
        address = f"{query['redirect_uri']}?{urlencode(back)}"
        return _page(f'<a href="{escape(address)}">Yes, it is me</a>')

    def _redeem(self, tenant, form):
        query = self.grants.pop(form.get("code"), None)
        if query is None:
            return refused(54005, form)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if challenge != query["code_challenge"]:
            return refused(501481, form)
        if form.get("redirect_uri") != query["redirect_uri"]:
            return refused(500112, form)
        if form.get("client_secret") != SECRET:
            return refused(7000215, form)
        now = int(time.time())
        claims = {
            "aud": CLIENT, "iss": f"{self.root}/{TENANT}/v2.0", "tid": TENANT, "sub": "person",
            "oid": "oid", "iat": now, "nbf": now, "exp": now + 3600, "nonce": query["nonce"],
            "preferred_username": "ada@contoso.example", "name": "Ada", **self.claims,
        }  # fmt: skip
        info = base64.urlsafe_b64encode(b'{"uid": "oid", "utid": "tid"}').decode().rstrip("=")
        return Reply(
            document={
                **self.grant(tenant, "openid"),
                "scope": query["scope"],
                "id_token": jwt.encode({k: v for k, v in claims.items() if v is not None}, _KEY),
                "client_info": info,
            }
        )


def _page(text):
    body = f"<!doctype html><title>Sign in</title><p>{text}</p>"
    return Reply(200, body=body.encode(), headers={"Content-Type": "text/html"})
