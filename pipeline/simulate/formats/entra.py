"""Sign-in records as JSON: Event Hubs envelopes and Graph objects (v1.0 and beta).

Field names and shapes after Microsoft's description of the sign-in log schema and of the
Graph ``signIn`` resource. Text that a whole list of rows shares is written once and looked
up by index: a million records in some seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.simulate.catalog import RESOURCES, SIGNIN_SOFTWARE
from pipeline.simulate.codes import REASONS
from pipeline.simulate.formats.entra_full import FULL_TAIL, inner
from pipeline.simulate.population import GHOST, GUEST
from pipeline.simulate.rows import chance, guids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.catalog import Software
    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

CATEGORIES: Final = (
    "SignInLogs",
    "NonInteractiveUserSignInLogs",
    "ServicePrincipalSignInLogs",
    "ManagedIdentitySignInLogs",
)
EVENT_TYPES: Final = (
    "interactiveUser",
    "nonInteractiveUser",
    "servicePrincipal",
    "managedIdentity",
)
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
PARTNER: Final = "5d0f6b1e-7c2a-4e94-b8d3-61f20a9c7e55"
_SLOW: Final = (90024, 90025, 90033, 50033, 50000, 90055)
# User agents this short, or naming new Outlook, decide the client; the rest is long.
_TELLING: Final = 40


def iso(t: NDArray[np.int64], unit: str = "us") -> list[str]:
    """Microseconds as ISO 8601 without a zone."""
    return [str(s) for s in np.datetime_as_string(t.astype("M8[us]"), unit=unit)]  # type: ignore[call-overload] # numpy's stub wants a literal


def latencies(seed: int, rows: Rows) -> list[int]:
    """Processing times in milliseconds; faults of the service take ten times as long."""
    draw = chance(seed + 31, rows["serial"])
    slow = np.where(np.isin(rows["code"], _SLOW), 10, 1)
    out: list[int] = (slow * (60 + 180 * draw + 500 * draw**8)).astype(np.int64).tolist()
    return out


class SigninTexts:
    """The looked-up parts of every sign-in record of one tenant.

    Lists have one more entry at the end, which index -1 (no user, no address) finds.
    """

    def __init__(self, world: World, *, full: bool, version: str) -> None:
        self.world, self.full, self.version = world, full, version
        self.beta = version != "v1"
        self.users = [self._user(i) for i in range(world.people.accounts.kind.size)]
        self.users.append(inner({"userId": "", "userPrincipalName": ""}))
        self.software = [self._software(s) for s in SIGNIN_SOFTWARE]
        self.resources = [
            inner(({"resourceDisplayName": name} if full else {}) | {"resourceId": rid})
            for rid, name in RESOURCES.values()
        ]
        self.places = [self._place(i) for i in range(len(world.people.addresses))]
        self.places.append(inner({"ipAddress": ""}))
        self.status = {code: self._status(code) for code in REASONS}
        self.kinds = [self._kind(i) for i in range(4)]
        self.tail = FULL_TAIL if full else ""

    def _user(self, i: int) -> str:
        people = self.world.people.accounts
        ghost, guest = people.kind[i] == GHOST, people.kind[i] == GUEST
        tenant = self.world.spec.tenant
        user: dict[str, Any] = {
            "userId": NOBODY if ghost else people.object_id[i],
            "userPrincipalName": people.upn[i],
        }
        if self.full:
            user |= {"userDisplayName": people.name[i], "signInIdentifier": people.upn[i]}
        if self.beta and (self.full or guest):
            user |= {
                "homeTenantId": PARTNER if guest else tenant,
                "resourceTenantId": tenant,
                "crossTenantAccessType": "b2bCollaboration" if guest else "none",
                "userType": "guest" if guest else "member",
            }
        elif self.version == "beta":
            # Nothing else names the tenant in this form.
            user |= {"homeTenantId": tenant, "resourceTenantId": tenant}
        return inner(user)

    def _software(self, soft: Software) -> str:
        out: dict[str, Any] = {"appId": soft.app_id, "clientAppUsed": soft.used}
        if self.full:
            out["appDisplayName"] = soft.app_name
        agent = soft.agent
        if self.beta and agent and (self.full or len(agent) < _TELLING or "OneOutlook" in agent):
            out["userAgent"] = agent
        device: dict[str, Any] = {"operatingSystem": soft.system}
        if self.full:
            managed = soft.system.startswith("Windows")
            device = {
                "deviceId": "",
                "displayName": "",
                "operatingSystem": soft.system,
                "browser": soft.browser,
                "isCompliant": managed,
                "isManaged": managed,
                "trustType": "Azure AD joined" if managed else "",
            }
        out["deviceDetail"] = device
        return inner(out)

    def _place(self, i: int) -> str:
        net = self.world.people.networks[i]
        where: dict[str, Any] = {"countryOrRegion": net.country}
        if self.full:
            point = {"latitude": net.latitude, "longitude": net.longitude}
            where = {"city": net.city, "state": net.state, **where, "geoCoordinates": point}
        out: dict[str, Any] = {"ipAddress": self.world.people.addresses[i], "location": where}
        if self.beta:
            out["autonomousSystemNumber"] = net.asn
        return inner(out)

    def _status(self, code: int) -> str:
        status: dict[str, Any] = {"errorCode": code}
        if self.version == "eventhub":
            if code and self.full:
                status["failureReason"] = REASONS[code]
        elif code or self.full:
            status["failureReason"] = REASONS[code] or "Other."
            status["additionalDetails"] = None
        out: dict[str, Any] = {"status": status}
        if self.full:
            out["conditionalAccessStatus"] = "failure" if code == 53003 else "success"
        return inner(out)

    def _kind(self, i: int) -> str:
        out: dict[str, Any] = {"isInteractive": i == 0}
        if self.beta and self.version != "eventhub":
            out["signInEventTypes"] = [EVENT_TYPES[i]]
        return inner(out)

    def objects(self, rows: Rows) -> list[str]:
        """The Graph-like object of each row."""
        seed = self.world.spec.seed
        digits = "" if self.version == "v1" else "0"
        return [
            f'{{"id":"{rid}","createdDateTime":"{t}{digits}Z","correlationId":"{corr}",'
            f"{self.users[a]}{self.software[s]}{self.places[ip]}{self.resources[r]}"
            f'{self.status[code]}{self.kinds[c]}{self.tail}"processingTimeInMilliseconds":{ms}}}'
            for rid, t, corr, a, s, ip, r, code, c, ms in zip(
                guids(seed + 51, rows["serial"]),
                iso(rows["t"], "s" if self.version == "v1" else "us"),
                guids(seed + 53, rows["corr"]),
                rows["account"].tolist(),
                rows["software"].tolist(),
                rows["ip"].tolist(),
                rows["resource"].tolist(),
                rows["code"].tolist(),
                rows["category"].tolist(),
                latencies(seed, rows),
                strict=True,
            )
        ]


class EventHubTexts(SigninTexts):
    """Records in the envelope of Azure Monitor (Event Hubs, storage accounts)."""

    def __init__(self, world: World, *, full: bool) -> None:
        super().__init__(world, full=full, version="eventhub")
        tenant = world.spec.tenant
        where = {"resourceId": f"/tenants/{tenant}/providers/Microsoft.aadiam"} if full else {}
        self.heads = [
            inner(
                {
                    **where,
                    "operationName": "Sign-in activity",
                    **({"operationVersion": "1.0"} if full else {}),
                    "category": name,
                    "tenantId": tenant,
                }
            )
            for name in CATEGORIES
        ]
        self.callers = [
            inner({"callerIpAddress": ip, "location": net.country} if full else {})
            for ip, net in zip(world.people.addresses, world.people.networks, strict=True)
        ]
        self.callers.append("")
        self.results = {
            code: inner(
                {"resultType": str(code)} | ({"resultDescription": why} if code and full else {})
            )
            for code, why in REASONS.items()
        }

    def records(self, rows: Rows) -> list[str]:
        """The enveloped record of each row."""
        corr = guids(self.world.spec.seed + 53, rows["corr"])
        return [
            f'{{"time":"{at}0Z",{self.heads[c]}{self.results[code]}{self.callers[ip]}'
            f'"correlationId":"{cid}","properties":{props}}}'
            for at, c, code, ip, cid, props in zip(
                iso(rows["avail"]),
                rows["category"].tolist(),
                rows["code"].tolist(),
                rows["ip"].tolist(),
                corr,
                self.objects(rows),
                strict=True,
            )
        ]
