"""Slack by an incoming webhook: notices as messages of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.sinks.hook_sink import HookSink
from connectors.sinks.slack import BURST, JSON, WHAT, known_code, written
from connectors.sinks.slack_blocks import content

if TYPE_CHECKING:
    from pipeline.model.message import Message


class SlackWebhookSink(HookSink):
    """Posts each notice as a message of its own; see :class:`HookSink`."""

    destination: ClassVar[str] = "slack"
    what: ClassVar[str] = WHAT
    content_type: ClassVar[str] = JSON
    pace: ClassVar[tuple[int, float]] = (BURST, float(BURST))

    def _body(self, message: Message) -> bytes:
        return written(content(message))

    def _code(self, answer: bytes) -> str:
        # A hook answers "ok" or a code, as plain text.
        return known_code(answer[:200].decode("utf-8", "replace").strip())
