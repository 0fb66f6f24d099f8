"""Reading fields whatever their spelling: names without case, blanks and marks; loose values."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Final

_MARKS: Final = re.compile(r"[^0-9a-z]")
_UTC: Final = re.compile(r"\s*\[utc\]\s*$")


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """A field name as it is compared: letters and digits only.

    >>> fold("Application ID "), fold("TimeGenerated [UTC]"), fold("Autonomous system  number")
    ('applicationid', 'timegenerated', 'autonomoussystemnumber')
    """
    return _MARKS.sub("", _UTC.sub("", name.casefold()))


def folded(record: dict[str, Any]) -> dict[str, Any]:
    """The record with folded names; of two that fold alike the first with a value stands."""
    out: dict[str, Any] = {}
    for name, value in record.items():
        key = fold(name)
        if out.get(key) in (None, ""):
            out[key] = value
    return out


def text(value: Any) -> str | None:
    """The value as text; None for nothing, and for what holds other values."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, (int, float)):
        return str(value)
    return None


def first(record: dict[str, Any], *names: str) -> str | None:
    """The first of the fields that holds text."""
    for name in names:
        value = record.get(name)
        if type(value) is str:  # nearly always, and then there is nothing to convert
            if value:
                return value
        elif value is not None and (found := text(value)) is not None:
            return found
    return None


def nested(value: Any) -> dict[str, Any]:
    """An object, or the object inside a string of JSON (Log Analytics), with folded names."""
    if isinstance(value, str):
        return _nested_text(value) if value.lstrip().startswith("{") else {}
    return folded(value) if isinstance(value, dict) else {}


@lru_cache(maxsize=4096)  # places, states and devices come again and again
def _nested_text(value: str) -> dict[str, Any]:
    inner = parsed(value)
    return folded(inner) if isinstance(inner, dict) else {}


def parsed(value: str) -> Any:
    """The JSON in a string, or None; also None if half a surrogate pair is in it."""
    try:
        found = json.loads(value)
        if "\\ud" in value or "\\uD" in value:
            json.dumps(found, ensure_ascii=False).encode()  # such a half can be written nowhere
    except (ValueError, RecursionError):
        return None
    return found


def flag(value: Any) -> bool | None:
    """A boolean given as such or as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().casefold())
