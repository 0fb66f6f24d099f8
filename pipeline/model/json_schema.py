"""JSON Schemas (draft 2020-12) of the published documents, from their dataclasses.

The files in ``schemas/`` are the contract that readers of the output check against.
``make docs`` writes their structure anew and keeps the words and bounds written by hand
in them (``description``, ``minimum``, ``maximum``). ``summary.json`` and ``labels.json``
describe documents without a class and are written by hand.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pipeline.model.advisory import Advisory, Impact
from pipeline.model.dead_letter import DeadLetterDocument
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident
from pipeline.model.notice import Ack, Notice, Silence
from pipeline.model.reject import Reject

SCHEMA_FOLDER: Final = Path(__file__).with_name("schemas")

PUBLISHED: Final[dict[str, type]] = {
    "ack": Ack,
    "advisory": Advisory,
    "dead_letter": DeadLetterDocument,
    "flag": Flag,
    "impact": Impact,
    "incident": Incident,
    "notice": Notice,
    "reject": Reject,
    "silence": Silence,
}

_BY_HAND: Final = ("description", "minimum", "maximum")
_SCALARS: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TIME: Final = {
    "description": "UTC, RFC 3339; a fraction of a second only where there is one.",
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z$",
}


def schema_of(cls: type, previous: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of what ``documents.to_json`` makes of a ``cls``.

    ``previous`` is the schema as it stands: its descriptions and bounds are taken over.

    Raises:
        TypeError: a field has an annotation that no document may have.
    """
    before = previous or {}
    defs: dict[str, Any] = {}
    version: str = vars(cls).get("SCHEMA", f"outrider.{cls.__name__.lower()}/1")
    body = _object(cls, before, before.get("$defs", {}), defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:" + version.replace("/", ":").replace(".", ":"),
        "title": before.get("title", cls.__name__),
        **body,
        "$defs": dict(sorted(defs.items())),
    }


def _object(
    cls: type, before: dict[str, Any], defs_before: dict[str, Any], defs: dict[str, Any]
) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {}
    if "SCHEMA" in vars(cls):
        properties["schema"] = {"const": vars(cls)["SCHEMA"]}
    required = list(properties)
    for field in fields(cls):
        hint = hints[field.name]
        old = before.get("properties", {}).get(field.name, {})
        kept = {k: old[k] for k in _BY_HAND if k in old}
        properties[field.name] = {**kept, **_node(hint, defs_before, defs)}
        if types.NoneType not in typing.get_args(hint):
            required.append(field.name)
    words = {"description": before["description"]} if "description" in before else {}
    return {
        **words,
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _node(hint: Any, defs_before: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType) and types.NoneType in args:
        (inner,) = (a for a in args if a is not types.NoneType)
        return _node(inner, defs_before, defs)
    if origin is tuple:
        return {"type": "array", "items": _node(args[0], defs_before, defs)}
    if origin is dict:
        names = {} if args[0] is str else {"propertyNames": _node(args[0], defs_before, defs)}
        return {
            "type": "object",
            **names,
            "additionalProperties": _node(args[1], defs_before, defs),
        }
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    return _reference(hint, defs_before, defs)


def _reference(hint: Any, defs_before: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if hint is datetime:
        defs["time"] = _TIME
        return {"$ref": "#/$defs/time"}
    if not isinstance(hint, type) or not (is_dataclass(hint) or issubclass(hint, Enum)):
        raise TypeError(f"{hint!r} is no kind of value that a document may hold")
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in hint.__name__).lstrip("_")
    if name not in defs:
        defs[name] = {}  # holds the place, should the class refer to itself
        if issubclass(hint, Enum):
            defs[name] = {"enum": [member.value for member in hint]}
        else:
            defs[name] = _object(hint, defs_before.get(name, {}), defs_before, defs)
    return {"$ref": f"#/$defs/{name}"}


def render(name: str, cls: type, folder: Path = SCHEMA_FOLDER) -> str:
    """Return the text that ``folder/name.json`` should hold for the class ``cls``."""
    path = folder / f"{name}.json"
    previous = json.loads(path.read_text("utf-8")) if path.exists() else None
    return json.dumps(schema_of(cls, previous), indent=2, ensure_ascii=False) + "\n"
