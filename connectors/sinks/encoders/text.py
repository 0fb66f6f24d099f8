"""Text that others control: what could hide is made visible, what is too long is cut with a mark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MARK: Final = " [cut]"
# No advisory or headline comes near it; Elasticsearch refuses a term of 32,766 bytes, which
# 8,192 characters of four bytes do not exceed by more than two.
LONGEST: Final = 8_190
# Controls except tab and line ends, the marks that turn the direction of text or have no width,
# line and paragraph separators, halves of surrogate pairs, non-characters, invisible tags and
# fillers, and the selectors U+E0100 to U+E01EF, in which whole texts can hide.
# The joiners U+200C and U+200D stay: Persian and emoji are written with them.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\u3164\ud800-\udfff\uffa0\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
    "\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Write what would hide or turn text as its number; tabs and line ends stay.

    >>> visible("gpj\u202e.exe")
    'gpj<U+202E>.exe'
    """
    return _HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def cut(text: str, longest: int) -> str:
    """Text of at most ``longest`` characters; what was cut ends with the mark.

    >>> cut("all of it", 8)
    'al [cut]'
    """
    return text if len(text) <= longest else text[: longest - len(MARK)] + MARK


def safe(value: Any) -> Any:
    """A JSON value with every text in it visible and of at most ``LONGEST`` characters."""
    if isinstance(value, str):
        # Nothing gets shorter by being made visible, so that what is behind would be cut anyway.
        return cut(visible(value[: LONGEST + 1]), LONGEST)
    if isinstance(value, dict):
        return {safe(str(key)): safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [safe(item) for item in value]
    return value


def fit(text: str, octets: int, escape: Callable[[str], str]) -> str:
    """Escape text so that it takes at most ``octets`` in UTF-8, without halving an escape.

    Args:
        text: whatever came; what hides in it is made visible first.
        octets: bound of the result, the mark of a cut included.
        escape: one character to what stands for it, at least one character.
    """
    # Whatever the escapes are, no more characters than octets can be kept.
    pieces = [escape(char) for char in visible(text.strip()[: octets + 1])[: octets + 1]]
    if sum(len(piece.encode()) for piece in pieces) <= octets:
        return "".join(pieces)
    kept: list[str] = []
    room = octets - len(MARK)
    for piece in pieces:
        room -= len(piece.encode())
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + MARK


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that hold nothing: None, empty text, empty lists and objects."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
