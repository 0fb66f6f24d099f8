"""Every source of logs in the product, through the one list of checks."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.normalise.settings import NormaliseSettings
from connectors.sources.activity import ActivitySource
from connectors.sources.audit_query import AuditQuerySource
from connectors.sources.blobs import Blobs
from connectors.sources.directory_audits import DirectoryAudits
from connectors.sources.files import FilesSource
from connectors.sources.graph_signins import GraphSignins
from tests.contracts.source_checks import SOURCE_CHECKS, SourceCase
from tests.live_sources import activity_case, audit_query_case, graph_tenant, storage_account
from tests.live_sources.bounded import UntilAtRest, UntilQuiet
from tests.services import audit_records, diagnostics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.model.contracts import Source

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


@pytest.fixture
def graph_signins() -> Iterator[SourceCase]:
    hour = graph_tenant.HOUR
    with graph_tenant.tenant(page=50, limit=None) as world:
        world.budget = None
        expected = graph_tenant.traffic(world.graph, graph_tenant.START, 5, 40)
        odd = graph_tenant.signed_in(10**6, graph_tenant.START + hour)
        world.graph.add("signIns", odd)
        odd["createdDateTime"] = f"yesterday, says {USER}"
        world.clock.advance(10 * hour)
        yield SourceCase(
            make=lambda: UntilAtRest(world.signins(lookback=12 * hour)),
            events=len(expected),
            rejects=1,
            secrets=(*graph_tenant.SECRETS, "yesterday"),
        )


@pytest.fixture
def directory_audits() -> Iterator[SourceCase]:
    minute = graph_tenant.MINUTE
    with graph_tenant.tenant(page=20, limit=None) as world:
        world.budget = None
        for number in range(60):
            record = graph_tenant.changed(number, graph_tenant.START + number * minute)
            world.graph.add("directoryAudits", record)
        # The last ones are so young that they will be looked for again.
        world.clock.advance(80 * minute)
        yield SourceCase(
            make=lambda: UntilAtRest(world.audits(lookback=3 * graph_tenant.HOUR)),
            events=60,
            secrets=graph_tenant.SECRETS,
        )


@pytest.fixture
def blobs() -> Iterator[SourceCase]:
    hour, start = storage_account.HOUR, storage_account.START
    signins, quiet = storage_account.SIGNINS, storage_account.QUIET
    with storage_account.account() as world:
        damaged = b'{"id": "' + USER.encode() + b'", "cre\n'
        machine = json.dumps(diagnostics.machine(50)).encode() + b"\n"
        lines = storage_account.lines
        world.storage.append(signins, start - 2 * hour, lines(*range(5)) + damaged)
        world.storage.append(signins, start - hour, lines(*range(5, 9)) + machine)
        world.storage.append(quiet, start, diagnostics.page([20, 21]))
        options = {"most_records": 1, "lookback": 3 * hour}
        yield SourceCase(
            make=lambda: UntilQuiet(storage_account.reader(world, signins, quiet, **options)),
            events=11,
            ignored=1,
            rejects=1,
            secrets=diagnostics.PERSONAL,
        )


@pytest.fixture
def activity() -> Iterator[SourceCase]:
    hour, minute = activity_case.HOUR, activity_case.MINUTE
    with activity_case.rig(page=10) as made:
        made.service.subscribe()
        for number in range(90):
            made.blob(5 * hour - number * minute)
        odd = made.blob(hour, count=3)
        odd.records[0]["CreationTime"] = f"yesterday, says {USER}"
        odd.records[1]["RecordType"] = 1  # a change by an administrator
        lookback = 6 * hour
        yield SourceCase(
            make=lambda: UntilAtRest(made.make(lookback=lookback)),
            events=90 * 4 + 1,
            ignored=1,
            rejects=1,
            secrets=(audit_records.USER, audit_records.ADDRESS, "yesterday"),
        )


@pytest.fixture
def audit_query() -> Iterator[SourceCase]:
    hour, second = audit_query_case.HOUR, audit_query_case.SECOND
    with audit_query_case.rig(takes=0.0, page=30) as made:
        made.service.same_names, made.service.every = True, 0 * second
        made.lookback = 5 * hour
        for number in range(400):
            made.happened(number, 3 * hour - number * second)
        yield SourceCase(
            make=lambda: UntilAtRest(made.make()),
            events=400,
            secrets=(audit_records.USER, audit_records.ADDRESS),
        )


# Event Hubs need a broker: tests/live_sources/test_event_hubs.py runs them through the same list.
CASES: dict[str, type[Source]] = {
    "files": FilesSource,
    "nothing": FilesSource,
    "graph_signins": GraphSignins,
    "directory_audits": DirectoryAudits,
    "blobs": Blobs,
    "activity": ActivitySource,
    "audit_query": AuditQuerySource,
}


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", CASES)
def test_source(
    name: str, check: Callable[[SourceCase], None], request: pytest.FixtureRequest
) -> None:
    check(request.getfixturevalue(name))


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_of_the_source_it_stands_for(
    name: str, request: pytest.FixtureRequest
) -> None:
    made = request.getfixturevalue(name).make()
    assert type(getattr(made, "source", made)) is CASES[name]


@pytest.mark.parametrize("name", ["files", "graph_signins", "directory_audits"])
def test_the_case_takes_several_polls(name: str, request: pytest.FixtureRequest) -> None:
    source, cursor, polls = request.getfixturevalue(name).make(), None, 0
    while True:
        poll = source.poll(cursor)
        polls += 1
        if poll.finished:
            break
        cursor = poll.cursor
    assert polls >= 3
