"""JSON to parsed values, and what to call a piece that is none."""

from __future__ import annotations

from typing import Any, Final

import simdjson

from pipeline.model.reject import RejectReason

# A record; pages and messages may be larger, they are taken apart. simdjson sets aside
# some 14 bytes for each byte it may be given, so this bounds a parser to about 60 MB.
MAX_RECORD: Final = 4 * 1024 * 1024
_ORDINARY: Final = 1024 * 1024

_REMEDY: Final = {
    RejectReason.NOT_JSON: "not JSON; export it again",
    RejectReason.BAD_ENCODING: "not UTF-8; export it again as UTF-8",
    RejectReason.TOO_DEEP: "nested deeper than 1024 levels; not a log record",
}

ParseError = (ValueError, RuntimeError)  # UnicodeDecodeError is a ValueError


class Parser:
    """One simdjson parser that gives the memory of an unusually large piece back."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def parse(self, data: bytes | bytearray | memoryview) -> Any:
        """Parse a piece of JSON; what was parsed before must be forgotten by then.

        Raises:
            ValueError, RuntimeError: it is no JSON.
        """
        if len(data) > _ORDINARY:
            return simdjson.Parser().parse(data)
        return self._parser.parse(data)


def diagnose(error: Exception) -> tuple[RejectReason, str]:
    """The reason and the remedy for a piece that did not parse."""
    text = str(error)
    reason = RejectReason.NOT_JSON
    if isinstance(error, UnicodeDecodeError) or "UTF8" in text:
        reason = RejectReason.BAD_ENCODING
    elif "DEPTH" in text:
        reason = RejectReason.TOO_DEEP
    return reason, _REMEDY[reason]
