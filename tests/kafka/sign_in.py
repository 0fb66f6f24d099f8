"""A sign-in service on loopback that answers as Entra's token endpoint does, refusals included."""

from __future__ import annotations

import functools
import json
import threading
import time
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT = "9a3f1c52-0000-4000-8000-5d2c1b0a9f8e"
CLIENT = "5b0ad9f2-0000-4000-8000-0c1d2e3f4a5b"
RESOURCE = "https://events.example.net"
SCOPE = f"{RESOURCE}/.default"
SECRET = "sign-in-secret-8Qx~"  # noqa: S105 # of a service that lives for a minute
FEDERATED = "header.of-a-federated-token.signature"
_HTTP = {7000215: 401, 7000222: 401, 700027: 401, 700016: 400, 500011: 400, 90002: 400}
_ERRORS = {
    7000215: "invalid_client",
    700027: "invalid_client",
    700016: "unauthorized_client",
    500011: "invalid_resource",
    90002: "invalid_request",
}


class RefusedError(Exception):
    """Carries the AADSTS code."""


@functools.cache
def signing_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SignIn:
    """The service: who may sign in, how long its tokens live, and what it was asked.

    ``down`` answers everything with (status, headers, body); ``code`` refuses with that AADSTS code.
    """

    def __init__(self, certificate):
        self.key = signing_key()
        self.certificate_key = certificate  # public key of the app's certificate
        self.lifetime = 3600
        self.subject = "worker"
        self.down = self.code = None
        self.tokens = []
        self.asked = 0
        self.authority = ""

    def jwks(self):
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**found, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def token(self):
        now = int(time.time())
        claims = {"iss": "sign-in", "aud": RESOURCE, "sub": self.subject, "iat": now}
        claims |= {"exp": now + self.lifetime, "jti": str(uuid.uuid4())}
        made = jwt.encode(claims, self.key, "RS256", headers={"kid": "one"})
        self.tokens.append(made)
        return {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": made}

    def check(self, form):
        if self.code:
            raise RefusedError(self.code)
        if form["client_id"] != CLIENT:
            raise RefusedError(700016)
        if "client_assertion" in form:
            self._check_assertion(form["client_assertion"])
        elif form.get("client_secret") != SECRET:
            raise RefusedError(7000215)
        if form["scope"] != SCOPE:
            raise RefusedError(500011)

    def _check_assertion(self, assertion):
        if assertion == FEDERATED:
            return
        try:
            jwt.decode(assertion, self.certificate_key, ["PS256"], audience=self.endpoint)
        except jwt.InvalidTokenError:
            raise RefusedError(700027) from None

    @property
    def endpoint(self):
        return f"{self.authority}/{TENANT}/oauth2/v2.0/token"

    def answer(self, method, path, form):
        """Status and document for a request."""
        self.asked += 1
        tenant, _, rest = path.strip("/").partition("/")
        if tenant != TENANT:
            return refused(90002, form)
        try:
            if (method, rest) == ("GET", "v2.0/.well-known/openid-configuration"):
                return 200, {
                    "issuer": "sign-in",
                    "authorization_endpoint": self.endpoint.replace("token", "authorize"),
                    "token_endpoint": self.endpoint,
                }
            self.check(form)
            return 200, self.token()
        except RefusedError as refusal:
            return refused(refusal.args[0], form)


def refused(code, form):
    """A refusal as Entra words it; the real ones quote the app's id, never its secret."""
    return _HTTP.get(code, 400), {
        "error": _ERRORS.get(code, "invalid_request"),
        "error_description": f"AADSTS{code}: About '{form.get('client_id', '')}'. Trace ID: 1",
        "error_codes": [code],
        "trace_id": "00000000-1111-2222-3333-444444444444",
        "correlation_id": "55555555-6666-7777-8888-999999999999",
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
    }


@contextmanager
def serving(service, tls):
    """Serve ``service`` until the block ends: over HTTPS with the context ``tls``, else over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, method, form):
            headers = {}
            if service.down:
                status, headers, text = service.down
            else:
                status, document = service.answer(method, self.path.partition("?")[0], form)
                text = json.dumps(document)
            body = text.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer("GET", {})

        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer("POST", {k: v[0] for k, v in parse_qs(text).items()})

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_args: None  # a client that trusts us not hangs up
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.authority = f"http{'s' * (tls is not None)}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
