"""Records of the unified audit log, in the schema of the Management Activity API."""

from __future__ import annotations

import uuid

from tests.services.entra import TENANT

USER = "adele.vance@contoso.example"
ADDRESS = "203.0.113.77"


def record(number, at, *, users=40, **changes):
    """One MailItemsAccessed record; its Id is its number."""
    return {
        "Id": str(uuid.UUID(int=number)),
        "RecordType": 50,
        "CreationTime": f"{at:%Y-%m-%dT%H:%M:%S}",
        "Operation": "MailItemsAccessed",
        "OrganizationId": TENANT,
        "UserType": 0,
        "UserKey": f"10032000{number % users:04X}ABCD",
        "Workload": "Exchange",
        "ResultStatus": "Succeeded",
        "UserId": USER,
        "ClientIPAddress": ADDRESS,
        "ClientInfoString": "Client=OWA;Action=ViaProxy",
        "ExternalAccess": False,
        "LogonType": 0,
        "MailboxGuid": str(uuid.UUID(int=7000 + number % users)),
        "MailboxOwnerUPN": USER,
        "OperationCount": 2,
        "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
        **changes,
    }
