"""Entra's token endpoint, for the services here: tokens with roles, refusals, expiry.

Services ask :meth:`Entra.bearer` whether a request may pass.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from urllib.parse import parse_qs

import jwt

from tests.services.server import Reply, Service

TENANT = "9a3f1c52-0000-4000-8000-5d2c1b0a9f8e"
CLIENT = "5b0ad9f2-0000-4000-8000-0c1d2e3f4a5b"
SECRET = "service-secret-8Qx~"  # noqa: S105 # of a service that lives for a minute
GRAPH_ROLES = (
    "AuditLog.Read.All",
    "Directory.Read.All",
    "ServiceHealth.Read.All",
    "ServiceMessage.Read.All",
    "AuditLogsQuery.Read.All",
)
ACTIVITY_ROLES = ("ActivityFeed.Read",)
_KEY = "signing-key-of-the-service-on-loopback"
_HTTP = {7000215: 401, 7000222: 401, 700027: 401}


class Entra(Service):
    """``roles`` by audience; ``lifetime`` of tokens in seconds; ``code`` refuses with that code."""

    def __init__(self, clock, faults=None, *, roles=None, lifetime=3600):
        super().__init__(clock, faults)
        self.roles = roles if roles is not None else {}
        self.lifetime = lifetime
        self.tenants = {TENANT}
        self.code = None
        self.issued = []
        self.revoked = set()
        self.codes = {}  # scope by device code
        self.pending, self.declined, self.refreshed = 0, False, 0

    def answer(self, request):
        tenant, _, rest = request.path.strip("/").partition("/")
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        endpoint = f"{self.root}/{tenant}/oauth2/v2.0/token"
        if tenant not in self.tenants:
            return refused(90002, form)
        if rest == "v2.0/.well-known/openid-configuration":
            authorize = endpoint.replace("token", "authorize")
            device = endpoint.replace("token", "devicecode")
            return Reply(
                document={
                    "issuer": "entra",
                    "authorization_endpoint": authorize,
                    "device_authorization_endpoint": device,
                    "token_endpoint": endpoint,
                }
            )
        if self.code:
            return refused(self.code, form)
        if form.get("client_id") != CLIENT:
            return refused(700016, form)
        if rest == "oauth2/v2.0/devicecode":
            return self._code(form)
        return self._token(tenant, form)

    def _token(self, tenant, form):
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code":
            return self._coded(tenant, form)
        if form.get("grant_type") == "refresh_token":
            self.refreshed += 1
            return Reply(document=self._person(tenant, form["scope"]))
        if form.get("client_secret") != SECRET and "client_assertion" not in form:
            return refused(7000215, form)
        return Reply(document=self.grant(tenant, form["scope"].removesuffix("/.default")))

    def _code(self, form):
        self.codes[f"device-{len(self.codes)}"] = form["scope"]
        return Reply(
            document={
                "device_code": f"device-{len(self.codes) - 1}",
                "user_code": "K7Q-PLX",
                "verification_uri": f"{self.root}/devicelogin",
                "expires_in": 900,
                "interval": 0,
                "message": "To sign in, use a web browser.",
            }
        )

    def _coded(self, tenant, form):
        if self.pending > 0:
            self.pending -= 1
            return Reply(400, {"error": "authorization_pending", "error_codes": [70016]})
        if self.declined:
            return Reply(400, {"error": "authorization_declined", "error_codes": [70018]})
        return Reply(document=self._person(tenant, self.codes[form["device_code"]]))

    def _person(self, tenant, scope):
        resource = next(s for s in scope.split() if s.endswith("/.default"))
        given = self.grant(tenant, resource.removesuffix("/.default"))
        # What msal reads of who it was.
        identity = {"aud": CLIENT, "sub": "person", "oid": "oid", "tid": tenant, "iss": "entra"}
        now = int(time.time())
        identity |= {"exp": now + 3600, "iat": now, "preferred_username": "ada@contoso.example"}
        info = base64.urlsafe_b64encode(b'{"uid": "oid", "utid": "tid"}').decode().rstrip("=")
        return {
            **given,
            "scope": scope,
            "refresh_token": "a refresh token",
            "id_token": jwt.encode(identity, _KEY, "HS256"),
            "client_info": info,
        }

    def grant(self, tenant, audience):
        now = int(self.clock.now().timestamp())
        claims = {"aud": audience, "tid": tenant, "appid": CLIENT, "jti": str(uuid.uuid4())}
        claims |= {
            "iat": now,
            "exp": now + self.lifetime,
            "roles": list(self.roles.get(audience, ())),
        }
        made = jwt.encode(claims, _KEY, "HS256")
        self.issued.append(made)
        return {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": made}

    def bearer(self, request, audience):
        """The claims of a request's token, or None: the service then answers 401."""
        text = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                text,
                _KEY,
                ["HS256"],
                audience=audience,
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None
        fresh = claims["exp"] > self.clock.now().timestamp() and claims["jti"] not in self.revoked
        return claims if fresh else None


def refused(code, form):
    """A refusal as Entra words it; the real ones quote the app's id, never its secret."""
    document = {
        "error": "invalid_client" if code in _HTTP else "invalid_request",
        "error_description": f"AADSTS{code}: About '{form.get('client_id', '')}'. Trace ID: 1",
        "error_codes": [code],
        "correlation_id": "55555555-6666-7777-8888-999999999999",
    }
    return Reply(_HTTP.get(code, 400), body=json.dumps(document).encode())
