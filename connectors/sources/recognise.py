"""What form a file has, told from its first bytes and never from its name."""

from __future__ import annotations

import re
from typing import Final

from connectors.sources.headers import is_header
from connectors.sources.parsing import ParseError, Parser
from connectors.sources.units import Form

_LINES: Final = 40
HEAD: Final = 64 * 1024  # bytes that tell a form
_PARQUET: Final = b"PAR1"
_BLANK: Final = b" \t\r\n\0"
# A quote inside a string is escaped, so these can only be keys of the document itself.
_ISSUE: Final = re.compile(rb'(?<!\\)"impactDescription"\s*:')
_ISSUE_MARK: Final = re.compile(rb'(?<!\\)"(?:posts|featureGroup|isResolved|classification)"\s*:')
_MESSAGE: Final = re.compile(rb'(?<!\\)"(?:actionRequiredByDateTime|isMajorChange)"\s*:')
_MESSAGE_KEYS: Final = (b'"actionRequiredByDateTime"', b'"isMajorChange"')
_OVERVIEW: Final = re.compile(rb"serviceAnnouncement/|healthOverviews")

UNKNOWN_DETAIL: Final = (
    "neither JSON nor a CSV with known columns nor Parquet; see the list of supported exports"
)
_OTHER_PACKING: Final = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ": "packed with xz; unpack it, or pack it with gzip or zstd",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x1f\x8b": "packed twice; unpack it once",
    b"\x28\xb5\x2f\xfd": "packed twice; unpack it once",
}


def unknown_detail(head: bytes) -> str:
    """The remedy for a file of unknown form."""
    return _packing(head) or UNKNOWN_DETAIL


def _packing(head: bytes) -> str | None:
    """The remedy for a file that is packed in a way that is not read, None for any other."""
    return next((d for m, d in _OTHER_PACKING.items() if head.startswith(m)), None)


def recognise(head: bytes) -> Form:  # noqa: PLR0911 # one exit per form
    """The form of an input by its first unpacked bytes (HEAD of them are plenty)."""
    if not head:
        return Form.EMPTY
    if head.startswith(_PARQUET):
        return Form.PARQUET
    text = head.lstrip(_BLANK + b"\x1e,")
    if not text:
        # A long run of blank lines may have records behind it.
        return Form.JSON_LINES if b"\0" in head or len(head) >= HEAD else Form.EMPTY
    if text[:1] in (b"{", b"["):
        if _is_advisory(text):
            return Form.ADVISORY
        return Form.JSON_LINES if _is_lines(text) else Form.JSON_DOCUMENT
    if _packing(head) is not None:
        # An archive may hold a log as it is, behind a line that looks like a header or a record.
        return Form.UNKNOWN
    if is_header(text):
        return Form.CSV
    if re.search(rb'\n\s*\{\s*"', text):
        return Form.JSON_LINES  # lines with a damaged one in front
    return Form.UNKNOWN


def _is_advisory(text: bytes) -> bool:
    # Plain search first: it costs 10 us where the patterns, led by a look-behind, cost 4 ms.
    if b'"impactDescription"' in text and _ISSUE.search(text) and _ISSUE_MARK.search(text):
        return True
    if any(key in text for key in _MESSAGE_KEYS) and _MESSAGE.search(text):
        return True
    return bool(_OVERVIEW.search(text[:512]))


def _is_lines(text: bytes) -> bool:
    """Whether one of the first lines is a whole object; broken ones may stand before it."""
    if not text.startswith(b"{"):
        return False
    # The last piece of the head may be cut; one value without a newline is a document.
    for line in text.split(b"\n", _LINES)[:-1]:
        piece = line.strip(_BLANK)
        if len(piece) > len(b"{}") and piece.startswith(b"{"):
            try:
                Parser().parse(piece)
            except ParseError:
                continue
            return True
    return False
