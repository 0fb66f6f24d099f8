"""Splunk's HTTP Event Collector, as its documents and its users say it behaves.

Events of a request are taken one by one until one is bad: those before it stay (moby/moby issue
35862). With acknowledgement a request wants a channel and gets a number, which is confirmed some
looks later, or never. Codes as in its table of replies.
"""

from __future__ import annotations

import json
import re

from tests.services.server import Reply, Service

TOKEN = "c9e1a7d4-5b0f-4c7e-9d37-1f2ab1e0c6aa"  # noqa: S105 # of a service that lives for a minute
REPLIES = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
}
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECODER = json.JSONDecoder()


class Splunk(Service):
    """``tokens`` it knows; ``disabled`` ones; ``indexes`` that they may write to.

    ``most``: bytes of a request. ``acknowledges``: looks after which a request is confirmed, None =
    the tokens have no acknowledgement. ``loses``: requests, by number, that are never indexed.
    ``refused``: (id, revision) of events that are bad. ``first``: whether bad events are counted from 0 or 1.
    ``reply``: a code that answers everything.
    """

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.tokens, self.disabled, self.indexes = {TOKEN}, set(), {"main", "m365"}
        self.most, self.acknowledges, self.loses = 1_000_000, None, set()
        self.refused, self.first, self.reply = set(), 0, None
        self.indexed = []
        self.looks = {}

    def throttle(self):
        return said(9)

    def answer(self, request):
        if request.path.startswith("/services/collector/health"):
            return said(17 if self.reply is None else self.reply)
        wrong = self.let_in(request)
        if wrong is not None:
            return said(wrong)
        if request.path == "/services/collector/ack":
            return self.acks(request)
        if request.path != "/services/collector/event":
            return Reply(
                404, {"text": "The requested URL was not found on this server.", "code": 404}
            )
        if len(request.body) > self.most:
            told = f"Content-Length of {len(request.body)} too large (maximum is {self.most})"
            return Reply(413, body=f"<response><msg>{told}</msg></response>".encode())
        return self.events(request)

    def let_in(self, request):
        """The code of what is wrong with who asks, None if nothing is."""
        if self.reply is not None:
            return self.reply
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        channel = request.headers.get("x-splunk-request-channel")
        acknowledges = self.acknowledges is not None
        wrong = {
            16: "token" in request.query,
            2: not kind,
            3: kind != "Splunk",
            4: token not in self.tokens,
            1: token in self.disabled,
            14: not acknowledges and request.path.endswith("/ack"),
            10: acknowledges and channel is None,
            11: acknowledges and _GUID.fullmatch(channel or "") is None,
        }
        return next((code for code, applies in wrong.items() if applies), None)

    def events(self, request):
        try:
            text = request.body.decode("utf-8").strip()
        except UnicodeDecodeError:
            return said(6, **{"invalid-event-number": self.first})
        if not text:
            return said(5)
        taken, at = [], 0
        while at < len(text):
            try:
                event, at = _DECODER.raw_decode(text, at)
                wrong = self.look_at(event)
            except ValueError:
                wrong = 6
            if wrong is not None:
                self.indexed += taken
                return said(wrong, **{"invalid-event-number": len(taken) + self.first})
            taken.append(event)
            while at < len(text) and text[at].isspace():
                at += 1
        if self.acknowledges is None:
            self.indexed += taken
            return said(0)
        number = len(self.looks)
        self.looks[number] = self.acknowledges
        if number not in self.loses:
            self.indexed += taken
        return said(0, ackId=number)

    def look_at(self, event):
        """The code of what is wrong with an event, None if nothing is."""
        if not isinstance(event, dict):
            return 6
        if "event" not in event:
            return 12
        if event["event"] in ("", None):
            return 13
        if event.get("index", "main") not in self.indexes:
            return 7
        fields = event.get("fields", {})
        if not isinstance(fields, dict) or not all(isinstance(v, str) for v in fields.values()):
            return 15
        key = (fields.get("id"), int(fields.get("revision", 0)))
        return 15 if key in self.refused else None

    def acks(self, request):
        asked = json.loads(request.body)["acks"]
        found = {}
        for number in asked:
            if number in self.looks:
                self.looks[number] -= 1
            done = self.looks.get(number, 1) < 0 and number not in self.loses
            found[str(number)] = done
        return Reply(document={"acks": found})

    def accepted(self):
        """(id, revision) of what is indexed, in order, repetitions included."""
        return [(e["fields"]["id"], int(e["fields"]["revision"])) for e in self.indexed]


def said(code, **more):
    status, text = REPLIES[code]
    return Reply(status, {"text": text, "code": code, **more})
