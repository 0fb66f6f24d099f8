"""The first line of a CSV: its delimiter, and whether its columns are known here."""

from __future__ import annotations

import csv
from typing import Final

from connectors.normalise.folding import fold
from connectors.normalise.shapes import COLUMNS

TYPE_LINE: Final = b"#TYPE"  # Windows PowerShell's Export-Csv begins with it
_DELIMITERS: Final = (",", ";", "\t", "|")


def delimiter_of(line: str) -> str | None:
    """The delimiter that makes known columns of a header line, if any does."""
    for delimiter in _DELIMITERS:
        if len(set(names_of(line, delimiter)) & COLUMNS) >= 2:
            return delimiter
    return None


def names_of(line: str, delimiter: str) -> list[str]:
    """The columns of a header line; none where it is no line of a CSV."""
    try:
        return [fold(n) for n in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:  # a carriage return alone, as packed bytes have them
        return []


def is_header(text: bytes) -> bool:
    """Whether the first line names columns that are known here."""
    line, _, rest = text.partition(b"\n")
    if line.startswith(TYPE_LINE):
        line = rest.partition(b"\n")[0]
    return len(line) < 32 * 1024 and delimiter_of(line.decode("utf-8", "replace")) is not None
