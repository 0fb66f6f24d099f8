from __future__ import annotations

import json
import typing
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.model.documents import from_json, to_json, to_line
from pipeline.model.json_schema import PUBLISHED, SCHEMA_FOLDER, render, schema_of
from tests.contracts.strategies import DOCUMENTS

# Rejects carry no version of their own; tests/test_outputs.py holds real ones to the schema.
NAMES = {cls: name for name, cls in PUBLISHED.items() if hasattr(cls, "SCHEMA")}


def load(cls: type) -> dict[str, Any]:
    return json.loads((SCHEMA_FOLDER / f"{NAMES[cls]}.json").read_text("utf-8"))


VALIDATORS = {
    cls: Draft202012Validator(load(cls), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for cls in NAMES
}
documents = pytest.mark.parametrize("cls", list(NAMES), ids=list(NAMES.values()))


@documents
def test_the_schema_itself_is_valid_and_carries_the_version(cls: type) -> None:
    schema = load(cls)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["schema"] == {"const": cls.SCHEMA}


@documents
@given(data=st.data())
def test_every_document_keeps_its_schema_and_comes_back_equal(
    cls: type, data: st.DataObject
) -> None:
    document = data.draw(DOCUMENTS[cls])
    written = to_json(document)
    VALIDATORS[cls].validate(written)
    assert from_json(cls, written) == document
    assert from_json(cls, json.loads(to_line(document))) == document


def classes_of(hint: Any) -> set[type]:
    """Dataclasses and enums that stand anywhere inside an annotation."""
    found = (
        {hint}
        if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Enum))
        else set()
    )
    return found.union(*(classes_of(a) for a in typing.get_args(hint)))


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def assert_matches(cls: type, node: dict[str, Any], defs: dict[str, Any], seen: set[type]) -> None:
    if cls in seen:
        return
    seen.add(cls)
    if issubclass(cls, Enum):
        assert node == {"enum": [m.value for m in cls]}
        return
    hints = typing.get_type_hints(cls)
    names = [f.name for f in fields(cls)]
    version = ["schema"] if hasattr(cls, "SCHEMA") else []
    assert list(node["properties"]) == version + names
    optional = {n for n in names if type(None) in typing.get_args(hints[n])}
    assert set(node["required"]) == set(version + names) - optional
    assert node["additionalProperties"] is False
    for name in names:
        for inner in classes_of(hints[name]):
            assert f"#/$defs/{snake(inner.__name__)}" in json.dumps(node["properties"][name])
            assert_matches(inner, defs[snake(inner.__name__)], defs, seen)


@documents
def test_the_schema_names_exactly_the_fields_and_closed_sets_of_the_class(cls: type) -> None:
    schema = load(cls)
    seen: set[type] = set()
    assert_matches(cls, schema, schema["$defs"], seen)
    assert set(schema["$defs"]) - {"time"} == {snake(c.__name__) for c in seen - {cls}}


def breakages(written: dict[str, Any]) -> dict[str, dict[str, Any]]:
    key = next(k for k in written if k.endswith("_id"))
    broken = {
        "an unknown field": {**written, "surprise": 1},
        "a missing field": {k: v for k, v in written.items() if k != key},
        "another version": {**written, "schema": "outrider.other/9"},
        "null where a value is required": {**written, key: None},
        "a number for a text": {**written, key: 7},
    }
    for time in (k for k in written if k.endswith("_at")):
        broken["a time without zone"] = {**written, time: "2026-03-19T08:00:00"}
        broken["a time in another zone"] = {**written, time: "2026-03-19T08:00:00+01:00"}
    return broken


@documents
@given(data=st.data())
def test_broken_documents_are_refused(cls: type, data: st.DataObject) -> None:
    for what, broken in breakages(to_json(data.draw(DOCUMENTS[cls]))).items():
        assert not VALIDATORS[cls].is_valid(broken), what


@documents
def test_the_files_are_what_make_docs_writes(cls: type) -> None:
    name = NAMES[cls]
    assert (SCHEMA_FOLDER / f"{name}.json").read_text("utf-8") == render(name, cls)


def test_words_and_bounds_written_by_hand_are_kept() -> None:
    previous = load(PUBLISHED["flag"])
    previous["properties"]["completeness"] |= {"description": "By hand.", "minimum": 0.25}
    field = schema_of(PUBLISHED["flag"], previous)["properties"]["completeness"]
    assert field == {"description": "By hand.", "minimum": 0.25, "maximum": 1, "type": "number"}


def test_a_kind_of_value_that_no_document_may_hold_is_named() -> None:
    @dataclass
    class Odd:
        SCHEMA: ClassVar[str] = "outrider.odd/1"
        value: complex

    with pytest.raises(TypeError, match="complex"):
        schema_of(Odd)
