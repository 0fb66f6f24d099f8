"""Records in the vendors' documented shapes, written by hand, and every form that carries them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from connectors.normalise.settings import NormaliseSettings
from connectors.normalise.tally import Tally
from connectors.sources.files import plan, read_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.model.reject import Reject

TENANT = "11111111-2222-4333-8444-555555555555"
USER = "adele.vance@contoso.example"
ADDRESS = "203.0.113.77"
SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=TENANT)
START = datetime(2026, 3, 19, 8, tzinfo=UTC)
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edg/136.0.0.0 OneOutlook/1.2025.516.400",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0",
)
APPS = (
    ("27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile", "Ios 17.3", AGENTS[0]),
    ("5d661950-3475-41cd-a2c3-d671a3162bc1", "Microsoft Outlook", "Windows11", AGENTS[1]),
    ("9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web", "Windows 10", AGENTS[2]),
    ("d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office", "MacOs", ""),
)
CODES = (0, 0, 0, 50126, 90033, 50140, 777123)


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def stamp(moment: datetime) -> str:
    """Seven digits of fraction, trailing zeros trimmed, as Entra writes it."""
    return (moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "7").rstrip("0") + "Z"


def sign_in(number: int, **changes: Any) -> dict[str, Any]:
    """One record of Graph beta ``signIns``."""
    app, name, system, agent = APPS[number % len(APPS)]
    interactive = number % 3 == 0
    return {
        "id": guid(number),
        "createdDateTime": stamp(START + timedelta(seconds=7.25 * number)),
        "userDisplayName": "Adele Vance",
        "userPrincipalName": USER,
        "userId": guid(900 + number % 5),
        "appId": app,
        "appDisplayName": name,
        "ipAddress": ADDRESS,
        "clientAppUsed": "Browser" if app.startswith("9199") else "Mobile Apps and Desktop clients",
        "userAgent": agent,
        "correlationId": guid(500 + number),
        "conditionalAccessStatus": "notApplied",
        "isInteractive": interactive,
        "processingTimeInMilliseconds": 30 + number,
        "resourceDisplayName": "Office 365 Exchange Online",
        "resourceId": EXCHANGE,
        "resourceTenantId": TENANT,
        "homeTenantId": TENANT if number % 7 else guid(77),
        "userType": "member" if number % 7 else "guest",
        "autonomousSystemNumber": 3320 if number % 2 else 0,
        "servicePrincipalId": "",
        "signInEventTypes": ["interactiveUser" if interactive else "nonInteractiveUser"],
        "status": {"errorCode": CODES[number % len(CODES)], "failureReason": 'say "no", \\ {['},
        "deviceDetail": {"operatingSystem": system, "browser": "Edge 120.0.0"},
        "location": {
            "city": "Berlin",
            "state": "Berlin",
            "countryOrRegion": "DE" if number % 4 else "",
            "geoCoordinates": {},
        },
        "appliedConditionalAccessPolicies": [
            {"id": guid(1), "displayName": "MFA für Gäste", "result": "notApplied"},
            {"id": guid(2), "displayName": "Länder }],[{", "result": "success"},
        ],
        **changes,
    }


def envelope(record: dict[str, Any], delay: float = 150) -> dict[str, Any]:
    """The same sign-in as Azure Monitor sends it."""
    created = datetime.fromisoformat(record["createdDateTime"])
    kind = "SignInLogs" if record["isInteractive"] else "NonInteractiveUserSignInLogs"
    return {
        "time": stamp(created + timedelta(seconds=delay)),
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": kind,
        "tenantId": TENANT,
        "resultType": str(record["status"]["errorCode"]),
        "resultSignature": "None",
        "durationMs": 0,
        "callerIpAddress": record["ipAddress"],
        "identity": "Adele Vance",
        "Level": 4,
        "location": record["location"]["countryOrRegion"],
        "properties": record,
    }


def analytics(record: dict[str, Any], *, strings: bool) -> dict[str, Any]:
    """The same sign-in as a row of SigninLogs or AADNonInteractiveUserSignInLogs."""
    monitor = envelope(record)
    inner: Callable[[Any], Any] = json.dumps if strings else lambda value: value
    return {
        "TenantId": guid(4242),  # the workspace
        "SourceSystem": "Azure AD",
        "TimeGenerated": monitor["time"],
        "ResourceId": monitor["resourceId"],
        "Category": monitor["category"],
        "ResultType": monitor["resultType"],
        "CorrelationId": record["correlationId"],
        "Location": record["location"]["countryOrRegion"],
        "AADTenantId": TENANT,
        "AppDisplayName": record["appDisplayName"],
        "AppId": record["appId"],
        "ClientAppUsed": record["clientAppUsed"],
        "CreatedDateTime": record["createdDateTime"],
        "DeviceDetail": inner(record["deviceDetail"]),
        "Status": inner(record["status"]),
        "LocationDetails": inner(record["location"]),
        "Id": record["id"],
        "IPAddress": record["ipAddress"],
        "IsInteractive": record["isInteractive"],
        "ResourceDisplayName": record["resourceDisplayName"],
        "ResourceIdentity": record["resourceId"],
        "ResourceTenantId": record["resourceTenantId"],
        "HomeTenantId": record["homeTenantId"],
        "UserAgent": record["userAgent"],
        "UserId": record["userId"],
        "UserPrincipalName": record["userPrincipalName"],
        "UserType": record["userType"],
        "AutonomousSystemNumber": str(record["autonomousSystemNumber"]),
        "ProcessingTimeInMilliseconds": str(record["processingTimeInMilliseconds"]),
        "Type": "SigninLogs",
    }


def portal(record: dict[str, Any]) -> dict[str, Any]:
    """The same sign-in as a row of the portal's CSV, headers with their blanks."""
    place = record["location"]
    return {
        "Date (UTC)": record["createdDateTime"],
        "Request ID": record["id"],
        "User agent": record["userAgent"],
        "Correlation ID": record["correlationId"],
        "User ID": record["userId"],
        "User": record["userDisplayName"],
        "Username": record["userPrincipalName"],
        "User type": record["userType"],
        "Incoming token type": "none",
        "Application": record["appDisplayName"],
        "Application ID ": record["appId"],
        "Resource": record["resourceDisplayName"],
        "Resource ID ": record["resourceId"],
        "Resource tenant ID": record["resourceTenantId"],
        "Home tenant ID": record["homeTenantId"],
        "IP address": record["ipAddress"],
        "Location": f"{place['city']}, {place['state']}, {place['countryOrRegion']}",
        "Status": "Success" if record["status"]["errorCode"] == 0 else "Failure",
        "Sign-in error code": record["status"]["errorCode"],
        "Client app": record["clientAppUsed"],
        "Browser": record["deviceDetail"]["browser"],
        "Operating System": record["deviceDetail"]["operatingSystem"],
        "Autonomous system  number": record["autonomousSystemNumber"],
        "Latency": record["processingTimeInMilliseconds"],
    }


def mail_access(number: int, **changes: Any) -> dict[str, Any]:
    """One MailItemsAccessed record of the mailbox audit log."""
    clients = (
        "Client=OWA;Action=ViaProxy",
        "Client=OutlookService;Outlook-iOS/2.0;",
        "Client=REST;Client=RESTSystem;;",
        "Client=Rest;MacOutlook",
    )
    return {
        "Id": guid(3000 + number),
        "RecordType": 50,
        "CreationTime": (START + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S"),
        "Operation": "MailItemsAccessed",
        "OrganizationId": TENANT,
        "UserType": 0,
        "UserKey": "100320000000ABCD",
        "Workload": "Exchange",
        "ResultStatus": "Succeeded",
        "UserId": USER,
        "ClientIPAddress": ADDRESS,
        "ClientInfoString": clients[number % len(clients)],
        "ExternalAccess": False,
        "LogonType": 0,
        "MailboxGuid": guid(700 + number % 4),
        "MailboxOwnerUPN": USER,
        "OperationCount": 1 + number % 3,
        "OperationProperties": [
            {"Name": "MailAccessType", "Value": "Bind" if number % 2 else "Sync"},
            {"Name": "IsThrottled", "Value": "True" if number % 5 == 0 else "False"},
        ],
        **changes,
    }


def lines(records: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records)


def table(rows: Sequence[dict[str, Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    # Parquet knows no struct without a field.
    plain = json.loads(json.dumps(rows).replace(', "geoCoordinates": {}', ""))
    pq.write_table(pa.Table.from_pylist(plain), out)
    return out.getvalue()


def packed_gzip(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0" * 512


def packed_zstd(data: bytes) -> bytes:
    return zstandard.compress(data[:100]) + zstandard.compress(data[100:])


class Read:
    """Everything that some paths gave."""

    def __init__(
        self, *paths: Path | str, settings: NormaliseSettings = SETTINGS, **options: Any
    ) -> None:
        sizes = {"slice_bytes": options.pop("slice_bytes")} if "slice_bytes" in options else {}
        self.plan = plan([str(p) for p in paths], **sizes)
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[Reject] = list(self.plan.rejects)
        self.received = self.ignored = self.bytes_read = 0
        self.tally = Tally()
        self.revealed: dict[int, str] = {}
        for unit in self.plan.units:
            for part in read_unit(unit, settings, **options):
                assert part.received == part.batch.num_rows + part.ignored + len(part.rejects)
                self.rows += part.batch.to_pylist()
                self.rejects += part.rejects
                self.received += part.received
                self.ignored += part.ignored
                self.bytes_read += part.bytes_read
                self.tally.merge(part.tally)
                self.revealed |= part.revealed

    @property
    def events(self) -> list[dict[str, Any]]:
        return sorted(self.rows, key=lambda r: r["event_id"])
