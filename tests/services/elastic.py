"""Elasticsearch's bulk interface over data streams, as its reference says it behaves.

A request may be answered with 200 while items of it are refused. ``create`` of an ``_id`` that is
there gives 409; nothing but ``create`` is allowed in a data stream.
"""

from __future__ import annotations

import base64
import gzip
import json

from tests.services.server import Reply, Service

# Of a service that lives for a minute.
API_KEY = "key-id-of-the-tests:key-of-the-tests-9Xw"
USER, PASSWORD = "outrider", "pässword-of-the-tests"
STREAMS = ("logs-outrider.incident-", "logs-outrider.flag-")


def refusal(status, kind, reason):
    error = {"type": kind, "reason": reason}
    return Reply(status, {"error": {"root_cause": [error], **error}, "status": status})


class Elastic(Service):
    """``secured``: whether it asks who it is. ``rights``: data streams that may be written.

    ``most``: bytes of an unpacked request. ``refused``: (id, revision) that do not fit the mapping.
    ``full``: (id, revision) whose shard's queue is full. ``template``: whether data streams are made
    at the first document. ``blocked``: data streams are read-only.
    """

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.secured, self.rights, self.template, self.blocked = True, STREAMS, True, False
        self.most = 100 * 2**20
        self.refused, self.full = set(), set()
        self.stored = {}
        self.conflicts = 0

    def throttle(self):
        return refusal(429, "es_rejected_execution_exception", "rejected execution of coordinating")

    def answer(self, request):
        if self.secured and request.headers.get("authorization") not in known():
            return refusal(401, "security_exception", "unable to authenticate user")
        if request.path == "/_security/_authenticate":
            return Reply(document={"username": USER})
        if request.path == "/":
            return Reply(document={"tagline": "You Know, for Search"})
        if request.path != "/_bulk":
            return refusal(404, "index_not_found_exception", "no such index")
        return self.bulk(request)

    def bulk(self, request):
        if request.headers.get("content-type") not in {"application/x-ndjson", "application/json"}:
            return refusal(406, "media_type_header_exception", "Content-Type is not supported")
        body = request.body
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > self.most:
            return Reply(413)
        if not body.endswith(b"\n"):
            told = "The bulk request must be terminated by a newline [\\n]"
            return refusal(400, "illegal_argument_exception", told)
        lines = body.decode("utf-8").split("\n")[:-1]
        if len(lines) % 2:
            return refusal(400, "illegal_argument_exception", "Malformed action/metadata line")
        items = [
            {"create": self.item(json.loads(action), json.loads(source))}
            for action, source in zip(lines[::2], lines[1::2], strict=True)
        ]
        wanted = request.query.get("filter_path")
        if wanted == "items.*.status,items.*.error.type":
            return Reply(document={"items": [slim(item) for item in items]})
        errors = any("error" in item["create"] for item in items)
        return Reply(document={"took": 1, "errors": errors, "items": items})

    def item(self, action, source):
        ((kind, about),) = action.items()
        index, name = about["_index"], about["_id"]
        key = key_of(source)
        cause = {
            (400, "illegal_argument_exception"): kind != "create" or len(name.encode()) > 512,
            (403, "security_exception"): not index.startswith(tuple(self.rights)),
            (403, "cluster_block_exception"): self.blocked,
            (404, "index_not_found_exception"): not self.template,
            (429, "es_rejected_execution_exception"): key in self.full,
            (400, "document_parsing_exception"): key in self.refused or "@timestamp" not in source,
            (409, "version_conflict_engine_exception"): (index, name) in self.stored,
        }
        for (status, error), applies in cause.items():
            if applies:
                self.conflicts += status == 409
                told = {"type": error, "reason": f"[{name}]: {json.dumps(source)[:200]}"}
                return {"_index": index, "_id": name, "status": status, "error": told}
        self.stored[index, name] = source
        return {"_index": index, "_id": name, "status": 201, "result": "created"}

    def accepted(self):
        """(id, revision) of what is stored, in order."""
        return [key_of(source) for source in self.stored.values()]


def key_of(source):
    """(id, revision) of an event, by the document under ``outrider``."""
    ((kind, document),) = source["outrider"].items()
    return document[f"{kind}_id"], document["revision"]


def slim(item):
    one = item["create"]
    kept = {"status": one["status"]}
    if "error" in one:
        kept["error"] = {"type": one["error"]["type"]}
    return {"create": kept}


def known():
    key = base64.b64encode(API_KEY.encode()).decode()
    return {f"ApiKey {key}", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
