"""Service communications of Graph: issues that are rewritten, overviews, Message Center posts.

As documented: pages of 100 records unless ``Prefer: odata.maxpagesize`` asks for up to 1,000,
``@odata.nextLink`` with ``$skip``, ``$filter`` on lastModifiedDateTime, a permission for each
collection, 240 requests in 60 s, and the newest version of each record only.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime, timedelta
from urllib.parse import urlencode

from tests.services.server import Reply, Service

AUDIENCE = "https://graph.microsoft.com"
PERMISSIONS = {
    "issues": "ServiceHealth.Read.All",
    "healthOverviews": "ServiceHealth.Read.All",
    "messages": "ServiceMessage.Read.All",
}
LIMIT, SECONDS = 240, 60


def stamp(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.123Z"


class Health(Service):
    """``tables`` by collection and id; ``filters`` off refuses every ``$filter``.

    ``largest`` page; smaller ones make listings of many pages from few records.
    ``repeats`` links each page to itself; ``entra`` checks tokens and roles, None = nobody does.
    """

    def __init__(self, clock, faults=None, *, entra=None, audience=AUDIENCE):
        super().__init__(clock, faults)
        self.entra, self.audience = entra, audience
        self.tables = {"issues": {}, "healthOverviews": {}, "messages": {}}
        self.filters, self.repeats = True, False
        self.largest = 1000
        self.taken = deque()

    def issue(self, issue_id, **changed):
        """Publish an issue, or rewrite one; a post is added where ``text`` is given."""
        now = stamp(self.clock.now())
        text = changed.pop("text", None)
        held = self.tables["issues"].get(issue_id) or {
            "id": issue_id,
            "title": "Users may be unable to access Exchange Online",
            "service": "Exchange Online",
            "status": "serviceDegradation",
            "classification": "incident",
            "origin": "microsoft",
            "feature": "Access",
            "impactDescription": "Users may be unable to access Exchange Online.",
            "isResolved": False,
            "highImpact": None,
            "details": [],
            "startDateTime": now,
            "endDateTime": None,
            "posts": [],
        }
        post = {
            "createdDateTime": now,
            "postType": "regular",
            "description": {"contentType": "html", "content": text},
        }
        posts = [*held["posts"], *([post] if text else [])]
        self.tables["issues"][issue_id] = {
            **held, "lastModifiedDateTime": now, "posts": posts, **changed
        }  # fmt: skip

    def overview(self, service_id, service, status="serviceOperational"):
        self.tables["healthOverviews"][service_id] = {
            "id": service_id, "service": service, "status": status
        }  # fmt: skip

    def message(self, message_id, category, title, content, **changed):
        self.tables["messages"][message_id] = {
            "id": message_id,
            "title": title,
            "category": category,
            "severity": "normal",
            "services": ["Exchange Online"],
            "body": {"contentType": "html", "content": content},
            "startDateTime": stamp(self.clock.now()),
            "endDateTime": stamp(self.clock.now() + timedelta(days=60)),
            "lastModifiedDateTime": stamp(self.clock.now()),
            **changed,
        }

    def answer(self, request):
        name = request.path.removeprefix("/v1.0/admin/serviceAnnouncement/")
        if name not in self.tables:
            return refused(404, "ResourceNotFound")
        if self.entra is not None:
            claims = self.entra.bearer(request, self.audience)
            if claims is None:
                return refused(401, "InvalidAuthenticationToken")
            if PERMISSIONS[name] not in claims["roles"]:
                return refused(403, "UnknownError")
        now = self.clock.now().timestamp()
        while self.taken and self.taken[0] <= now - SECONDS:
            self.taken.popleft()
        if len(self.taken) >= LIMIT:
            return Reply(429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": "17"})
        self.taken.append(now)
        return self.page(request, name)

    def page(self, request, name):
        records = list(self.tables[name].values())
        if "$filter" in request.query:
            since = re.fullmatch(r"lastModifiedDateTime ge (\S+Z)", request.query["$filter"])
            if not self.filters or since is None:
                return refused(400, "BadRequest")
            bound = datetime.fromisoformat(since[1])
            records = [
                r for r in records if datetime.fromisoformat(r["lastModifiedDateTime"]) >= bound
            ]
        wanted = re.search(r"odata\.maxpagesize=(\d+)", request.headers.get("prefer", ""))
        size = min(int(wanted[1]), self.largest) if wanted else 100
        skip = int(request.query.get("$skip", 0))
        document = {"@odata.context": f"{self.root}/v1.0/$metadata#{name}"}
        document["value"] = records[skip : skip + size]
        if skip + size < len(records):
            query = {**request.query, "$skip": str(skip if self.repeats else skip + size)}
            document["@odata.nextLink"] = f"{self.root}{request.path}?{urlencode(query)}"
        return Reply(document=document)


def refused(status, code):
    return Reply(status, {"error": {"code": code, "message": "for adele.vance@contoso.example"}})
