"""Slack as its documents and its users say it behaves: a webhook, and the methods that a bot uses.

Methods answer 200 with ``ok`` false for what they refuse; a webhook answers with a status and one
word. Blocks have limits. Text with raw markup pings, in ``text`` and in mrkdwn.
"""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import timedelta

from tests.services.server import Reply, Service

HOOK = "/services/T0001/B0001/secret-of-a-hook"
TOKEN = "xoxb-of-a-test-77"  # noqa: S105 # no real one
CHANNEL = "C0ONCALL"
MOST_CHARACTERS = 13_200
_PING = re.compile(r"<[!@#][^>]*>")
WEBHOOK_ERRORS = {"invalid_payload": 400, "no_service": 404, "channel_is_archived": 410}


class Slack(Service):
    """``messages`` by ts, in order; ``pings`` that they made; ``scopes`` of the bot.

    ``error``: a word that answers every method; ``refused``: ids whose blocks it refuses.
    ``posted``: messages of the webhook.
    """

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.messages, self.posted, self.pings, self.updates = {}, [], [], 0
        self.scopes = {"chat:write", "channels:history"}
        self.error, self.refused, self.asked, self.most = None, set(), deque(), 3

    @property
    def hook(self):
        return f"{self.root}{HOOK}"

    def throttle(self):
        return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"})

    def answer(self, request):  # noqa: PLR0911 # one exit for each row of its table
        if request.path.startswith("/services/"):
            return self.webhook(request)
        method = request.path.removeprefix("/api/")
        known = {
            "chat.postMessage": self.post,
            "chat.update": self.update,
            "conversations.history": self.history,
            "conversations.replies": self.replies,
        }
        if method not in known:
            return no("unknown_method")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return no("invalid_auth" if "authorization" in request.headers else "not_authed")
        if self.error is not None:
            return no(self.error)
        if request.method == "GET":
            sent = request.query
        else:
            if "charset=utf-8" not in request.headers.get("content-type", ""):
                return no("invalid_form_data")
            sent = json.loads(request.body.decode("utf-8"))
        if sent.get("channel") != CHANNEL:
            return no("channel_not_found")
        return known[method](sent)

    def webhook(self, request):
        if request.path != HOOK:
            return word("no_service")
        if self.error is not None:
            return word(self.error)
        if self.too_often():
            return Reply(429, body=b"rate_limited", headers={"Retry-After": "1"})
        try:
            sent = json.loads(request.body.decode("utf-8"))
        except ValueError:
            return word("invalid_payload")
        if self.wrong(sent) is not None or self.is_refused(request.body):
            return word("invalid_payload")
        self.look_for_pings(sent)
        self.posted.append(sent)
        return Reply(body=b"ok", headers={"Content-Type": "text/html"})

    def too_often(self):
        now = self.clock.now()
        while self.asked and self.asked[0] <= now - timedelta(seconds=self.most):
            self.asked.popleft()
        if len(self.asked) >= self.most:
            return True
        self.asked.append(now)
        return False

    def is_refused(self, body):
        return any(f"{name}, revision".encode() in body for name in self.refused)

    def post(self, sent):
        if self.too_often():
            return self.throttle()
        wrong = self.wrong(sent)
        if wrong is not None or self.is_refused(json.dumps(sent).encode()):
            return no(wrong or "invalid_blocks")
        thread = sent.get("thread_ts")
        if thread is not None and thread not in self.messages:
            return no("thread_not_found")
        # Of one second there may be several: the rest of a ts tells them apart.
        ts = f"{int(self.clock.now().timestamp())}.{len(self.messages):06d}"
        self.look_for_pings(sent)
        self.messages[ts] = {**sent, "ts": ts}
        return Reply(document={"ok": True, "channel": CHANNEL, "ts": ts, "message": {}})

    def update(self, sent):
        if sent["ts"] not in self.messages:
            return no("message_not_found")
        wrong = self.wrong(sent)
        if wrong is not None:
            return no(wrong)
        self.updates += 1
        self.messages[sent["ts"]] |= {k: sent[k] for k in ("text", "blocks")}
        return Reply(document={"ok": True, "channel": CHANNEL, "ts": sent["ts"]})

    def history(self, sent):
        return self.listed(sent, [m for m in self.messages.values() if "thread_ts" not in m])

    def replies(self, sent):
        thread = sent["ts"]
        if thread not in self.messages:
            return no("thread_not_found")
        return self.listed(
            sent, [m for m in self.messages.values() if thread in {m["ts"], m.get("thread_ts")}]
        )

    def listed(self, sent, messages):
        if "channels:history" not in self.scopes:
            return no("missing_scope")
        found = [m for m in messages if float(m["ts"]) > float(sent["oldest"])]
        keep = {"ts", "text"} | ({"metadata"} if sent.get("include_all_metadata") else set())
        found = [{k: v for k, v in m.items() if k in keep} for m in found]
        return Reply(document={"ok": True, "messages": found[: int(sent["limit"])]})

    def wrong(self, sent):
        """The word for what is wrong with a message, None if nothing is."""
        blocks = sent.get("blocks", [])
        if not sent.get("text"):
            return "no_text"
        if len(blocks) > 50 or not all(map(is_block, blocks)):
            return "invalid_blocks"
        if len(json.dumps(blocks, ensure_ascii=False)) > MOST_CHARACTERS:
            return "msg_blocks_too_long"
        return "msg_too_long" if len(sent["text"]) > 40_000 else None

    def look_for_pings(self, sent):
        texts = [
            sent["text"],
            *(t["text"] for t in texts_of(sent["blocks"]) if t["type"] == "mrkdwn"),
        ]
        for text in texts:
            self.pings += _PING.findall(text)

    def accepted(self):
        keys = [m["metadata"]["event_payload"]["key"] for m in self.messages.values()]
        keys += [reference(sent) for sent in self.posted]
        return [(key.rpartition(":")[0], int(key.rpartition(":")[2])) for key in keys]


def is_block(block):
    kind, text = block["type"], block.get("text")
    if kind == "header":
        return text["type"] == "plain_text" and len(text["text"]) <= 150
    if kind == "section":
        fields = block.get("fields", [])
        return (
            (text is not None or bool(fields))
            and (text is None or 0 < len(text["text"]) <= 3000)
            and len(fields) <= 10
            and all(0 < len(field["text"]) <= 2000 for field in fields)
        )
    return kind == "context" and 0 < len(block["elements"]) <= 10


def texts_of(value):
    """All text objects of blocks."""
    if isinstance(value, dict):
        if value.get("type") in {"plain_text", "mrkdwn"}:
            yield value
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


def reference(sent):
    """ID:REVISION of the last line of a message."""
    name, _, revision = list(texts_of(sent["blocks"]))[-1]["text"].rpartition(", revision ")
    return f"{name}:{revision}"


def no(error):
    return Reply(document={"ok": False, "error": error})


def word(error):
    return Reply(WEBHOOK_ERRORS.get(error, 400), body=error.encode())
