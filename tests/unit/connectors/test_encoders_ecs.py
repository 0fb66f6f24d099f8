"""Alerts in the Elastic Common Schema: fields, types and closed lists of ECS 9.4.

No Python package ships the list of fields, so the part of it that is used stands here. The rows of
base, data_stream, error, event, observer and organization were compared with the project's own table
(elastic/ecs, generated/csv/fields.csv of 8.12.0-dev: type and normalization); those of ecs, rule and
service are from its field reference.
Whatever is not of ECS must stand under ``outrider``.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given

from connectors.sinks.encoders import ecs
from pipeline.model.vocabulary import Service, Verdict
from tests.unit.connectors.encoded import (
    DOCUMENTS,
    LONG,
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)

FIELDS = {
    "@timestamp": "date", "ecs.version": "keyword", "message": "text",
    "event.kind": "keyword", "event.category": "keyword", "event.type": "keyword",
    "event.id": "keyword", "event.sequence": "long", "event.action": "keyword",
    "event.code": "keyword", "event.severity": "long", "event.created": "date",
    "event.start": "date", "event.end": "date", "event.duration": "long",
    "event.reason": "keyword", "event.dataset": "keyword", "event.module": "keyword",
    "event.provider": "keyword", "data_stream.type": "keyword", "data_stream.dataset": "keyword",
    "data_stream.namespace": "keyword", "observer.vendor": "keyword",
    "observer.product": "keyword", "observer.type": "keyword", "observer.version": "keyword",
    "organization.id": "keyword", "service.name": "keyword", "error.code": "keyword",
    "rule.id": "keyword", "rule.name": "keyword", "rule.version": "keyword",
    "rule.category": "keyword",
}  # fmt: skip
# Allowed values of event.category that are used, and the values of event.type each expects.
EXPECTED_TYPES = {
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "email": {"info"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "web": {"access", "error", "info"},
}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def flat(value, prefix=""):
    for key, item in value.items():
        if isinstance(item, dict):
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def faults(event):
    rest = {key: value for key, value in event.items() if key != "outrider"}
    found = []
    for name, value in flat(rest):
        for item in value if isinstance(value, list) else [value]:
            kind = FIELDS.get(name)
            good = {
                "date": lambda v: isinstance(v, str) and RFC3339.fullmatch(v),
                "keyword": lambda v: isinstance(v, str) and len(v.encode()) <= 32_766,
                "text": lambda v: isinstance(v, str),
                "long": lambda v: type(v) is int and abs(v) < 2**63,
                None: lambda _: False,
            }[kind](item)
            if not good:
                found.append((name, item))
    types = set(event["event"]["type"])
    categories = event["event"].get("category", ())
    return found + [("event.category", c) for c in categories if not types <= EXPECTED_TYPES[c]]


@given(document=DOCUMENTS)
def test_any_document_has_only_fields_of_ecs_in_their_types(document):
    event = json.loads(ecs.line(document))
    assert faults(event) == []
    assert event["event"]["kind"] == "alert"
    assert event["ecs"]["version"] == "9.4.0"


def test_only_what_ecs_makes_a_list_of_is_one_where_there_is_one_value():
    """Normalization of the field table: category and type are arrays, the others single values."""
    event = ecs.encode(flag())
    lists = {name for name, value in flat({k: v for k, v in event.items() if k != "outrider"})
             if isinstance(value, list)}  # fmt: skip
    assert lists == {"event.category", "event.type"}


@pytest.mark.parametrize("document", [hostile_incident(LONG), hostile_flag(LONG)])
def test_long_text_stays_a_keyword_that_elasticsearch_takes(document):
    event = json.loads(ecs.line(document))
    assert faults(event) == []
    assert len(event["event"]["reason"]) <= ecs.KEYWORD


def test_the_check_finds_what_is_wrong():
    event = ecs.encode(incident())
    assert faults(event | {"verdict": "x"}) == [("verdict", "x")]
    assert faults(event | {"@timestamp": 1}) == [("@timestamp", 1)]


@pytest.mark.parametrize("document", [incident(), flag()], ids=["incident", "flag"])
def test_the_whole_document_stands_under_outrider(document):
    (kept,) = ecs.encode(document)["outrider"].values()
    assert kept == document


def test_every_category_allows_the_type_that_is_told():
    told = {*ecs.CATEGORIES.values(), *ecs.VERDICT_CATEGORIES.values()}
    assert told == set(EXPECTED_TYPES)
    assert set(ecs.CATEGORIES) <= set(Service)
    assert set(ecs.VERDICT_CATEGORIES) <= set(Verdict)


def test_what_fits_no_category_has_none():
    assert "category" not in ecs.encode(flag(service=Service.TEAMS))["event"]


def test_names_of_the_data_stream_are_allowed():
    for document in (incident(), flag()):
        event = ecs.encode(document)
        stream = event["data_stream"]
        assert stream["dataset"] == event["event"]["dataset"]
        for part in stream.values():
            assert re.fullmatch(r"[a-z0-9._]{1,100}", part)


def test_the_duration_is_in_nanoseconds_and_never_negative():
    event = ecs.encode(incident())["event"]
    assert event["duration"] == 199_440 * 10**9
    backwards = incident() | {"onset_at": "2026-03-22T00:00:00Z"}
    assert "duration" not in ecs.encode(backwards)["event"]


def test_the_key_is_the_id_of_the_event():
    assert ecs.encode(incident())["event"]["id"] == "inc-33c65910ec91c732:4"
