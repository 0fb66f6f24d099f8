"""Microsoft Graph's reports, as their documents and their users say they behave.

Sign-ins and directory audits: filters that are evaluated, newest first, pages by opaque links
that expire, ``$top`` and ``$select``, five requests in 10 s by its own clock, a licence and roles
that may be missing, records that appear late or come again with another outcome.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.services.server import Reply, Service

AUDIENCE = "https://graph.microsoft.com"
SCOPE = f"{AUDIENCE}/.default"
LIMIT = (5, 10.0)
MOST = 1000
# What v1.0 knows of a sign-in; beta knows these too, and more.
V1 = frozenset(
    {
        "id",
        "createdDateTime",
        "userDisplayName",
        "userPrincipalName",
        "userId",
        "appId",
        "appDisplayName",
        "ipAddress",
        "clientAppUsed",
        "correlationId",
        "conditionalAccessStatus",
        "isInteractive",
        "riskState",
        "resourceDisplayName",
        "resourceId",
        "status",
        "deviceDetail",
        "location",
        "appliedConditionalAccessPolicies",
    }
)
BETA = V1 | {
    "userAgent",
    "signInEventTypes",
    "servicePrincipalId",
    "homeTenantId",
    "resourceTenantId",
    "userType",
    "autonomousSystemNumber",
    "processingTimeInMilliseconds",
    "incomingTokenType",
    "tokenIssuerType",
}
AUDIT = frozenset(
    {
        "id",
        "activityDateTime",
        "activityDisplayName",
        "additionalDetails",
        "category",
        "correlationId",
        "initiatedBy",
        "loggedByService",
        "operationType",
        "result",
        "resultReason",
        "targetResources",
    }
)
TIMES = {"signIns": "createdDateTime", "directoryAudits": "activityDateTime"}
_COMPARED = re.compile(r"(\w+) (ge|le|gt|lt|eq) (\S+)")
_ANY = re.compile(r"\(?signInEventTypes/any\(t: ?((?:t eq '\w+'(?: or )?)+)\)\)?")


@dataclass(order=True)
class Kept:
    """A record, from when on it can be seen, and until when."""

    created: datetime
    number: int
    seen_from: datetime = field(compare=False)
    seen_until: datetime = field(compare=False)
    record: dict = field(compare=False)


class RefusedRequestError(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.reply = Reply(
            status,
            {
                "error": {
                    "code": code,
                    "message": message,
                    "innerError": {"date": "2026-03-19T08:00:00", "request-id": "0f-1e"},
                }
            },
        )


class Graph(Service):
    """Reports of one tenant.

    ``limit``: requests and seconds, None = no limit. ``licence``: ``"P1"``, ``"P2"`` or None.
    ``page``: records on a page, if fewer than are asked for. ``links_live``: seconds. ``loops``:
    links lead to the page that gave them. ``selects``: whether ``$select`` is known. ``offered``:
    versions and reports. ``kept``: how long records stay. ``slow``: seconds of its own clock that
    each answer takes. ``licence_check``: fails so often in a row, as it does without
    Directory.Read.All.
    """

    def __init__(self, clock, entra, faults=None):
        super().__init__(clock, faults)
        self.entra = entra
        self.limit = LIMIT
        self.licence = "P2"
        self.page = MOST
        self.links_live = 300.0
        self.loops = False
        self.selects = True
        self.offered = {(v, r) for v in ("v1.0", "beta") for r in TIMES}
        self.kept = timedelta(days=30)
        self.slow = 0.0
        self.unlicensed_answers = 0
        self.pages = 0
        self._kept = {name: [] for name in TIMES}
        self._links = {}
        self._asked = []

    def add(self, report, record, late=timedelta(minutes=2), until=None):
        """Keep a record that can be seen ``late`` after its time, and until ``until`` after."""
        created = datetime.fromisoformat(record[TIMES[report]]).astimezone(UTC)
        kept = self._kept[report]
        gone = datetime.max.replace(tzinfo=UTC) if until is None else created + until
        insort(kept, Kept(created, len(kept), created + late, gone, record))

    def throttle(self):
        told = "This request is throttled. Please try again after the value specified in the Retry-After header."
        reply = RefusedRequestError(429, "UnknownError", told).reply
        return Reply(429, reply.document, {"Retry-After": self.faults.retry_after})

    def answer(self, request):
        self.clock.advance(timedelta(seconds=self.slow))
        try:
            return self._answer(request)
        except RefusedRequestError as refused:
            return refused.reply

    def _answer(self, request):
        version, _, rest = request.path.strip("/").partition("/")
        report = rest.removeprefix("auditLogs/")
        if report not in TIMES or (version, report) not in self.offered:
            told = f"Resource not found for the segment '{report}'."
            raise RefusedRequestError(404, "BadRequest", told)
        self._let_in(request, report)
        self._count()
        if "$skiptoken" in request.query:
            return self._page(*self._linked(request.query["$skiptoken"]))
        unknown = set(request.query) - {"$filter", "$top", "$select"}
        if unknown:
            raise RefusedRequestError(
                400, "BadRequest", f"Query option '{min(unknown)}' is not allowed."
            )
        top = int(request.query.get("$top", MOST))
        if not 0 < top <= MOST:
            raise RefusedRequestError(400, "BadRequest", "Invalid page size specified.")
        fields = self._selected(version, report, request.query.get("$select"))
        asked = condition(report, version, request.query.get("$filter", ""))
        return self._page(version, report, asked, fields, top, None)

    def _let_in(self, request, report):
        claims = self.entra.bearer(request, AUDIENCE)
        if claims is None:
            raise RefusedRequestError(
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired.",
            )
        if "AuditLog.Read.All" not in claims["roles"]:
            raise RefusedRequestError(
                403,
                "Authentication_MSGraphPermissionMissing",
                "Calling principal does not have required MSGraph permissions AuditLog.Read.All",
            )
        flaky = "Directory.Read.All" not in claims["roles"] or self.unlicensed_answers > 0
        if report == "signIns" and (self.licence is None or flaky):
            self.unlicensed_answers -= 1
            raise RefusedRequestError(
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
            )

    def _count(self):
        if self.limit is None:
            return
        most, seconds = self.limit
        now = self.clock.now()
        self._asked = [t for t in self._asked if t > now - timedelta(seconds=seconds)]
        if len(self._asked) >= most:
            wait = (self._asked[0] - now).total_seconds() + seconds
            reply = self.throttle()
            refused = RefusedRequestError(429, "", "")
            refused.reply = Reply(429, reply.document, {"Retry-After": str(int(wait) + 1)})
            raise refused
        self._asked.append(now)

    def _selected(self, version, report, select):
        known = AUDIT if report == "directoryAudits" else BETA if version == "beta" else V1
        if select is None:
            return known
        if not self.selects:
            told = "Query option 'Select' is not allowed. To allow it, set the 'AllowedQueryOptions' property."
            raise RefusedRequestError(400, "BadRequest", told)
        fields = set(select.split(","))
        for name in sorted(fields - known):
            told = f"Could not find a property named '{name}' on type 'microsoft.graph.signIn'."
            raise RefusedRequestError(400, "BadRequest", told)
        return fields

    def _linked(self, token):
        known = self._links.get(token)
        if known is None or known[1] < self.clock.now():
            raise RefusedRequestError(400, "", "Invalid Skip Token")
        return known[0]

    def _page(self, version, report, asked, fields, top, after):
        """Newest first; ``after``: the place of the last record that was given."""
        self.pages += 1
        now = self.clock.now()
        kept, size = self._kept[report], min(top, self.page)
        given, last = [], None
        low = bisect_left(kept, max(asked.since, now - self.kept), key=lambda k: k.created)
        high = bisect_left(kept, asked.until, key=lambda k: k.created)
        for k in reversed(kept[low:high]):
            if after is not None and (k.created, k.number) >= after:
                continue
            if not k.seen_from <= now < k.seen_until or not asked.holds(k.record):
                continue
            if len(given) == size:
                break
            given.append({n: v for n, v in k.record.items() if n in fields})
            last = (k.created, k.number)
        else:
            last = None
        document = {"@odata.context": f"{AUDIENCE}/{version}/$metadata#auditLogs/{report}"}
        if last is not None:
            token = f"{len(self._links):032x}"
            if self.loops:
                last, token = after, f"{0:032x}"
            until = now + timedelta(seconds=self.links_live)
            self._links[token] = ((version, report, asked, fields, top, last), until)
            link = f"{self.root}/{version}/auditLogs/{report}?$top={top}&$skiptoken={token}"
            document["@odata.nextLink"] = link
        return Reply(document={**document, "value": given})


@dataclass(frozen=True)
class Condition:
    since: datetime
    until: datetime
    kinds: frozenset | None  # of beta's signInEventTypes, None = any

    def holds(self, record):
        if self.kinds is None:
            return True
        return bool(self.kinds & set(record["signInEventTypes"]))


def condition(report, version, text):
    """A filter by time, and by kind of sign-in; others are refused as Graph refuses them."""
    since, until = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    tick = timedelta(microseconds=1)
    kinds = frozenset({"interactiveUser"}) if report == "signIns" else None
    for term in text.split(" and ") if text else ():
        chosen, compared = _ANY.fullmatch(term), _COMPARED.fullmatch(term)
        if chosen and version == "beta" and report == "signIns":
            kinds = frozenset(re.findall(r"'(\w+)'", chosen[1]))
        elif chosen:
            told = "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'."
            raise RefusedRequestError(400, "BadRequest", told)
        elif compared and compared[1] == TIMES[report]:
            try:
                moment = datetime.fromisoformat(compared[3]).astimezone(UTC)
            except ValueError:
                raise RefusedRequestError(400, "BadRequest", "Invalid filter clause") from None
            if compared[2] in {"ge", "gt", "eq"}:
                since = max(since, moment + tick * (compared[2] == "gt"))
            if compared[2] in {"le", "lt", "eq"}:
                until = min(until, moment + tick * (compared[2] != "lt"))
        else:
            raise RefusedRequestError(400, "BadRequest", "Invalid filter clause")
    return Condition(since, until, kinds)
