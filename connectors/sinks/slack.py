"""Slack by a bot: notices as messages, those of one incident together in a thread."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from connectors.sinks.encoders.encoder import key_of, key_text
from connectors.sinks.memory import Forgetful
from connectors.sinks.one_by_one import one_by_one, settled
from connectors.sinks.rules import rule_for
from connectors.sinks.slack_blocks import content
from pipeline.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from connectors.sinks.memory import Memory
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Delivery
    from pipeline.model.message import Message

WHAT: Final = "Slack"
ADDRESS: Final = "https://slack.com"
EVENT: Final = "outrider_notice"
JSON: Final = "application/json; charset=utf-8"
# Slack allows one message a second in a channel, and a few more for a moment.
BURST: Final = 3
_SECONDS: Final = 30.0
_CODE: Final = re.compile(r"[a-z_]{1,80}")
# Of our clock against Slack's, where its answers have not told yet.
_SKEW_SECONDS: Final = 300.0
_PAGE: Final = "200"
# Whoever reads the channel, not the thread, has to see these.
_FOR_ALL: Final = frozenset({"severity_up", "reopened", "resolved"})
_GONE: Final = frozenset({"message_not_found", "thread_not_found"})
_NO_MORE: Final = frozenset({"edit_window_closed", "cant_update_message"})
_NOT_ALLOWED: Final = frozenset({"missing_scope", "no_permission"})


class SlackSink:
    """Posts the first notice of a thread, keeps that message up to date, and replies the others.

    Before each message it notes that it tries, and after it where the message stands. So when an
    answer was lost it knows that it is in doubt, and looks for its own key among the channel's
    last messages before it posts again. Where the bot may not read the channel, that notice
    comes twice, with the same reference at its end.

    Args:
        token: gives the bot's token.
        channel: id of the channel.
        message: a notice in words.
        memory: keeps where threads stand; None = only for as long as the process lives.
        address: of Slack: https://slack-gov.com for GovSlack.
        ca_file: authorities to trust; None = the usual ones.
        clock: tells since when to look.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        token: Callable[[], str],
        channel: str,
        message: Callable[[Mapping[str, Any]], Message],
        *,
        memory: Memory | None = None,
        address: str = ADDRESS,
        ca_file: Path | None = None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel, self._message = channel, message
        self._memory: Memory = memory or Forgetful()
        self._clock: Clock = clock or SystemClock()
        self._budget = Budget(BURST, float(BURST), WHAT, monotonic=monotonic)
        self._http = HttpClient(
            WHAT,
            address,
            ca_file=ca_file,
            secret_headers=lambda: {"Authorization": f"Bearer {token()}"},
            timeout=_SECONDS,
        )

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Post the notices; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was posted; later may do.
            FatalError: a person has to act.
        """
        return one_by_one(documents, self._send)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _send(self, notice: Mapping[str, Any]) -> bool:
        name, revision = key_of(notice)
        known = self._memory.get(name) or {}
        if known.get("to") != self._channel:
            known = {}  # another channel is configured now: a thread cannot move
        if revision <= known.get("done", 0):
            return True
        message = self._message(notice)
        note = {**known, "to": self._channel, "trying": revision}
        if known.get("trying") == revision:
            found = self._find(note, key_text(name, revision))
            if found is not None:
                self._note(name, note, found)
                return True
        else:
            self._budget.take()
            now = self._clock.now() + self._http.skew
            note["since"] = now.timestamp()
            self._memory.put(name, note)
        return self._post(notice, message, note)

    def _post(self, notice: Mapping[str, Any], message: Message, note: dict[str, Any]) -> bool:
        """Bring the thread's first message up to date and reply, or begin the thread."""
        name, revision = key_of(notice)
        if note.get("ts") and not self._update(message, note):
            note = {**note, "ts": None}  # somebody deleted it
        sent = {
            "channel": note.get("channel", self._channel),
            "metadata": {
                "event_type": EVENT,
                "event_payload": {"key": key_text(name, revision)},
            },
        }
        if note.get("ts"):
            message = replace(message, evidence_for=(), evidence_against=())
            sent |= {"thread_ts": note["ts"], "reply_broadcast": notice["reason"] in _FOR_ALL}
        done, code, answer = self._ask("chat.postMessage", {**sent, **content(message)})
        if not done:
            self._judge(code, answer)
            return False
        self._note(name, {**note, "channel": answer.get("channel", self._channel)}, answer)
        return True

    def _update(self, message: Message, note: Mapping[str, Any]) -> bool:
        """Whether the first message is still there."""
        sent = {"channel": note["channel"], "ts": note["ts"], **content(message)}
        done, code, answer = self._ask("chat.update", sent)
        if not done and code not in _GONE | _NO_MORE:
            self._judge(code, answer)
        return code not in _GONE

    def _find(self, note: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
        """The message with a key that was tried before; None if there is none, or none is shown."""
        params = {
            "channel": note.get("channel", self._channel),
            "oldest": f"{note['since'] - _SKEW_SECONDS:.6f}",
            "limit": _PAGE,
            "include_all_metadata": "true",
        }
        method = "conversations.history"
        if note.get("ts"):
            method, params = "conversations.replies", {**params, "ts": note["ts"]}
        done, code, answer = self._ask(method, None, params)
        if not done:
            if code not in _GONE | _NOT_ALLOWED:
                self._judge(code, answer)
            return None
        for found in answer.get("messages", []):
            told = found.get("metadata") or {}
            payload = told.get("event_payload") or {}
            if told.get("event_type") == EVENT and payload.get("key") == key:
                return {"ts": found.get("ts"), "channel": params["channel"]}
        return None

    def _note(self, name: str, note: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        self._memory.put(
            name,
            {
                "to": self._channel,
                "channel": sent.get("channel", self._channel),
                "ts": note.get("ts") or sent.get("ts"),
                "done": note["trying"],
            },
        )

    def _ask(
        self, method: str, document: Any, params: Mapping[str, str] | None = None
    ) -> tuple[bool, str, dict[str, Any]]:
        """Whether a method succeeded, its error, and what it answered.

        Raises:
            RetriableError: no answer, or one by HTTP's own status that says so.
            FatalError: the same, where a person has to act.
        """
        path = f"/api/{method}"
        if document is None:
            answer = self._http.get(path, params=params, any_status=True)
        else:
            answer = self._http.post(
                path, body=written(document), headers={"Content-Type": JSON}, any_status=True
            )
        if answer.status != 200:
            return settled("slack", WHAT, answer, "", self._http.wait(answer)), "", {}
        told = answer.document(WHAT)
        if not isinstance(told, dict):
            told = {}
        return told.get("ok") is True, known_code(str(told.get("error", ""))), told

    @staticmethod
    def _judge(code: str, answer: Mapping[str, Any]) -> None:
        """Raise what the table says of an error; what is refused for good raises nothing."""
        # Errors come with HTTP 200; one that the table does not know is about what was sent.
        rule = rule_for("slack", 400, code)
        if rule.then in {"retry", "fatal"}:
            wait = answer.get("retry_after")
            seconds = float(wait) if isinstance(wait, int | float) and wait > 0 else None
            raise rule.trouble(WHAT, f"error {code}", seconds)


def written(document: Any) -> bytes:
    """A document as the body of a request."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def known_code(text: str) -> str:
    """A code of Slack's errors, "" where the text is something else: it may hold anything."""
    return text if _CODE.fullmatch(text) else ""
