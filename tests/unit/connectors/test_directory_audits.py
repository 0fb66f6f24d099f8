"""Directory audits: what the tenant changed about itself, in every form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.connectors import vendor_records as v

if TYPE_CHECKING:
    from pathlib import Path


def change(number: int) -> dict[str, Any]:
    """One record of Graph ``directoryAudits``."""
    names = ("Update conditional access policy", "Add member to group", "Update named location")
    return {
        "id": f"Directory_{number}_ABCDE",
        "category": "Policy",
        "correlationId": v.guid(number),
        "result": "success" if number else "failure",
        "resultReason": None,
        "activityDisplayName": names[number % 3],
        "activityDateTime": f"2026-03-19T08:{number:02d}:00.1234567Z",
        "loggedByService": "Conditional Access" if number % 3 != 1 else "Core Directory",
        "operationType": "Update",
        "initiatedBy": {
            "app": None,
            "user": {"id": v.guid(50), "userPrincipalName": v.USER, "ipAddress": v.ADDRESS},
        },
        "targetResources": [{"id": v.guid(9), "displayName": "MFA", "type": "Policy"}],
    }


CHANGES = [change(n) for n in range(6)]
MONITOR = [
    {
        "time": c["activityDateTime"],
        "resourceId": f"/tenants/{v.TENANT}/providers/Microsoft.aadiam",
        "operationName": c["activityDisplayName"],
        "category": "AuditLogs",
        "tenantId": v.TENANT,
        "resultSignature": "None",
        "properties": c,
    }
    for c in CHANGES
]
ANALYTICS = [
    {
        "TimeGenerated": c["activityDateTime"],
        "AADTenantId": v.TENANT,
        "TenantId": v.guid(4242),
        "Category": "Policy",
        "Id": c["id"],
        "ActivityDateTime": c["activityDateTime"],
        "ActivityDisplayName": c["activityDisplayName"],
        "LoggedByService": c["loggedByService"],
        "OperationName": c["activityDisplayName"],
        "Result": c["result"],
        "InitiatedBy": json.dumps(c["initiatedBy"]),
        "CorrelationId": c["correlationId"],
    }
    for c in CHANGES
]
FORMS = {
    "graph page": json.dumps({"value": CHANGES}).encode(),
    "event hub": v.lines([{"records": MONITOR}]),
    "split": v.lines(MONITOR),
    "log analytics csv": v.table(ANALYTICS),
    "log analytics json": json.dumps(ANALYTICS, indent=1).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_changes_in_every_form_give_the_same_events(form: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(FORMS[form])
    found = v.Read(tmp_path)
    assert not found.rejects
    assert found.tally.records == {"entra_directory_audit": 6}
    events = sorted(found.rows, key=lambda e: e["event_time"])
    assert [e["operation"] for e in events[:3]] == [
        "conditional_access",
        "other",
        "named_location",
    ]
    assert [e["outcome"] for e in events[:2]] == ["unknown_failure", "success"]
    assert {e["tenant"] for e in events} == {v.TENANT}
    assert {(e["service"], e["client"]) for e in events} == {("identity", "other")}
    assert len({e["user"] for e in events}) == 1
    (tmp_path / "a").write_bytes(FORMS["graph page"])
    wanted = sorted(v.Read(tmp_path).rows, key=lambda e: e["event_time"])
    lost = {"received_time"}
    plain = [{k: x for k, x in e.items() if k not in lost} for e in events]
    assert plain == [{k: x for k, x in e.items() if k not in lost} for e in wanted]


def test_a_change_without_a_time_is_told(tmp_path: Path) -> None:
    record = {k: x for k, x in change(1).items() if k != "activityDateTime"}
    (tmp_path / "a").write_bytes(v.lines([record]))
    (reject,) = v.Read(tmp_path).rejects
    assert reject.reason == "missing_field"
    assert v.USER not in repr(reject)
