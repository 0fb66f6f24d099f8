"""A workflow of Teams that posts what its webhook receives, as its documents and users say.

The address is the credential (``sig``). Only Adaptive Cards are taken, of at most 28 KB with all
around them, and four requests a second. A workflow that is switched off answers 400, one that is
gone 404. Markdown is read in TextBlock and FactSet, and not in runs of rich text.
"""

from __future__ import annotations

import json
from collections import deque
from datetime import timedelta

from tests.services.server import Reply, Service

PATH = "/workflows/0b7e/triggers/manual/paths/invoke"
SIGNATURE = "kS9-wq3Lx_of-a-workflow"
MOST_BYTES = 28 * 1024
CARD = "application/vnd.microsoft.card.adaptive"
KNOWN = {  # element: its required and its further properties
    "TextBlock": ({"text"}, {"wrap", "size", "weight", "isSubtle", "spacing", "color"}),
    "RichTextBlock": ({"inlines"}, {"spacing"}),
    "TextRun": ({"text"}, {"size", "weight", "isSubtle", "color"}),
    "Container": ({"items"}, {"style", "bleed", "spacing"}),
    "ColumnSet": ({"columns"}, {"spacing"}),
    "Column": ({"items"}, {"width", "spacing"}),
}
INSIDE = ("items", "columns", "inlines")
STYLES = {"default", "emphasis", "good", "attention", "warning", "accent"}


class Teams(Service):
    """``cards`` it has posted; ``enabled``, ``gone``; ``refused``: words of cards that it refuses."""

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.cards, self.refused, self.sizes = [], set(), []
        self.enabled, self.gone = True, False
        self.asked = deque()

    @property
    def address(self):
        return f"{self.root}{PATH}?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sig={SIGNATURE}"

    def throttle(self):
        return said(429, "TooManyRequests", {"Retry-After": self.faults.retry_after})

    def answer(self, request):  # noqa: PLR0911 # one exit for each row of its table
        if request.method != "POST" or request.path != PATH or self.gone:
            return said(404, "WorkflowNotFound")
        if request.query.get("sig") != SIGNATURE:
            return said(401, "DirectApiAuthorizationRequired")
        if not self.enabled:
            return said(400, "WorkflowTriggerIsNotEnabled")
        now = self.clock.now()
        while self.asked and self.asked[0] <= now - timedelta(seconds=1):
            self.asked.popleft()
        if len(self.asked) >= 4:
            return said(429, "TooManyRequests", {"Retry-After": "1"})
        self.asked.append(now)
        if len(request.body) > MOST_BYTES:
            return said(413, "RequestEntityTooLarge")
        if not request.headers.get("content-type", "").startswith("application/json"):
            return said(400, "TriggerInputSchemaMismatch")
        try:
            card = self.card_of(json.loads(request.body.decode("utf-8")))
        except (ValueError, KeyError, TypeError, AssertionError):
            return said(400, "TriggerInputSchemaMismatch")
        if any(word in request.body.decode() for word in self.refused):
            return said(400, "TriggerInputSchemaMismatch")
        self.sizes.append(len(request.body))
        self.cards.append(card)
        return Reply(202)

    def card_of(self, document):
        assert document["type"] == "message"
        (attachment,) = document["attachments"]
        assert attachment["contentType"] == CARD
        card = attachment["content"]
        assert card["type"] == "AdaptiveCard"
        assert card["version"] in {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}
        for element in card["body"]:
            self.look_at(element)
        for action in card.get("actions", []):
            assert action["type"] == "Action.OpenUrl"
            assert action["url"].startswith(("http://", "https://"))
        return card

    def look_at(self, element):
        required, further = KNOWN[element["type"]]
        names = set(element) - {"type"}
        assert required <= names <= required | further, names
        assert element.get("style", "default") in STYLES
        if "text" in element:
            assert element["text"]
        for name in INSIDE:
            if name in element:
                assert element[name]
            for inner in element.get(name, []):
                self.look_at(inner)

    def accepted(self):
        return [self.key_of(card) for card in self.cards]

    @staticmethod
    def key_of(card):
        name, _, revision = runs(card)[-1].rpartition(", revision ")
        return name, int(revision)


def said(status, code, headers=None):
    return Reply(
        status, {"error": {"code": code, "message": "See the run history."}}, headers or {}
    )


def parts(element):
    """All elements of a card, in order."""
    yield element
    for name in ("body", *INSIDE):
        for inner in element.get(name, []):
            yield from parts(inner)


def runs(card):
    """The texts of all runs, in the order in which they are read."""
    return [part["text"] for part in parts(card) if part["type"] == "TextRun"]
