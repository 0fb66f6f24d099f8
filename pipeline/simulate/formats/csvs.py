"""The CSV forms: Log Analytics, the Entra portal, Purview, Search-UnifiedAuditLog.

Headers as seen in the field; the portal's oddities (two blanks, trailing blanks, one
column twice) are kept on purpose, readers have to bear them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeline.simulate.catalog import RESOURCES, SIGNIN_SOFTWARE
from pipeline.simulate.codes import INTERRUPTS, REASONS
from pipeline.simulate.formats.entra import CATEGORIES, NOBODY, PARTNER, iso, latencies
from pipeline.simulate.formats.entra_full import text
from pipeline.simulate.formats.mail import AuditTexts, record_type
from pipeline.simulate.population import GHOST, GUEST
from pipeline.simulate.rows import OPERATIONS, guids

if TYPE_CHECKING:
    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

ANALYTICS_HEADER: Final = (
    "TenantId,SourceSystem,TimeGenerated,ResourceId,OperationName,Category,ResultType,"
    "ResultDescription,CorrelationId,Location,AppDisplayName,AppId,ClientAppUsed,"
    "ConditionalAccessStatus,CreatedDateTime,DeviceDetail,IsInteractive,Id,IPAddress,"
    "LocationDetails,ResourceDisplayName,ResourceIdentity,ResourceTenantId,HomeTenantId,Status,"
    "UserAgent,UserDisplayName,UserId,UserPrincipalName,UserType,AutonomousSystemNumber,"
    "{latency},AADTenantId,Type"
)
ANALYTICS_TABLES: Final = ("SigninLogs", "AADNonInteractiveUserSignInLogs")
PORTAL_HEADER: Final = (
    "Date (UTC),Request ID,User agent,Correlation ID,User ID,User,Username,User type,"
    "Cross tenant access type,Incoming token type,Authentication Protocol,"
    "Unique token identifier,Original transfer method,Client credential type,"
    "Token Protection - Sign In Session,Token Protection - Sign In Session StatusCode,"
    "Application,Application ID ,App owner tenant ID,Resource,Resource ID ,Resource tenant ID,"
    "Resource owner tenant ID,Home tenant ID,Home tenant name,IP address,Location,Status,"
    "Sign-in error code,Failure reason,Client app,Device ID,Browser,Operating System,Compliant,"
    "Managed,Join Type,Multifactor authentication result,Multifactor authentication auth method,"
    "Multifactor authentication auth detail,Authentication requirement,Sign-in identifier,"
    "Session ID,IP address (seen by resource),Through Global Secure Access,"
    "Global Secure Access IP address,Autonomous system  number,Flagged for review,"
    "Token issuer type,Incoming token type,Token issuer name,Latency,Conditional Access,"
    "Managed Identity type,Associated Resource Id,Federated Token Id,Federated Token Issuer"
)
PORTAL_NAMES: Final = ("InteractiveSignIns", "NonInteractiveSignIns")
PURVIEW_HEADER: Final = "CreationDate,UserIds,Operations,AuditData"
UAL_HEADER: Final = (
    "RecordType,CreationDate,UserIds,Operations,AuditData,ResultIndex,ResultCount,Identity,"
    "IsValid,ObjectState"
)
_UAL_TYPES: Final = {50: "ExchangeItemAggregated", 2: "ExchangeItem", 3: "ExchangeItemGroup"}


def cell(value: Any) -> str:
    """One CSV cell, quoted when it has to be."""
    out = str(value)
    if any(c in out for c in ',"\r\n'):
        return '"' + out.replace('"', '""') + '"'
    return out


def row(*values: Any) -> str:
    """One CSV line without its end."""
    return ",".join(map(cell, values))


class SigninTables:
    """Sign-in rows as lines of the two CSV exports."""

    def __init__(self, world: World) -> None:
        self.world = world
        people = world.people
        tenant = world.spec.tenant
        kinds = people.accounts.kind.tolist()
        self.home = [PARTNER if k == GUEST else tenant for k in kinds]
        self.ids = [
            NOBODY if k == GHOST else i
            for k, i in zip(kinds, people.accounts.object_id, strict=True)
        ]
        self.user_type = ["Guest" if k == GUEST else "Member" for k in kinds]
        self.resources = list(RESOURCES.values())

    def _rows(self, rows: Rows) -> Any:
        seed = self.world.spec.seed
        names = ("account", "software", "ip", "resource", "code", "category")
        return zip(
            guids(seed + 51, rows["serial"]),
            iso(rows["t"]),
            iso(rows["avail"]),
            guids(seed + 53, rows["corr"]),
            latencies(seed, rows),
            *(rows[n].tolist() for n in names),
            strict=True,
        )

    def analytics(self, rows: Rows) -> list[str]:
        """Lines of SigninLogs or AADNonInteractiveUserSignInLogs."""
        tenant, people = self.world.spec.tenant, self.world.people
        workspace = "8d1c6d1e-0f3b-4a52-9c77-2b6f7a10c4d2"
        out = []
        for rid, t, at, corr, ms, a, s, ip, r, code, kind in self._rows(rows):
            soft, net = SIGNIN_SOFTWARE[s], people.networks[ip]
            device = {"operatingSystem": soft.system, "browser": soft.browser}
            where = {"countryOrRegion": net.country, "city": net.city, "state": net.state}
            status: dict[str, Any] = {"errorCode": code}
            if code:
                status["failureReason"] = REASONS[code]
            out.append(
                row(
                    workspace, "Azure AD", f"{at}0Z", f"/tenants/{tenant}/providers/Microsoft.aadiam",
                    "Sign-in activity", CATEGORIES[kind], code, REASONS[code], corr, net.country,
                    soft.app_name, soft.app_id, soft.used,
                    "failure" if code == 53003 else "success", f"{t}0Z", text(device),
                    "true" if kind == 0 else "false", rid, people.addresses[ip], text(where),
                    self.resources[r][1], self.resources[r][0], tenant, self.home[a],
                    text(status), soft.agent, people.accounts.name[a], self.ids[a],
                    people.accounts.upn[a], self.user_type[a], net.asn, ms, tenant,
                    ANALYTICS_TABLES[min(kind, 1)],
                )
            )  # fmt: skip
        return out

    def portal(self, rows: Rows) -> list[str]:
        """Lines of the portal's download; nested arrays are left out there."""
        tenant, people = self.world.spec.tenant, self.world.people
        out = []
        for rid, t, _, corr, ms, a, s, ip, r, code, _kind in self._rows(rows):
            soft, net = SIGNIN_SOFTWARE[s], people.networks[ip]
            status = "Success" if not code else "Interrupted" if code in INTERRUPTS else "Failure"
            out.append(
                row(
                    f"{t[:19]}Z", rid, soft.agent, corr, self.ids[a], people.accounts.name[a],
                    people.accounts.upn[a], self.user_type[a].lower(), "none", "none", "none", "",
                    "none", "none", "unbound", "1002", soft.app_name, soft.app_id, tenant,
                    self.resources[r][1], self.resources[r][0], tenant, tenant, self.home[a], "",
                    people.addresses[ip], f"{net.city}, {net.state}, {net.country}", status, code,
                    REASONS[code] if code else "Other.", soft.used, "", soft.browser, soft.system,
                    "", "", "", "", "", "", "singleFactorAuthentication",
                    people.accounts.upn[a], "", "", "false", "", net.asn, "false", "AzureAD",
                    "none", "", ms, "Failure" if code == 53003 else "Success", "none", "", "", "",
                )
            )  # fmt: skip
        return out


class AuditTables(AuditTexts):
    """Mailbox audit rows as lines of the two CSV exports."""

    def purview(self, rows: Rows) -> list[str]:
        """Lines of the Purview export."""
        return [
            row(f"{t}0Z", user, operation, data)
            for t, user, operation, data in zip(
                iso(rows["t"]), self._upns(rows), self._operations(rows), self.records(rows),
                strict=True,
            )
        ]  # fmt: skip

    def search(self, rows: Rows, first: int, total: int) -> list[str]:
        """Lines of Search-UnifiedAuditLog piped into Export-Csv, with its American dates."""
        moments = rows["t"].astype("M8[us]")
        kinds = [
            _UAL_TYPES[record_type(o, s)]
            for o, s in zip(rows["operation"].tolist(), rows["sync"].tolist(), strict=True)
        ]
        ids = guids(self.world.spec.seed + 61, rows["serial"])
        return [
            row(kind, day, user, operation, data, i, total, rid, "True", "Unchanged")
            for i, (kind, day, user, operation, data, rid) in enumerate(
                zip(
                    kinds, map(_american, moments.tolist()), self._upns(rows),
                    self._operations(rows), self.records(rows), ids, strict=True,
                ),
                start=first,
            )
        ]  # fmt: skip

    def _upns(self, rows: Rows) -> list[str]:
        upn = self.world.people.accounts.upn
        return [upn[a] for a in rows["account"].tolist()]

    def _operations(self, rows: Rows) -> list[str]:
        return [OPERATIONS[o] for o in rows["operation"].tolist()]


def _american(moment: Any) -> str:
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"
