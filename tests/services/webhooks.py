"""A receiver of webhooks as docs/outputs.md tells to write one.

It checks the signature with the key that the header names, refuses what is too old to have been
signed just now, and drops what it has had before by its Idempotency-Key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from urllib.parse import unquote

from tests.services.server import Reply, Service

PATH = "/outrider/in"
SECRET = "a-secret-of-the-tests-0123456789"  # noqa: S105 # no real one
WINDOW_SECONDS = 300
_SIGNATURE = re.compile(r"t=(\d+),kid=([A-Za-z0-9._-]+),v1=([0-9a-f]{64})")


class Webhooks(Service):
    """``documents`` by key; ``arrived``: keys as they came; ``keys``: secrets by key id."""

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.documents, self.arrived, self.refused, self.bodies = {}, [], set(), []
        self.keys = {"2026-03": SECRET}

    @property
    def address(self):
        return f"{self.root}{PATH}"

    def throttle(self):
        return Reply(429, headers={"Retry-After": self.faults.retry_after})

    def answer(self, request):  # noqa: PLR0911 # one exit for each check
        if request.method != "POST" or request.path != PATH:
            return Reply(404)
        found = _SIGNATURE.fullmatch(request.headers.get("outrider-signature", ""))
        if found is None or found[2] not in self.keys:
            return Reply(401)
        signed = f"{found[1]}.".encode() + request.body
        wanted = hmac.new(self.keys[found[2]].encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, found[3]):
            return Reply(401)
        if abs(self.clock.now().timestamp() - int(found[1])) > WINDOW_SECONDS:
            return Reply(401)
        if request.headers.get("content-type") != "application/json":
            return Reply(415)
        key = request.headers["idempotency-key"]
        name, _, revision = key.rpartition(":")
        if unquote(name) in self.refused:
            return Reply(422)
        self.bodies.append(request.body)
        self.arrived.append((unquote(name), int(revision)))
        if key in self.documents:
            return Reply(409)
        self.documents[key] = json.loads(request.body)
        return Reply(204)

    def accepted(self):
        return self.arrived
