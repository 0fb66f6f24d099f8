"""A storage account: lists in XML with markers, ranges of bytes, appended blobs, its refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.services.server import Reply, Service

if TYPE_CHECKING:
    from datetime import datetime

AUDIENCE = "https://storage.azure.com"
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw+/="
STEM = "tenantId=11111111-2222-4333-8444-555555555555/"
_XML = {"Content-Type": "application/xml"}


def name_of(hour, stem=STEM):
    return f"{stem}y={hour:%Y}/m={hour:%m}/d={hour:%d}/h={hour:%H}/m=00/PT1H.json"


@dataclass
class Stored:
    body: bytes
    changed: datetime
    etag: str
    archived: bool = False


class Storage(Service):
    """``entra`` gives tokens; ``reader`` says whether they may read; ``signature`` opens as well."""

    def __init__(self, clock, faults=None, *, entra=None):
        super().__init__(clock, faults)
        self.entra = entra
        self.reader, self.signature, self.code = True, SIGNATURE, None
        self.containers = {}
        self.page, self.whole = 5000, False
        self._changes = 0

    # What diagnostic settings do.

    def make(self, *containers):
        for container in containers:
            self.containers.setdefault(container, {})

    def append(self, container, hour, body, stem=STEM):
        with self.lock:
            self.make(container)
            held = self.containers[container].get(name_of(hour, stem))
            self.put(container, hour, (b"" if held is None else held.body) + body, stem)

    def put(self, container, hour, body, stem=STEM):
        """Write a blob as a whole."""
        with self.lock:
            self._changes += 1
            made = Stored(body, self.clock.now(), f'"0x{self._changes:016X}"')
            self.containers[container][name_of(hour, stem)] = made

    def remove(self, container, hour, stem=STEM):
        with self.lock:
            del self.containers[container][name_of(hour, stem)]

    # What it answers.

    def throttle(self):
        return error(503, "ServerBusy")

    def answer(self, request):
        refused = self.check(request)
        if refused is not None:
            return refused
        container, _, name = request.path.strip("/").partition("/")
        if container not in self.containers:
            return error(404, "ContainerNotFound")
        if request.query.get("comp") == "list":
            return self.show(container, request.query)
        return self.get(container, name, request.headers.get("range"))

    def check(self, request):
        if self.code is not None:
            return error(*self.code)
        if "x-ms-version" not in request.headers:
            return error(400, "InvalidHeaderValue")
        if "sig" in request.query:
            return (
                None
                if request.query["sig"] == self.signature
                else error(403, "AuthenticationFailed")
            )
        if "authorization" not in request.headers:
            return error(401, "NoAuthenticationInformation")
        if self.entra.bearer(request, AUDIENCE) is None:
            return error(401, "InvalidAuthenticationInfo")
        return None if self.reader else error(403, "AuthorizationPermissionMismatch")

    def show(self, container, query):
        prefix, slash = query.get("prefix", ""), query.get("delimiter")
        entries = {}
        for name, stored in sorted(self.containers[container].items()):
            if not name.startswith(prefix):
                continue
            cut = name.find(slash, len(prefix)) if slash else -1
            if cut >= 0:
                entries[name[: cut + 1]] = None
            else:
                entries[name] = stored
        keys = sorted(entries)
        start = int(query.get("marker") or 0)
        shown, rest = keys[start : start + self.page], keys[start + self.page :]
        marker = str(start + self.page) if rest else ""
        listed = "".join(self._entry(key, entries[key]) for key in shown)
        text = (
            f'\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults '
            f'ServiceEndpoint="{self.root}/" ContainerName="{container}">'
            f"<Prefix>{escape(prefix)}</Prefix><Blobs>{listed}</Blobs>"
            f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
        )
        return Reply(body=text.encode(), headers=_XML)

    def _entry(self, name, stored):
        if stored is None:
            return f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
        changed = format_datetime(stored.changed, usegmt=True)
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{changed}</Last-Modified><Etag>{stored.etag.strip(chr(34))}</Etag>"
            f"<Content-Length>{len(stored.body)}</Content-Length><BlobType>AppendBlob</BlobType>"
            "</Properties></Blob>"
        )

    def get(self, container, name, wanted):
        stored = self.containers[container].get(name)
        if stored is None:
            return error(404, "BlobNotFound")
        if stored.archived:
            return error(409, "BlobArchived")
        headers = {"Content-Type": "application/json", "ETag": stored.etag}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
        if match is None or self.whole:
            return Reply(body=stored.body, headers=headers)
        first = int(match[1])
        if first >= len(stored.body):
            return error(416, "InvalidRange", {"Content-Range": f"bytes */{len(stored.body)}"})
        last = min(int(match[2] or len(stored.body)), len(stored.body) - 1)
        told = {"Content-Range": f"bytes {first}-{last}/{len(stored.body)}"}
        return Reply(206, body=stored.body[first : last + 1], headers={**headers, **told})


def error(status, code, headers=None):
    """A refusal as the service words it; the real ones tell request ids and addresses too."""
    text = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>About adele.vance@contoso.example.</Message></Error>"
    )
    told = {**_XML, "x-ms-error-code": code, **(headers or {})}
    return Reply(status, body=text.encode(), headers=told)
