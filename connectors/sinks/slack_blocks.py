"""A message as Slack shows it: blocks within Slack's limits, and text for where none are shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.shorter import cut, fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.message import Message

HEADER: Final = 148  # of 150: a sign may count as two
SECTION: Final = 3000
MOST_BLOCKS: Final = 50
# Slack refuses from about 13,200 characters of blocks on.
MOST_CHARACTERS: Final = 12_000
TEXT: Final = 3000
_FIELDS: Final = 10
_FIELD: Final = 2000
_SIGNS: Final = {"critical": "🔴", "high": "🟠", "medium": "🟡", "low": "🔵"}
_OVER: Final = "🟢"


def content(message: Message) -> dict[str, Any]:
    """``text`` and ``blocks`` of a message; nothing in them mentions, links or formats by itself."""
    blocks = _blocks(fitted(message, _fits))
    return {"text": _text(message), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escaped(text: str, longest: int) -> str:
    """Text in which Slack finds no markup, of at most ``longest`` characters when written so.

    >>> escaped("<!channel> & <https://a|b>", 100)
    '&lt;!channel&gt; &amp; &lt;https://a|b&gt;'
    >>> escaped("a<b", 3)
    'a…'
    """
    pieces = [_PIECES.get(char, char) for char in text]
    if sum(map(len, pieces)) <= longest:
        return "".join(pieces)
    kept: list[str] = []
    room = longest - 1
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


_PIECES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _text(message: Message) -> str:
    sign = _OVER if message.over else _SIGNS.get(message.severity, "")
    return f"{sign} " + escaped(f"{message.title} {message.reason}", TEXT)


def _fits(message: Message) -> bool:
    blocks = _blocks(message)
    return (
        len(json.dumps(blocks, ensure_ascii=False)) <= MOST_CHARACTERS
        and len(blocks) <= MOST_BLOCKS
    )


def _blocks(message: Message) -> list[dict[str, Any]]:
    sign = _OVER if message.over else _SIGNS.get(message.severity, "")
    blocks = [
        {"type": "header", "text": _plain(f"{sign} {cut(message.title, 140)}", HEADER)},
        {"type": "section", "text": _plain(f"{message.title}\n{message.reason}", SECTION)}
        if len(message.title) > 140
        else {"type": "section", "text": _plain(message.reason, SECTION)},
        *({"type": "section", "text": _plain(f"• {line}", SECTION)} for line in message.incidents),
        *_facts(message.facts),
    ]
    for head, items in (
        ("For this verdict", message.evidence_for),
        ("Against this verdict", message.evidence_against),
    ):
        if items:
            lines = "\n".join([f"{head}:", *(f"• {item}" for item in items)])
            blocks.append({"type": "section", "text": _plain(lines, SECTION)})
    if message.link:
        link = message.link.replace("&", "&amp;")
        blocks.append({"type": "section", "text": _marked(f"<{link}|Open the incident>")})
    if message.reference:
        blocks.append({"type": "context", "elements": [_plain(message.reference, _FIELD)]})
    return blocks


def _facts(facts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Question and answer side by side: a section shows its fields in two columns."""
    cells = [c for q, a in facts for c in (_bold(q), _plain(a or "-", _FIELD))]
    return [
        {"type": "section", "fields": cells[start : start + _FIELDS]}
        for start in range(0, len(cells), _FIELDS)
    ]


def _plain(text: str, longest: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, longest) or "-", "emoji": False}


def _bold(text: str) -> dict[str, Any]:
    """Words of ours, never of a log."""
    return _marked(f"*{escaped(text, 100)}*")


def _marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
