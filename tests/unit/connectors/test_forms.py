"""The same records give the same events, whatever form carries them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.connectors import vendor_records as v

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [v.sign_in(n) for n in range(60)]
INTERACTIVE = [r for r in RECORDS if r["isInteractive"]]
BACKGROUND = [r for r in RECORDS if not r["isInteractive"]]
ENVELOPES = [v.envelope(r) for r in RECORDS]
AUDITS = [v.mail_access(n) for n in range(40)]
ARRIVAL = ("received_time",)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def query_result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0])
    columns = [{"name": n, "type": "string"} for n in names]
    return {
        "tables": [{"name": "T", "columns": columns, "rows": [[r[n] for n in names] for r in rows]}]
    }


def ual(record: dict[str, Any]) -> dict[str, Any]:
    """A row of Search-UnifiedAuditLog."""
    return {
        "RecordType": "ExchangeItemAggregated",
        "CreationDate": "3/19/2026 8:00:00 AM",
        "UserIds": record["UserId"],
        "Operations": record["Operation"],
        "AuditData": json.dumps(record),
        "ResultIndex": 1,
        "ResultCount": 40,
        "Identity": record["Id"],
    }


def audit_query(record: dict[str, Any]) -> dict[str, Any]:
    """A record of Graph ``auditLogQuery``."""
    return {
        "id": record["Id"],
        "createdDateTime": record["CreationTime"] + "Z",
        "auditLogRecordType": "exchangeItemAggregated",
        "operation": record["Operation"],
        "organizationId": record["OrganizationId"],
        "userId": record["UserId"],
        "service": "Exchange",
        "clientIp": record["ClientIPAddress"],
        "auditData": record,
    }


# Files of each form, by name; what the form cannot carry.
SIGNIN_FORMS: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "array": ({"a": compact(RECORDS)}, ARRIVAL),
    "array, pretty": ({"a": json.dumps(RECORDS, indent=2).encode()}, ARRIVAL),
    "array, a record a line": (
        {"a": b"[\n" + b",\n".join(compact(r) for r in RECORDS) + b"\n]\n"},
        ARRIVAL,
    ),
    "graph page": (
        {"a": compact({"@odata.context": "x#y", "value": RECORDS, "@odata.nextLink": "z"})},
        ARRIVAL,
    ),
    "graph pages, one a line": (
        {
            "a": v.lines(
                [{"@odata.context": "x", "value": RECORDS[i : i + 7]} for i in range(0, 60, 7)]
            )
        },
        ARRIVAL,
    ),
    "plain objects, pretty, one behind the other": (
        {"a": b"\n".join(json.dumps(r, indent=1).encode() for r in RECORDS)},
        ARRIVAL,
    ),
    "json lines, no newline at the end": ({"a": v.lines(RECORDS)[:-1]}, ARRIVAL),
    "json lines, blank lines and CRLF": (
        {"a": v.lines(RECORDS).replace(b"\n", b"\r\n\r\n")},
        ARRIVAL,
    ),
    "utf-8 with a mark": ({"a": b"\xef\xbb\xbf" + v.lines(RECORDS)}, ARRIVAL),
    "utf-16": ({"a": v.lines(RECORDS).decode().encode("utf-16")}, ARRIVAL),
    "utf-16, big end first, no mark": (
        {"a": compact(RECORDS).decode().encode("utf-16-be")},
        ARRIVAL,
    ),
    "gzip": ({"a": v.packed_gzip(v.lines(RECORDS))}, ARRIVAL),
    "gzip page": ({"a": v.packed_gzip(compact({"value": RECORDS}))}, ARRIVAL),
    "zstd": ({"a": v.packed_zstd(v.lines(RECORDS))}, ARRIVAL),
    "event hub messages": (
        {"a": v.lines([{"records": ENVELOPES[i : i + 9]} for i in range(0, 60, 9)])},
        (),
    ),
    "event hub message": ({"a": compact({"records": ENVELOPES})}, ()),
    "split records": ({"a": v.lines(ENVELOPES)}, ()),
    "storage blobs": (
        {
            f"tenantId={v.TENANT}/y=2026/m=03/d=19/h={h:02d}/m=00/PT1H.json": v.lines(
                ENVELOPES[30 * h : 30 * h + 30]
            )
            for h in range(2)
        },
        (),
    ),
    "wrapped by a forwarder": ({"a": v.lines([{"log": json.dumps(e)} for e in ENVELOPES])}, ()),
    "log analytics json": ({"a": compact([v.analytics(r, strings=False) for r in RECORDS])}, ()),
    "log analytics json, objects in strings": (
        {"a": v.lines([v.analytics(r, strings=True) for r in RECORDS])},
        (),
    ),
    "log analytics query": (
        {"a": compact(query_result([v.analytics(r, strings=True) for r in RECORDS]))},
        (),
    ),
    "log analytics csv": ({"a": v.table([v.analytics(r, strings=True) for r in RECORDS])}, ()),
    "portal csv": (
        {
            "InteractiveSignIns.csv": v.table([v.portal(r) for r in INTERACTIVE]),
            "NonInteractiveSignIns.csv": v.table([v.portal(r) for r in BACKGROUND]),
        },
        ARRIVAL,
    ),
    "portal csv with semicolons, gzip": (
        {
            "InteractiveSignIns.csv": v.packed_gzip(
                v.table([v.portal(r) for r in INTERACTIVE], ";")
            ),
            "NonInteractiveSignIns.csv": v.table([v.portal(r) for r in BACKGROUND], ";"),
        },
        ARRIVAL,
    ),
    "parquet": ({"a": v.parquet(RECORDS)}, ARRIVAL),
    "parquet of envelopes": ({"a": v.parquet(ENVELOPES)}, ()),
    "parquet of log analytics": (
        {"a": v.parquet([v.analytics(r, strings=True) for r in RECORDS])},
        (),
    ),
}
AUDIT_FORMS: dict[str, bytes] = {
    "activity api blob": compact(AUDITS),
    "json lines": v.lines(AUDITS),
    "purview csv": v.table(
        [
            {k: ual(r)[k] for k in ("CreationDate", "UserIds", "Operations", "AuditData")}
            for r in AUDITS
        ]
    ),
    "newer purview csv": v.table(
        [{"RecordId": r["Id"], "UserId": r["UserId"], "AuditData": json.dumps(r)} for r in AUDITS]
    ),
    "search-unifiedauditlog csv": b"#TYPE X\r\n" + v.table([ual(r) for r in AUDITS]),
    "search-unifiedauditlog json": v.lines([ual(r) for r in AUDITS]),
    "audit query": compact({"value": [audit_query(r) for r in AUDITS]}),
    "hunting table": compact([{"RawEventData": r, "ActionType": "x"} for r in AUDITS]),
    "strings for numbers": compact(
        [
            {**r, "RecordType": "50", "LogonType": "0", "OperationCount": str(r["OperationCount"])}
            for r in AUDITS
        ]
    ),
    "parquet": v.parquet(AUDITS),
    "sentinel officeactivity": compact(
        [
            {
                "TimeGenerated": r["CreationTime"] + "Z",
                "OfficeId": r["Id"],
                "RecordType": "ExchangeItemAggregated",
                "OfficeWorkload": "Exchange",
                "Client_IPAddress": "",
                "ClientIP": r["ClientIPAddress"],
                "Logon_Type": "Owner",
                "OperationProperties": json.dumps(r["OperationProperties"]),
                **{
                    k: r[k]
                    for k in [
                        "Operation",
                        "OrganizationId",
                        "ResultStatus",
                        "UserId",
                        "ClientInfoString",
                        "MailboxGuid",
                        "MailboxOwnerUPN",
                        "OperationCount",
                    ]
                },
            }
            for r in AUDITS
        ]
    ),
}


def without(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{k: x for k, x in row.items() if k not in columns} for row in rows]


def read(folder: Path, files: dict[str, bytes], **options: Any) -> v.Read:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return v.Read(folder, **options)


@pytest.mark.parametrize("form", SIGNIN_FORMS)
def test_sign_ins_in_every_form_give_the_same_events(form: str, tmp_path: Path) -> None:
    files, lost = SIGNIN_FORMS[form]
    found = read(tmp_path / "found", files)
    wanted = read(tmp_path / "wanted", {"a": v.lines(ENVELOPES)})
    assert not found.rejects
    assert len(wanted.events) == len(RECORDS)
    assert without(found.events, lost) == without(wanted.events, lost)


@pytest.mark.parametrize("form", AUDIT_FORMS)
def test_audit_records_in_every_form_give_the_same_events(form: str, tmp_path: Path) -> None:
    found = read(tmp_path / "found", {"a": AUDIT_FORMS[form]})
    wanted = read(tmp_path / "wanted", {"a": v.lines(AUDITS)})
    assert not found.rejects
    assert len(wanted.events) == len(AUDITS)
    assert found.events == wanted.events


def test_what_the_events_of_the_reference_form_say(tmp_path: Path) -> None:
    events = read(tmp_path, {"a": v.lines(ENVELOPES)}).events
    assert [e["client"] for e in events[:4]] == [
        "outlook_ios",
        "outlook_windows_new",
        "owa",
        "outlook_mac",
    ]
    assert {e["service"] for e in events} == {"exchange_online"}
    assert {e["tenant"] for e in events} == {v.TENANT}
    assert [e["source"] for e in events[:2]] == ["entra_signin", "entra_signin_noninteractive"]
    assert [e["outcome"] for e in events[:7]] == [
        "success",
        "success",
        "success",
        "user_error",
        "service_fault",
        "interrupt",
        "unknown_failure",
    ]
    assert [e["error_code"] for e in events[:7]] == list(v.CODES)
    assert [e["flags"] for e in events[:8]] == [2, 0, 0, 0, 0, 0, 0, 2]
    assert events[1]["network"] == "AS3320"
    assert events[0]["network"].startswith("net-")
    assert events[0]["country"] is None
    assert events[1]["country"] == "DE"
    assert events[1]["client_version"] == "1.2025.516.400"
    assert events[2]["client_version"] == "Edge 120"
    assert events[2]["device_class"] == "windows"
    assert events[3]["latency_ms"] == 33
    delays = {e["received_time"] - e["event_time"] for e in events}
    assert [d.total_seconds() for d in delays] == [150.0]


def test_what_the_audit_events_say(tmp_path: Path) -> None:
    events = read(tmp_path, {"a": v.lines(AUDITS)}).events
    assert [e["client"] for e in events[:4]] == ["owa", "outlook_ios", "system", "outlook_mac_new"]
    assert [e["weight"] for e in events[:4]] == [1, 2, 3, 1]
    assert [e["flags"] for e in events[:6]] == [5, 0, 4, 0, 4, 1]
    assert {e["outcome"] for e in events} == {"success"}
    assert {e["error_code"] for e in events} == {None}
    assert {e["operation"] for e in events} == {"MailItemsAccessed"}
    assert len({e["user"] for e in events}) == 4


def test_the_sources_are_counted_and_codes_that_no_table_knows(tmp_path: Path) -> None:
    tally = read(tmp_path, {"a": v.lines(RECORDS), "b": v.lines(AUDITS)}).tally
    assert tally.records == {
        "entra_signin": len(INTERACTIVE),
        "entra_signin_noninteractive": len(BACKGROUND),
        "exchange_audit": len(AUDITS),
    }
    assert tally.unknown_codes == {777123: 8}
    assert not tally.unmatched_clients


def test_graph_v1_names_no_tenant_agent_or_system_number(tmp_path: Path) -> None:
    beta = [
        "userAgent",
        "resourceTenantId",
        "homeTenantId",
        "userType",
        "autonomousSystemNumber",
        "servicePrincipalId",
        "signInEventTypes",
        "processingTimeInMilliseconds",
    ]
    records = [{k: x for k, x in r.items() if k not in beta} for r in RECORDS]
    found = read(tmp_path, {"a": compact({"value": records})})
    assert not found.rejects
    assert {e["tenant"] for e in found.events} == {v.TENANT}
    assert {e["latency_ms"] for e in found.events} == {None}
    assert {e["network"][:4] for e in found.events} == {"net-"}
    assert {e["client"] for e in found.events} == {
        "outlook_ios",
        "outlook_windows_new",
        "owa",
        "outlook_mac",
    }


def test_only_guests_may_tell_where_they_come_from(tmp_path: Path) -> None:
    guests = ("homeTenantId", "resourceTenantId", "userType")
    records = [v.sign_in(n) for n in range(60)]
    for record in records:
        if record["userType"] != "guest":
            for name in guests:
                del record[name]
    messages = compact({"records": [v.envelope(r) for r in records]})
    together = read(tmp_path, {"a": messages})
    alone = [read(tmp_path, {"a": compact(v.envelope(r))}).events[0] for r in records]
    assert not together.rejects
    assert together.events == alone


def test_fields_in_odd_places_types_and_spellings(tmp_path: Path) -> None:
    usual = v.sign_in(2)
    odd = [
        {k.upper(): x for k, x in usual.items()},
        {**usual, "status": {"errorCode": "0"}},
        {**usual, "autonomousSystemNumber": "0"},
        {**usual, "deviceDetail": None},
        {k: x for k, x in usual.items() if k != "location"},
    ]
    found = read(tmp_path, {"a": v.lines([usual, *odd])})
    assert not found.rejects
    (wanted,) = read(tmp_path, {"a": v.lines([usual])}).events
    for event, lost in zip(
        found.rows,
        ((), (), (), (), ("device_class", "client_version"), ("country",)),
        strict=True,
    ):
        assert without([event], lost) == without([wanted], lost)


def test_the_event_time_is_never_the_envelopes(tmp_path: Path) -> None:
    late = v.envelope(v.sign_in(1), delay=8 * 24 * 3600)
    early = v.envelope(v.sign_in(1), delay=-5)
    american = {**v.envelope(v.sign_in(1)), "time": "3/19/2026 8:02:37 AM"}
    missing = v.envelope(v.sign_in(1))
    del missing["properties"]["createdDateTime"]
    found = read(tmp_path, {"a": v.lines([late, early, american, missing])})
    assert [e["received_time"] is None for e in found.rows] == [True, True, False]
    assert len({e["event_time"] for e in found.rows}) == 1
    (reject,) = found.rejects
    assert (reject.reason, reject.line) == ("missing_field", 4)


def test_a_missing_code_is_no_success(tmp_path: Path) -> None:
    def record(**result: Any) -> dict[str, Any]:
        bare = {k: x for k, x in v.sign_in(0).items() if k != "status"}
        monitor = v.envelope({**bare, "status": {"errorCode": 0}})
        del monitor["resultType"]
        return {**monitor, "properties": bare, **result}

    found = read(
        tmp_path,
        {
            "a": v.lines(
                [
                    record(),
                    record(resultType=""),
                    record(resultType="50126"),
                    record(resultType="Success"),
                    record(resultType="Failure"),
                ]
            )
        },
    )
    outcomes = [(e["outcome"], e["error_code"]) for e in found.rows]
    assert outcomes == [
        ("unknown_failure", None),
        ("unknown_failure", None),
        ("user_error", 50126),
        ("success", 0),
        ("unknown_failure", None),
    ]


def test_kinds_that_are_no_evidence_are_ignored_and_counted(tmp_path: Path) -> None:
    machine = v.sign_in(1, userId="", userPrincipalName="", servicePrincipalId=v.guid(5))
    machine["signInEventTypes"] = ["servicePrincipal"]
    records = [
        {**v.envelope(v.sign_in(1)), "category": "ServicePrincipalSignInLogs"},
        {**v.envelope(v.sign_in(1)), "category": "ADFSSignInLogs"},
        {"Category": "ManagedIdentitySignInLogs", "CreatedDateTime": "2026-03-19T08:00:00Z"},
        machine,
        v.mail_access(1, RecordType=6, Workload="SharePoint"),
        v.mail_access(1, RecordType=1, Operation="New-InboxRule", ResultStatus="True"),
        {"contentUri": "https://manage.office.example/1", "contentType": "Audit.Exchange"},
    ]
    found = read(tmp_path, {"a": v.lines(records)})
    assert (found.received, found.ignored, found.rows, found.rejects) == (7, 7, [], [])
    assert found.tally.ignored == {
        "signin:ServicePrincipalSignInLogs": 1,
        "signin:ADFSSignInLogs": 1,
        "signin:ManagedIdentitySignInLogs": 1,
        "signin:servicePrincipal": 1,
        "audit:SharePointFileOperation": 1,
        "audit:ExchangeAdmin": 1,
        "activity_api_listing": 1,
    }


def test_names_are_told_only_when_asked_for(tmp_path: Path) -> None:
    files = {"a": v.lines(RECORDS[:3]), "b": v.lines(AUDITS[:1])}
    hidden = read(tmp_path, files)
    shown = read(
        tmp_path, files, settings=v.NormaliseSettings(v.SETTINGS.key, v.TENANT, reveal=True)
    )
    assert not hidden.revealed
    assert shown.events == hidden.events
    assert set(shown.revealed) == {e["user"] for e in shown.events}
    assert set(shown.revealed.values()) == {v.USER}
