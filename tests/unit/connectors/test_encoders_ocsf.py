"""Detection Findings against the schema of OCSF 1.8.0, as its project publishes it."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from connectors.sinks.encoders import ocsf
from connectors.sinks.encoders.words import KINDS, LEVELS
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import FlagKind, Signal, Verdict
from tests.unit.connectors.encoded import (
    DOCUMENTS,
    LONG,
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)


@cache
def schema(*profiles):
    official = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))
    return official.get_class_schema("detection_finding", list(profiles))


def faults(event):
    """What the schema says against an event, unknown attributes included."""
    validator = Draft202012Validator(schema(*event["metadata"].get("profiles", ())))
    return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(event)]


def captions(attribute):
    """The enumeration of an attribute, number to caption, as the project publishes it."""
    classes = get_ocsf_schema(version=ocsf.VERSION)["classes"]
    enum = classes["detection_finding"]["attributes"][attribute]["enum"]
    return {int(number): value["caption"] for number, value in enum.items()}


@given(document=DOCUMENTS)
def test_any_document_is_valid(document):
    assert faults(json.loads(ocsf.line(document))) == []


@pytest.mark.parametrize(
    "document", [hostile_incident(), hostile_flag(), hostile_incident(LONG), incident(), flag()]
)
def test_hostile_and_usual_documents_are_valid(document):
    assert faults(json.loads(ocsf.line(document))) == []


def test_the_schema_refuses_what_is_wrong():
    event = ocsf.encode(incident())
    assert any("severity_id" in f for f in faults(event | {"severity_id": 42}))
    assert any("headline" in f for f in faults(event | {"headline": "x"}))
    del event["finding_info"]["uid"]
    assert any("uid" in f for f in faults(event))
    assert any("anomalies" in f for f in faults(event | {"anomaly_analyses": [{}]}))


def test_captions_are_those_of_the_schema():
    for attribute, table in {
        "activity_id": ocsf.ACTIVITIES,
        "severity_id": ocsf.SEVERITIES,
        "status_id": ocsf.STATUSES,
        "confidence_id": ocsf.CONFIDENCES,
        "verdict_id": ocsf.VERDICTS,
    }.items():
        assert table.items() <= captions(attribute).items()


def test_every_member_of_the_closed_sets_has_its_place():
    assert set(ocsf.VERDICT_IDS) == set(Verdict)
    assert set(ocsf.STATES) == {*IncidentState, *FlagState}
    assert set(KINDS) == set(FlagKind)
    assert {level.ocsf for level in LEVELS.values()} == set(ocsf.SEVERITIES)
    for signal in Signal:
        assert ocsf.encode(flag() | {"signal": signal.value})["anomaly_analyses"]


def test_the_id_stays_and_the_revision_is_told_apart():
    first, second = (ocsf.encode(incident(revision=n)) for n in (1, 2))
    assert first["finding_info"]["uid"] == second["finding_info"]["uid"] == "inc-33c65910ec91c732"
    assert [e["metadata"]["uid"] for e in (first, second)] == [
        "inc-33c65910ec91c732:1",
        "inc-33c65910ec91c732:2",
    ]
    assert [e["metadata"]["sequence"] for e in (first, second)] == [1, 2]


@pytest.mark.parametrize(
    ("revision", "state", "activity", "status", "alert"),
    [
        (1, IncidentState.OPEN, 200401, 1, True),
        (2, IncidentState.OPEN, 200402, 1, True),
        (3, IncidentState.RECOVERING, 200402, 2, True),
        (4, IncidentState.RESOLVED, 200403, 4, False),
        (4, IncidentState.RETRACTED, 200403, 6, False),
        (1, IncidentState.RESOLVED, 200401, 4, False),  # a receiver cannot close what it never saw
    ],
)
def test_life_of_an_incident(revision, state, activity, status, alert):
    event = ocsf.encode(incident(revision=revision, state=state))
    assert (event["type_uid"], event["status_id"], event["is_alert"]) == (activity, status, alert)


def test_a_retracted_incident_was_a_false_positive():
    assert ocsf.encode(incident(state=IncidentState.RETRACTED))["verdict"] == "False Positive"


@pytest.mark.parametrize(("sure", "step"), [(0.0, 1), (0.49, 1), (0.5, 2), (0.8, 3), (1.0, 3)])
def test_steps_of_confidence(sure, step):
    event = ocsf.encode(incident(confidence=sure))
    assert event["confidence_id"] == step
    assert event["confidence_score"] == round(sure * 100)


def test_a_flag_tells_what_was_seen_against_what_is_usual():
    (analysis,) = ocsf.encode(flag())["anomaly_analyses"]
    assert [t["name"] for t in analysis["analysis_targets"]] == [
        "Outlook for iOS",
        "Exchange Online",
    ]
    (seen,), (usual,) = analysis["anomalies"], analysis["baselines"]
    assert (seen["observation_parameter"], usual["observation_parameter"]) == ("users", "users")
    assert (seen["observations"][0]["value"], usual["observations"][0]["value"]) == ("61", "412")
    assert seen["observed_pattern"] == "volume_drop"


def test_times_are_milliseconds():
    event = ocsf.encode(incident())
    assert (event["start_time"], event["end_time"]) == (1773906060000, 1774105500000)


def leaves(value):
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in {key} | leaves(item)}
    if isinstance(value, list):
        return {leaf for item in value for leaf in leaves(item)}
    return {value}


@pytest.mark.parametrize("document", [incident(), flag()], ids=["incident", "flag"])
def test_every_field_is_mapped_or_stands_under_unmapped(document):
    event = ocsf.encode(document)
    kept = event.pop("unmapped")["outrider"]
    assert all(kept[k] == document[k] for k in kept)
    told = leaves(event) | {str(leaf).casefold() for leaf in leaves(event)}
    for name, value in document.items():
        if name == "onset_at":
            assert event["start_time"] == 1773906060000
        elif name not in kept:
            assert leaves(value) <= told, name


def test_a_cut_is_told_in_the_metadata():
    assert "is_truncated" not in ocsf.encode(incident())["metadata"]
    assert ocsf.encode(hostile_incident(LONG))["metadata"]["is_truncated"] is True
