"""Text from outside, made safe to show: no control characters, no reordering, no floods."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

SHORT: Final = 300  # a title, a name, a reason
LONG: Final = 4000  # one advisory post; the longest real one read has some 2,600 characters

_SPACE: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r"\n\s*\n\s*")
_MARK_RUN: Final = 3  # accents stacked deeper than any language does run over other lines

# Bidirectional controls (UAX 9) reorder what stands beside them; the others are unseen.
_INVISIBLE: Final = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e") | frozenset(
    map(chr, [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)


def clean(value: Any, limit: int = SHORT) -> str:
    r"""One line of at most ``limit`` characters, whatever ``value`` holds.

    >>> clean("ab\u202ecd\x1b[31m\n e")
    'abcd[31m e'
    >>> clean("x" * 1000, 5)
    'xxxx…'
    """
    text = _cut(str(value), limit * 4)
    return _cut(_SPACE.sub(" ", _visible(text).replace("\n", " ")).strip(), limit)


def paragraphs(value: Any, limit: int = LONG) -> list[str]:
    """The paragraphs of a longer text, each cleaned, together at most ``limit`` characters."""
    text = _cut(str(value), limit * 4).replace("\r\n", "\n").replace("\r", "\n")
    text = _cut(_visible(text), limit)
    parts = (_SPACE.sub(" ", p.replace("\n", " ")).strip() for p in _LINES.split(text))
    return [p for p in parts if p]


def _visible(text: str) -> str:
    out: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in {"Mn", "Me"} else 0
        if char in "\n\t":
            out.append(" " if char == "\t" else char)
        elif marks <= _MARK_RUN and char not in _INVISIBLE and kind not in {"Cc", "Cs", "Co", "Cn"}:
            out.append(" " if kind in {"Zl", "Zp"} else char)
    return "".join(out)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
