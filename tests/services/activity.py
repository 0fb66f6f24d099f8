"""The Office 365 Management Activity API as its reference describes it, troubles included.

Microsoft's reference and troubleshooting page of the API; what they leave out is as public
reports show it: a missing permission is a 401, a tenant without an audit log a 400 with a stack
trace, a subscription that is enabled already AF20024.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.services.activity_words import error, without_audit_log
from tests.services.entra import TENANT
from tests.services.server import Reply, Service

AUDIENCE = "https://manage.office.com"
EXCHANGE = "Audit.Exchange"
TYPES = (EXCHANGE, "Audit.AzureActiveDirectory", "Audit.SharePoint", "Audit.General", "DLP.All")
KEPT = timedelta(days=7)
DAY = timedelta(hours=24)
RESTART = timedelta(minutes=15)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Blob:
    """``created``: when it became available; ``shown``: when it is first listed, if later."""

    kind: str
    created: datetime
    records: list
    name: str = ""
    shown: datetime | None = None
    cut: int = 0  # so many times its JSON comes without its end
    code: str = ""  # refuses with this code, ``refusals`` times
    refusals: int = 0
    raw: bytes | None = None
    fetched: int = 0

    @property
    def body(self):
        return json.dumps(self.records).encode() if self.raw is None else self.raw


@dataclass
class Subscription:
    status: str = "enabled"
    changed: datetime = datetime(2015, 1, 1, tzinfo=UTC)
    off: list = field(default_factory=list)  # stretches without a subscription


class Activity(Service):
    """``pace``: seconds that pass with each request; ``page``: blobs in a page of a list.

    ``loops``: links to the next page lead in a circle. ``next_header``: how the header is spelt.
    ``refuse``: by operation (list, start, content, blob), the code that everything gets.
    """

    def __init__(self, clock, entra, faults=None, *, page=100, quota=2000, pace=0.0, seed=0):
        super().__init__(clock, faults)
        self.entra, self.page, self.quota = entra, page, quota
        self.pace = timedelta(seconds=pace)
        self.subscriptions = {}
        self.blobs = {}
        self.next_header = "NextPageUri"
        self.loops = False
        self.refuse = {}
        self.audit_log = True
        self.times_code = "AF20030"
        self.throttled = 0
        self.asked = {"list": 0, "start": 0, "content": 0, "blob": 0}
        self.without_publisher = 0
        self._times, self._all_times = deque(), []
        self._random = random.Random(seed)

    # What happens in the tenant.

    def subscribe(self, kind=EXCHANGE):
        self.subscriptions[kind] = Subscription()

    def disable(self, kind=EXCHANGE):
        subscription = self.subscriptions[kind]
        subscription.status, subscription.changed = "disabled", self.clock.now()

    def add(self, kind, created, records, **more):
        created = created.astimezone(UTC)
        stamp = f"{created:%Y%m%d%H%M%S}{created.microsecond // 1000:03d}"
        name = (
            more.pop("name", "")
            or f"{stamp}${uuid.UUID(int=self._random.getrandbits(128)).hex}$audit"
        )
        blob = Blob(kind, created, records, name, **more)
        self.blobs[name] = blob
        return blob

    @property
    def requests_in_a_minute(self):
        """The most that came in any minute of the service's clock."""
        times, first, most = self._all_times, 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - timedelta(seconds=60):
                first += 1
            most = max(most, last - first + 1)
        return most

    # What it answers.

    def throttle(self):
        self.throttled += 1
        body = (
            "{'error':{'code':'AF429','message':'Too many requests. Method=GetBlob, "
            "PublisherId=00000000-0000-0000-0000-000000000000'}}"
        )
        return Reply(403, body=body.encode())

    def answer(self, request):
        now = self.clock.now()
        self._count(request, now)
        if self.pace:
            self.clock.advance(self.pace)
        if len(self._times) > self.quota:
            return self.throttle()
        parts = request.path.strip("/").split("/")
        if len(parts) < 6 or parts[0] != "api" or parts[3:5] != ["activity", "feed"]:
            return Reply(404, {"error": {"code": "", "message": "No HTTP resource was found."}})
        claims = self.entra.bearer(request, AUDIENCE)
        if claims is None:
            return Reply(401, {"Message": "Authorization has been denied for this request."})
        refusal = self._refused(parts[2], claims)
        if refusal is not None:
            return refusal
        if parts[5] == "audit":
            return self._blob("/".join(parts[6:]))
        operation = {
            ("GET", "list"): self._list,
            ("POST", "start"): self._start,
            ("GET", "content"): self._content,
        }.get((request.method, parts[-1]))
        return Reply(405) if operation is None else operation(request)

    def _count(self, request, now):
        self._all_times.append(now)
        self._times.append(now)
        while self._times[0] <= now - timedelta(seconds=60):
            self._times.popleft()
        who = {k.lower(): v for k, v in request.query.items()}.get("publisheridentifier", "")
        self.without_publisher += not _GUID.fullmatch(who)

    def _refused(self, tenant, claims):
        if not _GUID.fullmatch(tenant):
            return error("AF20013")
        if claims["tid"] != tenant:
            return error("AF20010")
        if "ActivityFeed.Read" not in claims["roles"]:
            return error("AF10001")
        return None

    def _list(self, _request):
        self.asked["list"] += 1
        if "list" in self.refuse:
            return error(self.refuse["list"])
        return Reply(
            document=[
                {"contentType": kind, "status": s.status, "webhook": None}
                for kind, s in self.subscriptions.items()
            ]
        )

    def _start(self, request):
        self.asked["start"] += 1
        kind, now = request.query.get("contentType"), self.clock.now()
        if "start" in self.refuse:
            return error(self.refuse["start"])
        if not self.audit_log:
            return without_audit_log(kind)
        if kind not in TYPES:
            return error("AF20020" if kind else "AF20001")
        held = self.subscriptions.get(kind)
        if held is not None and held.status == "enabled":
            return error("AF20024")
        if held is not None and now - held.changed < RESTART:
            return Reply(400, {"error": {"code": "", "message": "Restarted too soon."}})
        if held is None:
            held = self.subscriptions[kind] = Subscription(changed=now)
            held.off.append((datetime(2015, 1, 1, tzinfo=UTC), now))
        else:
            held.off.append((held.changed, now))
        held.status, held.changed = "enabled", now
        return Reply(document={"contentType": kind, "status": "enabled", "webhook": None})

    def _content(self, request):
        self.asked["content"] += 1
        kind, now = request.query.get("contentType"), self.clock.now()
        held = self.subscriptions.get(kind)
        if "content" in self.refuse:
            return error(self.refuse["content"])
        if kind not in TYPES or held is None:
            return error("AF20022" if kind in TYPES else "AF20020")
        if held.status != "enabled":
            return error("AF20023")
        times = [_time(request.query.get(n)) for n in ("startTime", "endTime")]
        if None in times:
            return error("AF20030")
        start, end = times
        if not start < end <= start + DAY or start < now - KEPT:
            return error(self.times_code)
        off = held.off
        found = sorted(
            (
                b
                for b in self.blobs.values()
                if b.kind == kind
                and start <= b.created < end
                and (b.shown or b.created) <= now
                and not any(a <= b.created < z for a, z in off)
            ),
            key=lambda b: (b.created, b.name),
        )
        return self._page(request, found)

    def _page(self, request, found):
        token = request.query.get("nextPage", "0")
        if not token.isdigit() or int(token) > len(found):
            return error("AF20031", token)
        at = int(token)
        part = found[at : at + self.page]
        self._random.shuffle(part)  # order is not to be relied upon
        headers = {}
        if at + self.page < len(found):
            ahead = at if self.loops and at else at + self.page
            base = re.sub(r"[?&](nextPage|PublisherIdentifier)=[^&]*", "", request.url)
            base = base.replace("/content&", "/content?")
            headers[self.next_header] = f"{base}&nextPage={ahead}"
        root = f"{self.root}/api/v1.0/{TENANT}/activity/feed/audit"
        return Reply(
            document=[
                {
                    "contentType": b.kind,
                    "contentId": b.name,
                    "contentUri": f"{root}/{b.name}",
                    "contentCreated": _stamp(b.created),
                    "contentExpiration": _stamp(b.created + KEPT),
                }
                for b in part
            ],
            headers=headers,
        )

    def _blob(self, name):
        self.asked["blob"] += 1
        blob = self.blobs.get(name)
        if "blob" in self.refuse:
            return error(self.refuse["blob"], name)
        if blob is None:
            return error("AF20050" if name.count("$") == 2 else "AF20052", name)
        if blob.created + KEPT <= self.clock.now():
            return error("AF20051", name)
        if blob.refusals:
            blob.refusals -= 1
            return error(blob.code, name)
        if blob.cut:
            blob.cut -= 1
            return Reply(body=blob.body[: len(blob.body) * 2 // 3])
        blob.fetched += 1
        return Reply(body=blob.body)


def _time(text):
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(text or "", form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _stamp(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
