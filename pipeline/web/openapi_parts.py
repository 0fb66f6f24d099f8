"""Pieces of the OpenAPI document that several schemas are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.web.query import Parameter

TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "format": "date-time"}
COUNTS: Final = {"type": "object", "additionalProperties": COUNT}


@dataclass(frozen=True, slots=True)
class Answer:
    """One address: ``schema`` names what it answers, ``errors`` the problems it may tell."""

    path: str
    summary: str
    schema: str
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()


def object_of(
    properties: Mapping[str, Any], *, optional: Iterable[str] = (), text: str = ""
) -> dict[str, Any]:
    """Schema of an object that has these properties and no others."""
    named = {"description": text} if text else {}
    return {
        **named,
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in set(optional)],
        "properties": dict(properties),
    }


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Schema of a list."""
    return {"type": "array", "items": dict(schema)}
