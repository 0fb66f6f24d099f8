"""Versions of advisories by their content: the same words are told once, in whatever form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.model.errors import StateError
from pipeline.model.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.contracts import Cursor


def version_key(record: Mapping[str, Any]) -> str:
    """The content of one decoded record as a key; annotations of OData do not count.

    >>> version_key({"id": "EX1", "@odata.etag": "a"}) == version_key({"id": "EX1"})
    True
    """
    plain = {k: v for k, v in record.items() if not k.startswith("@odata")}
    return content_id("adv", json.dumps(plain, sort_keys=True, separators=(",", ":")))


def in_order(advisory: Advisory) -> tuple[str, bool, datetime | None]:
    """Sorts versions by id and time of modification; those without a time come first."""
    # None compares with nothing: the flag before it keeps the two apart.
    modified = advisory.last_modified_at
    return (advisory.advisory_id, modified is not None, modified)


def read_cursor(cursor: Cursor | None, version: int, what: str, *keys: str) -> dict[str, Any]:
    """The dictionaries that a cursor holds under ``keys``; empty ones if there is none.

    Args:
        cursor: of the caller; it is not changed.
        version: of the form that is understood.
        what: feed it is of, for the message.
        keys: that have to be there.

    Raises:
        StateError: the cursor is of another version or shape.
    """
    if cursor is None:
        return {key: {} for key in keys}
    if cursor.get("v") != version or not all(isinstance(cursor.get(key), dict) for key in keys):
        raise StateError(
            f"{what}: its cursor is of another version than {version}; delete the stored cursor "
            "to read all advisories again"
        )
    return {key: dict(cursor[key]) for key in keys}
