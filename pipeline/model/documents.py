"""Dataclasses to JSON documents and back, by their annotations."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pipeline.model.clock import parse_rfc3339, rfc3339

if TYPE_CHECKING:
    from collections.abc import Hashable


def to_json(value: Any) -> Any:  # noqa: PLR0911 # one exit per kind of value
    """Turn a document (dataclass, tuple, enum, datetime) into plain JSON values.

    A ``SCHEMA`` class attribute becomes the first key; ``None`` fields are left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        out: dict[str, Any] = {}
        version = getattr(type(value), "SCHEMA", None)
        if version is not None:
            out["schema"] = version
        for field in fields(value):
            item = getattr(value, field.name)
            if item is not None:
                out[field.name] = to_json(item)
        return out
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return {str(to_json(k)): to_json(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(v) for v in value)
    return value


def to_line(value: Any) -> str:
    """One document as one line of JSON, keys in field order, without a newline.

    Raises:
        ValueError: a number is not finite: JSON has no word for it, so no reader could
            take the line back.
    """
    return json.dumps(to_json(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


_T = TypeVar("_T")


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_json(cls: type[_T], data: Any) -> _T:
    """Rebuild a document of type ``cls`` from what :func:`to_json` made.

    A field that is not there and may be ``None`` is ``None``, as :func:`to_json` leaves
    those out; fields that ``cls`` does not know are skipped, so that a newer writer of the
    same version can be read.

    Raises:
        TypeError: a required field is missing.
        ValueError: a value is outside its closed set, or no time.
    """
    hints = _hints(cast("Hashable", cls))  # a class always is; typeshed does not say so
    found: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type] # a dataclass, by contract
        hint = hints[field.name]
        if field.name in data:
            found[field.name] = _read(hint, data[field.name])
        elif types.NoneType in typing.get_args(hint):
            found[field.name] = None
    return cls(**found)


def _read(hint: Any, value: Any) -> Any:  # noqa: PLR0911 # one exit per kind of annotation
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return _read(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], v) for v in value)
    if origin is dict:
        key, item = typing.get_args(hint)
        return {_read(key, k): _read(item, v) for k, v in value.items()}
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            return hint(value)
        if issubclass(hint, datetime):
            return parse_rfc3339(value)
        if is_dataclass(hint):
            return from_json(hint, value)
        if hint is float:
            return float(value)
    return value
