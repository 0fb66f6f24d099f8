"""Every source of logs in the product, through the one list of checks."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.normalise.settings import NormaliseSettings
from connectors.sources.files import FilesSource
from tests.contracts.source_checks import SOURCE_CHECKS, SourceCase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TENANT = "11111111-2222-4333-8444-555555555555"
USER = "adele.vance@contoso.example"
ADDRESS = "203.0.113.77"
SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=TENANT)


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def sign_in(number: int, **changes: Any) -> dict[str, Any]:
    """One record of Graph ``signIns``."""
    return {
        "id": guid(number),
        "createdDateTime": f"2026-03-19T08:{number % 60:02d}:00Z",
        "userDisplayName": "Adele Vance",
        "userPrincipalName": USER,
        "userId": guid(900 + number % 5),
        "appId": "9199bf20-a13f-4107-85dc-02114787ef48",
        "appDisplayName": "One Outlook Web",
        "ipAddress": ADDRESS,
        "clientAppUsed": "Browser",
        "correlationId": guid(500 + number),
        "conditionalAccessStatus": "notApplied",
        "isInteractive": True,
        "resourceDisplayName": "Office 365 Exchange Online",
        "resourceId": "00000002-0000-0ff1-ce00-000000000000",
        "status": {"errorCode": 0, "failureReason": "Other.", "additionalDetails": None},
        "deviceDetail": {"operatingSystem": "Windows10", "browser": "Edge 120.0.0"},
        "location": {"city": "Berlin", "state": "Berlin", "countryOrRegion": "DE"},
        "signInEventTypes": ["interactiveUser"],
        **changes,
    }


def mail_access(number: int) -> dict[str, Any]:
    """One MailItemsAccessed record of the mailbox audit log."""
    return {
        "Id": guid(3000 + number),
        "RecordType": 50,
        "CreationTime": f"2026-03-19T09:{number % 60:02d}:00",
        "Operation": "MailItemsAccessed",
        "OrganizationId": TENANT,
        "UserType": 0,
        "UserKey": "100320000000ABCD",
        "Workload": "Exchange",
        "ResultStatus": "Succeeded",
        "UserId": USER,
        "ClientIPAddress": ADDRESS,
        "ClientInfoString": "Client=OWA;Action=ViaProxy",
        "ExternalAccess": False,
        "LogonType": 0,
        "MailboxGuid": guid(700 + number % 4),
        "MailboxOwnerUPN": USER,
        "OperationCount": 2,
        "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
    }


@pytest.fixture
def files(tmp_path: Path) -> SourceCase:
    folder = tmp_path / "export"
    folder.mkdir()
    lines = [json.dumps(sign_in(n)) for n in range(10)]
    lines.insert(4, '{"id": "' + guid(99) + '", "userPrincipalName": "' + USER + '", "cre')
    lines.insert(7, json.dumps(sign_in(98, createdDateTime=f"yesterday, says {USER}")))
    robot = {"signInEventTypes": ["servicePrincipal"], "servicePrincipalId": guid(7)}
    lines.append(json.dumps(sign_in(97, **robot)))
    (folder / "signins.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "page.json").write_text(json.dumps({"value": [sign_in(n) for n in range(10, 15)]}))
    with gzip.open(folder / "audit.json.gz", "wt") as out:
        json.dump([mail_access(n) for n in range(6)], out)
    return SourceCase(
        make=lambda: FilesSource([str(folder)], SETTINGS, batch_rows=2),
        events=10 + 5 + 6,
        ignored=1,
        rejects=2,
        secrets=(USER, "Adele", ADDRESS, "yesterday"),
    )


@pytest.fixture
def nothing(tmp_path: Path) -> SourceCase:
    missing = str(tmp_path / "no-such-folder")
    return SourceCase(
        make=lambda: FilesSource([missing], SETTINGS), events=0, rejects=1, secrets=(USER,)
    )


CASES = ("files", "nothing")


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", CASES)
def test_source(
    name: str, check: Callable[[SourceCase], None], request: pytest.FixtureRequest
) -> None:
    check(request.getfixturevalue(name))


def test_the_case_takes_several_polls(files: SourceCase) -> None:
    source, cursor, polls = files.make(), None, 0
    while True:
        poll = source.poll(cursor)
        polls += 1
        if poll.finished:
            break
        cursor = poll.cursor
    assert polls >= 3
