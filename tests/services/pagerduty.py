"""PagerDuty's Events API v2, as its documents say: alerts by dedup_key, and changes.

The routing key stands in the body. A resolved key that is triggered again is a new alert. What is
wrong with an event is told by 400, which a repetition does not mend.
"""

from __future__ import annotations

import json
from datetime import datetime

from tests.services.server import Reply, Service

ROUTING_KEY = "R0abcdefghijklmnopqrstuvwxyz0123"
MOST_BYTES = 512 * 1024
ACTIONS = {"trigger", "acknowledge", "resolve"}
SEVERITIES = {"critical", "error", "warning", "info"}
EVENT = {
    "routing_key",
    "event_action",
    "dedup_key",
    "payload",
    "images",
    "links",
    "client",
    "client_url",
}
PAYLOAD = {
    "summary",
    "source",
    "severity",
    "timestamp",
    "component",
    "group",
    "class",
    "custom_details",
}


class PagerDuty(Service):
    """``events`` and ``changes`` it has taken; ``alerts``: (dedup_key, state), in order of opening.

    ``refused``: dedup keys whose events are invalid.
    """

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.events, self.changes, self.alerts, self.refused = [], [], [], set()

    def throttle(self):
        return Reply(429, {"status": "throttle exceeded"})

    def answer(self, request):
        if request.method != "POST" or request.path not in {"/v2/enqueue", "/v2/change/enqueue"}:
            return Reply(404)
        if len(request.body) > MOST_BYTES:
            return Reply(413)
        try:
            event = json.loads(request.body)
            wrong = self.look_at(event, change=request.path != "/v2/enqueue")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = repr(error)
        if wrong:
            return invalid(wrong)
        if request.path == "/v2/change/enqueue":
            self.changes.append(event)
            return Reply(202, {"status": "success", "message": "Change event processed"})
        self.events.append(event)
        self.take(event["dedup_key"], event["event_action"])
        return Reply(
            202,
            {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]},
        )

    def look_at(self, event, *, change):  # noqa: PLR0911 # one exit for each mistake
        """What is wrong with an event, None if nothing is."""
        if event["routing_key"] != ROUTING_KEY:
            return "Invalid routing key"
        if set(event) - EVENT:
            return "unknown field"
        for link in event.get("links", []):
            if not link["href"].startswith("http") or not isinstance(link.get("text", ""), str):
                return "'links' is invalid"
        if change:
            datetime.fromisoformat(event["payload"]["timestamp"])
            return None if event["payload"]["summary"] else "'payload.summary' is missing"
        if event["event_action"] not in ACTIONS:
            return "'event_action' is invalid"
        if len(event["dedup_key"]) > 255 or event["dedup_key"] in self.refused:
            return "'dedup_key' is invalid"
        return self.look_at_alert(event["payload"]) if event["event_action"] == "trigger" else None

    def look_at_alert(self, payload):
        if set(payload) - PAYLOAD:
            return "unknown field in 'payload'"
        if not payload["source"] or not 0 < len(payload["summary"]) <= 1024:
            return "'payload' is invalid"
        if payload["severity"] not in SEVERITIES:
            return "'payload.severity' is invalid"
        datetime.fromisoformat(payload["timestamp"])
        if not all(isinstance(payload[name], str) for name in ("component", "group", "class")):
            return "'payload' is invalid"
        return None

    def take(self, key, action):
        standing = [
            n for n, (k, state) in enumerate(self.alerts) if k == key and state != "resolved"
        ]
        if action == "trigger" and not standing:
            self.alerts.append((key, "triggered"))
        elif standing and action != "trigger":
            done = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
            self.alerts[standing[-1]] = (key, done)

    def accepted(self):
        found = []
        for event in self.events:
            reference = event["payload"]["custom_details"]["Reference"]
            found.append((event["dedup_key"], int(reference.rpartition(" ")[2])))
        return found


def invalid(what):
    return Reply(
        400, {"status": "invalid event", "message": "Event object is invalid", "errors": [what]}
    )
