"""Searches of the audit log at Microsoft Graph: slow, now and then failing, sometimes lost.

By the reference of auditLogQuery; what it leaves out is as public programs have met it (v1.0 that
is not offered, 429 for searches in rapid succession, searches that never end).
"""

from __future__ import annotations

import json
import random
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.services.server import Reply, Service

AUDIENCE = "https://graph.microsoft.com"
PERMISSION = "AuditLogsQuery.Read.All"
_PATH = ["security", "auditLog", "queries"]
_TYPES = {
    1: "ExchangeAdmin",
    2: "ExchangeItem",
    3: "ExchangeItemGroup",
    50: "ExchangeItemAggregated",
}


@dataclass
class Search:
    name: str
    start: datetime
    end: datetime
    types: set
    made: datetime
    fate: str  # how it ends: succeeded, failed, cancelled, stuck, lost


def described(record):
    """A record of the Management Activity API as Graph wraps it: userId is the UserKey."""
    return {
        "@odata.type": "#microsoft.graph.security.auditLogRecord",
        "id": record["Id"],
        "createdDateTime": f"{record['CreationTime']}Z",
        "auditLogRecordType": _TYPES[record["RecordType"]],
        "operation": record["Operation"],
        "organizationId": record["OrganizationId"],
        "userType": "Regular",
        "userId": record["UserKey"],
        "service": record["Workload"],
        "objectId": None,
        "userPrincipalName": record["UserId"],
        "clientIp": record["ClientIPAddress"],
        "administrativeUnits": [""],
        "auditData": {"@odata.type": "#microsoft.graph.security.defaultAuditData", **record},
    }


class AuditQueries(Service):
    """``fates``: how the next searches end; ``takes``: seconds until one has.

    ``versions`` that offer it; ``most``: records that a search gives; ``same_names``: the same
    search has the same id; ``links_expire``: so many links to a next page are refused.
    """

    def __init__(self, clock, entra, faults=None, *, takes=90.0, page=150, pace=0.0, seed=0):
        super().__init__(clock, faults)
        self.entra, self.takes, self.page = entra, timedelta(seconds=takes), page
        self.pace = timedelta(seconds=pace)
        self.records = []
        self.searches = {}
        self.versions = {"v1.0", "beta"}
        self.fates = deque()
        self.most = 10**6
        self.links_expire = 0
        self.loops = self.same_names = False
        self.audit_log = True
        self.every = timedelta(seconds=10)
        self.asked = []
        self._random = random.Random(seed)

    def add(self, record, available):
        self.records.append((available, record))

    def answer(self, request):
        self.clock.advance(self.pace)
        version, *parts = request.path.strip("/").split("/")
        if version not in self.versions or parts[:3] != _PATH:
            return refused(404, "UnknownError", "")
        refusal = self._refused(request)
        if refusal is not None:
            return refusal
        if len(parts) == 3:
            post = request.method == "POST"
            return self._create(json.loads(request.body)) if post else Reply(document={"value": []})
        search = self.searches.get(parts[3])
        if search is None or search.fate == "lost":
            return refused(404, "ResourceNotFound", f"{parts[3]} is not there.")
        if parts[4:] == ["records"]:
            return self._page(request, search)
        return self._state(search)

    def _refused(self, request):
        claims = self.entra.bearer(request, AUDIENCE)
        if claims is None:
            return refused(401, "InvalidAuthenticationToken", "Lifetime validation failed.")
        if PERMISSION not in claims["roles"]:
            return refused(403, "Forbidden", f"Application of {claims['tid']} lacks the scope.")
        if not self.audit_log:
            return refused(400, "BadRequest", '{"Status":"AuditingDisabledTenant"}')
        return None

    def _create(self, body):
        now = self.clock.now()
        if self.asked and now - self.asked[-1][0] < self.every:
            return Reply(429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": "30"})
        start, end = (datetime.fromisoformat(body[f"filter{n}DateTime"]) for n in ("Start", "End"))
        if not start < end <= now + timedelta(hours=1):
            return refused(400, "BadRequest", "The range is not valid.")
        seed = json.dumps(body) if self.same_names else str(self._random.random())
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, seed))
        fate = self.fates.popleft() if self.fates else "succeeded"
        types = {t.casefold() for t in body["recordTypeFilters"]}
        self.searches[name] = Search(name, start, end, types, now, fate)
        self.asked.append((now, start, end))
        return Reply(201, self._state(self.searches[name]).document)

    def _state(self, search):
        since = self.clock.now() - search.made
        status = "notStarted" if since < self.takes / 4 else "running"
        if since >= self.takes and search.fate != "stuck":
            status = search.fate
        found = self._found(search)
        return Reply(
            document={
                "@odata.type": "#microsoft.graph.security.auditLogQuery",
                "id": search.name,
                "status": status,
                "isRecordCountLimitExceeded": len(found) > self.most,
            }
        )

    def _found(self, search):
        return [
            record
            for available, record in self.records
            if available <= search.made
            and search.start <= moment(record) < search.end
            and _TYPES[record["RecordType"]].casefold() in search.types
        ]

    def _page(self, request, search):
        if self._state(search).document["status"] != "succeeded":
            return refused(400, "BadRequest", "Not done.")
        token = request.query.get("$skiptoken")
        if token is not None and self.links_expire:
            self.links_expire -= 1
            return refused(400, "BadRequest", "Invalid Skip Token.")
        found = self._found(search)[: self.most]
        random.Random(search.name).shuffle(found)  # the order is nobody's promise
        at = int(token or 0)
        size = min(self.page, int(request.query.get("$top", self.page)))
        document = {"value": [described(r) for r in found[at : at + size]]}
        if at + size < len(found):
            ahead = max(at, size) if self.loops else at + size
            base = request.url.partition("?")[0]
            document["@odata.nextLink"] = f"{base}?$top={size}&$skiptoken={ahead}"
        return Reply(document=document)


def moment(record):
    return datetime.fromisoformat(record["CreationTime"]).replace(tzinfo=UTC)


def refused(status, code, words):
    return Reply(status, {"error": {"code": code, "message": words}})
