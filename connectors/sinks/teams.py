"""Microsoft Teams: notices as Adaptive Cards, posted to a workflow of the Workflows app."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from connectors.http.answers import error_code
from connectors.sinks.hook_sink import HookSink
from connectors.sinks.shorter import fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.message import Message

WHAT: Final = "Microsoft Teams"
# Teams takes 28 KB, what a workflow adds to it included.
MOST_BYTES: Final = 20_000
REQUESTS_A_SECOND: Final = 4
_STYLES: Final = {
    "critical": "attention",
    "high": "attention",
    "medium": "warning",
    "low": "accent",
}


class TeamsSink(HookSink):
    """Posts each notice as a card of its own; see :class:`HookSink`.

    A workflow cannot change a card that it has posted, and knows no key.
    """

    destination: ClassVar[str] = "teams"
    what: ClassVar[str] = WHAT
    pace: ClassVar[tuple[int, float]] = (REQUESTS_A_SECOND, 1.0)

    def _body(self, message: Message) -> bytes:
        return envelope(message)

    def _code(self, answer: bytes) -> str:
        return error_code(answer[:4096].decode("utf-8", "replace"))


def envelope(message: Message) -> bytes:
    """What a workflow takes: one card, in at most :data:`MOST_BYTES` bytes of JSON."""
    return _written(fitted(message, lambda form: len(_written(form)) <= MOST_BYTES))


def _written(message: Message) -> bytes:
    document = {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card(message),
            }
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def card(message: Message) -> dict[str, Any]:
    """The card.

    All text is in runs of rich text: a card reads no Markdown there, so text of a log makes
    no link, and without a list of entities nothing in it mentions anybody.
    """
    style = "good" if message.over else _STYLES.get(message.severity, "default")
    body: list[dict[str, Any]] = [
        {
            "type": "Container",
            "style": style,
            "bleed": True,
            "items": [_text(_run(message.title, size="Medium", weight="Bolder"))],
        },
        _text(_run(message.reason, weight="Bolder")),
    ]
    if message.incidents:
        body.append(_list(message.incidents))
    body += [_fact(question, answer) for question, answer in message.facts]
    for head, items in (
        ("For this verdict", message.evidence_for),
        ("Against this verdict", message.evidence_against),
    ):
        if items:
            body += [_text(_run(head, weight="Bolder", size="Small")), _list(items, size="Small")]
    if message.reference:
        body.append(_text(_run(message.reference, size="Small", isSubtle=True)))
    found: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": _plain(message.title),
        "msteams": {"width": "Full"},
        "body": body,
    }
    if message.link:
        found["actions"] = [
            {"type": "Action.OpenUrl", "title": "Open the incident", "url": message.link}
        ]
    return found


def _fact(question: str, answer: str) -> dict[str, Any]:
    """Question and answer side by side; not a FactSet, which would read Markdown in them."""
    return {
        "type": "ColumnSet",
        "spacing": "Small",
        "columns": [
            {"type": "Column", "width": "90px", "items": [_text(_run(question, weight="Bolder"))]},
            {"type": "Column", "width": "stretch", "items": [_text(_run(answer))]},
        ],
    }


def _list(items: Sequence[str], **look: Any) -> dict[str, Any]:
    # A run has no bullets and no items; the line ends are ours, as those of a message are gone.
    return _text(
        *(_run(f"• {item}\n", **look) for item in items[:-1]), _run(f"• {items[-1]}", **look)
    )


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": _plain(text), **look}


def _plain(text: str) -> str:
    """Text in which a card finds no {{DATE(...)}} and a workflow no @{...}."""
    return text.replace("{{", "{ {").replace("@{", "@ {").replace("${", "$ {")
