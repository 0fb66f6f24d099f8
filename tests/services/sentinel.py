"""Azure Monitor's Logs Ingestion interface, as its documents and its users say it behaves.

A call is taken whole or refused whole. Columns that the stream does not declare are dropped, and
fields above 64 KB are cut, both without a word; rows are never told apart, whatever they hold.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib

from tests.services.server import Reply, Service

AUDIENCE = "https://monitor.azure.com"
ROLE = "Monitoring Metrics Publisher"
RULE = "dcr-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
MOST = 2**20
FIELD = 65_536
RESERVED = {"id", "TenantId", "Type", "Title", "UniqueId", "_ResourceId", "_SubscriptionId"}
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,44}")
_PATH = re.compile(r"/dataCollectionRules/([^/]+)/streams/([^/]+)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_TYPES = {
    "string": lambda v: isinstance(v, str),
    "datetime": lambda v: isinstance(v, str) and _TIME.fullmatch(v),
    "int": lambda v: isinstance(v, int) and abs(v) < 2**31,
    "long": lambda v: isinstance(v, int),
    "real": lambda v: isinstance(v, int | float),
    "dynamic": lambda v: isinstance(v, list | dict | str),
}


class Sentinel(Service):
    """``streams``: name to columns and their types. ``granted``: whether the application has the
    role. ``refused``: (id, revision) of records that it cannot read."""

    def __init__(self, clock, entra, streams, faults=None):
        super().__init__(clock, faults)
        for name in {name for columns in streams.values() for name in columns}:
            if not _COLUMN.fullmatch(name) or name in RESERVED:
                raise ValueError(f"a table cannot have the column {name}")
        self.entra, self.streams = entra, streams
        self.granted, self.audience = True, AUDIENCE
        self.refused = set()
        self.rows = []
        self.calls = []

    def throttle(self):
        return refusal(429, "TooManyRequests", {"Retry-After": self.faults.retry_after})

    def answer(self, request):
        if self.entra.bearer(request, self.audience) is None:
            return refusal(401, "InvalidToken")
        found = _PATH.fullmatch(request.path)
        if found is None or found[1] != RULE:
            return refusal(404, "NotFound")
        if not self.granted:
            # As its users quote it.
            return refusal(403, "OperationFailed")
        if request.query.get("api-version") != "2023-01-01":
            return refusal(400, "InvalidApiVersion")
        if found[2] not in self.streams:
            return refusal(400, "InvalidStream")
        return self.take(request, found[2])

    def take(self, request, stream):
        try:
            packed = request.headers.get("content-encoding") == "gzip"
            body = gzip.decompress(request.body) if packed else request.body
            if max(len(body), len(request.body)) > MOST:
                return refusal(413, "ContentLengthLimitExceeded")
            records = json.loads(body.decode("utf-8"))
        except (OSError, EOFError, zlib.error, ValueError):
            return refusal(400, "InvalidPayload")
        if not isinstance(records, list):
            return Reply(204)  # and nothing is kept: azure-sdk-for-python issue 32562
        kept = [self.row(record, self.streams[stream]) for record in records]
        if any(row is None or key_of(row) in self.refused for row in kept):
            return refusal(400, "InvalidPayload")
        self.calls.append((stream, len(records), len(body)))
        self.rows += kept
        return Reply(204)

    def row(self, record, columns):
        """What a table keeps of a record, None if it is of the wrong types."""
        row = {}
        for name, value in record.items():
            sort = columns.get(name)
            if sort is None:
                continue
            if not _TYPES[sort](value):
                return None
            if isinstance(value, str):
                row[name] = value.encode()[:FIELD].decode("utf-8", "ignore")
            elif isinstance(value, list | dict):
                text = json.dumps(value, ensure_ascii=False).encode()
                row[name] = value if len(text) <= FIELD else text[:FIELD].decode("utf-8", "ignore")
            else:
                row[name] = value
        return row

    def accepted(self):
        """(id, revision) of all rows, in order, repetitions included."""
        return [key_of(row) for row in self.rows]


def key_of(row):
    return row.get("IncidentId") or row["FlagId"], row["Revision"]


def refusal(status, code, headers=None):
    return Reply(status, {"error": {"code": code, "message": "as told"}}, headers or {})
