from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from pipeline.model.documents import from_json, to_json, to_line
from pipeline.model.vocabulary import Client


@dataclass(frozen=True, slots=True)
class Inner:
    at: datetime
    score: float | None


@dataclass(frozen=True, slots=True)
class Outer:
    SCHEMA: ClassVar[str] = "outrider.outer/1"

    name: str
    client: Client
    inner: tuple[Inner, ...] = ()
    by_client: dict[Client, float] = field(default_factory=dict)
    maybe: Inner | None = None


AT = datetime(2026, 3, 19, 8, tzinfo=UTC)
OUTER = Outer(
    "é\n", Client.OWA, (Inner(AT, None), Inner(AT, 1.5)), {Client.IMAP4: 0.5}, Inner(AT, 2.0)
)


def test_a_document_starts_with_its_schema_and_leaves_out_what_is_none() -> None:
    assert to_json(OUTER) == {
        "schema": "outrider.outer/1",
        "name": "é\n",
        "client": "owa",
        "inner": [{"at": "2026-03-19T08:00:00Z"}, {"at": "2026-03-19T08:00:00Z", "score": 1.5}],
        "by_client": {"imap4": 0.5},
        "maybe": {"at": "2026-03-19T08:00:00Z", "score": 2.0},
    }
    assert next(iter(to_json(OUTER))) == "schema"


def test_a_document_is_one_line_and_comes_back() -> None:
    line = to_line(OUTER)
    assert "\n" not in line
    assert "é" in line
    assert from_json(Outer, json.loads(line)) == OUTER


def test_a_field_without_default_that_may_be_none_comes_back_as_none() -> None:
    assert from_json(Inner, {"at": "2026-03-19T08:00:00Z"}) == Inner(AT, None)


def test_whole_numbers_come_back_as_floats_where_a_float_stands() -> None:
    assert isinstance(from_json(Inner, {"at": "2026-03-19T08:00:00Z", "score": 2}).score, float)


def test_fields_of_a_newer_writer_are_skipped() -> None:
    assert from_json(Outer, {**to_json(OUTER), "news": 1}) == OUTER


def test_a_missing_field_is_named() -> None:
    with pytest.raises(TypeError, match="client"):
        from_json(Outer, {"name": "x"})


def test_a_value_outside_its_closed_set_is_named() -> None:
    with pytest.raises(ValueError, match="outlook_amiga"):
        from_json(Outer, {"name": "x", "client": "outlook_amiga"})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_say_is_refused(number: float) -> None:
    with pytest.raises(ValueError):
        to_line(Inner(AT, number))


def test_sets_are_written_in_order() -> None:
    assert to_json({"clients": frozenset({Client.OWA, Client.EWS})}) == {"clients": ["ews", "owa"]}
