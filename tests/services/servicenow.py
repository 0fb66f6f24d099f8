"""ServiceNow's web services for em_event: the table API, and JSONv2 for several rows at once.

Columns hold text of a limited length; a column that the table does not have is a mistake. Of
several rows each is inserted or fails by itself.
"""

from __future__ import annotations

import base64
import json
import re

from tests.services.server import Reply, Service

USER, PASSWORD, TOKEN = "outrider", "Pw-of-a-test-9", "tok-of-a-test-9"  # no real ones
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
LENGTHS = {
    "source": 100,
    "event_class": 100,
    "node": 100,
    "resource": 100,
    "metric_name": 100,
    "type": 100,
    "message_key": 1024,
    "severity": 1,
    "resolution_state": 40,
    "time_of_event": 19,
    "description": 4000,
    "additional_info": 65_000,
}


class ServiceNow(Service):
    """``rows`` of em_event; ``may``: whether the user has the role; ``bulk``: whether JSONv2 is on.

    ``refused``: message keys whose rows a business rule of the instance turns away. ``alerts``: by
    message key, the severity of the newest event.
    """

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.rows, self.refused, self.may, self.bulk, self.alerts = [], set(), True, True, {}

    def throttle(self):
        return failure(429, "Rate limit exceeded", {"Retry-After": self.faults.retry_after})

    def answer(self, request):
        if request.headers.get("authorization") not in {BASIC, f"Bearer {TOKEN}"}:
            return failure(401, "User Not Authenticated")
        if not self.may:
            return failure(403, "Insufficient rights to create records")
        if request.path == "/api/now/table/em_event" and request.method == "POST":
            return self.one(request)
        bulk = request.path == "/em_event.do" and "JSONv2" in request.query and self.bulk
        if bulk and request.query.get("sysparm_action") == "insertMultiple":
            return self.many(request)
        return failure(400, "Requested URI does not represent any resource")

    def one(self, request):
        row = json.loads(request.body)
        if self.wrong(row):
            return failure(400, self.wrong(row))
        self.insert(row)
        return Reply(201, {"result": {**row, "sys_id": f"{len(self.rows):032x}"}})

    def many(self, request):
        records = []
        for row in json.loads(request.body)["records"]:
            wrong = self.wrong(row)
            if wrong:
                records.append({"__status": "failure", "__error": {"message": wrong}})
                continue
            self.insert(row)
            records.append({**row, "__status": "success", "sys_id": f"{len(self.rows):032x}"})
        return Reply(200, {"records": records})

    def insert(self, row):
        self.rows.append(row)
        self.alerts[row["message_key"]] = row["severity"]

    def wrong(self, row):
        if set(row) - set(LENGTHS):
            return "Invalid field"
        if any(not isinstance(v, str) or len(v) > LENGTHS[k] for k, v in row.items()):
            return "Value too long"
        if row["severity"] not in "012345" or row["message_key"] in self.refused:
            return "Operation against file 'em_event' was aborted by Business Rule"
        if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["time_of_event"]):
            return "Invalid date"
        return None if isinstance(json.loads(row["additional_info"]), dict) else "Invalid JSON"

    def accepted(self):
        keys = [json.loads(row["additional_info"])["idempotency_key"] for row in self.rows]
        return [(key.rpartition(":")[0], int(key.rpartition(":")[2])) for key in keys]


def failure(status, message, headers=None):
    return Reply(
        status, {"error": {"message": message, "detail": None}, "status": "failure"}, headers or {}
    )
