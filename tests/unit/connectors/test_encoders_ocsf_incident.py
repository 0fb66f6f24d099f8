"""Incident Findings against the schema of OCSF 1.8.0, as its project publishes it."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from connectors.sinks.encoders import ocsf as detection
from connectors.sinks.encoders import ocsf_incident
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.encoders.ocsf_incident import ocsf
from pipeline.model.documents import to_json
from pipeline.model.incident import IncidentState, Severity
from pipeline.model.vocabulary import Verdict
from tests.contracts.strategies import INCIDENTS
from tests.unit.connectors.encoded import HOSTILE, LONG, flag, hostile_incident, incident

FORM = ocsf("Messaging on-call")


@cache
def schema():
    official = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=detection.VERSION))
    return Draft202012Validator(official.get_class_schema("incident_finding", []))


def faults(event):
    """What the schema says against an event, unknown attributes included."""
    return [f"{e.json_path}: {e.message}" for e in schema().iter_errors(event)]


def captions(attribute):
    classes = get_ocsf_schema(version=detection.VERSION)["classes"]
    enum = classes["incident_finding"]["attributes"][attribute]["enum"]
    return {int(number): value["caption"] for number, value in enum.items()}


@given(document=INCIDENTS.map(to_json))
def test_any_incident_is_valid(document):
    event = json.loads(FORM.line(document))
    assert faults(event) == []
    assert event["type_uid"] // 100 == event["class_uid"] == 2005
    assert FORM.key(FORM.line(document)) == key_of(document)


@pytest.mark.parametrize("document", [incident(), hostile_incident(), hostile_incident(LONG)])
def test_usual_and_hostile_incidents_are_valid(document):
    assert faults(json.loads(FORM.line(document))) == []


@pytest.mark.parametrize("group", [HOSTILE, LONG, " ", "Büro"])
def test_a_group_with_an_odd_name_breaks_nothing(group):
    event = json.loads(ocsf(group).line(incident()))
    assert faults(event) == []
    assert event["assignee_group"]["name"]


def test_the_schema_refuses_what_is_wrong():
    event = json.loads(FORM.line(incident()))
    assert any("status_id" in f for f in faults(event | {"status_id": 42}))
    assert any("evidences" in f for f in faults(event | {"evidences": []}))
    for needed in ("finding_info_list", "status_id"):
        assert any(needed in f for f in faults({k: v for k, v in event.items() if k != needed}))
    # The published schema for JSON leaves this constraint of the class out.
    constraint = get_ocsf_schema(version=detection.VERSION)["classes"]["incident_finding"]
    assert constraint["constraints"] == {"at_least_one": ["assignee", "assignee_group"]}
    assert event["assignee_group"] == {"name": "Messaging on-call", "type": "group"}


def test_captions_are_those_of_the_schema():
    for attribute, table in {
        "activity_id": detection.ACTIVITIES,
        "severity_id": detection.SEVERITIES,
        "status_id": ocsf_incident.STATUSES,
        "priority_id": ocsf_incident.PRIORITIES,
        "confidence_id": detection.CONFIDENCES,
        "verdict_id": detection.VERDICTS,
    }.items():
        assert table.items() <= captions(attribute).items()


def test_every_member_of_the_closed_sets_has_its_place():
    assert set(ocsf_incident.STATES) == set(IncidentState)
    for severity in Severity:
        event = ocsf_incident.encode_incident(incident(severity=severity), "g")
        assert event["priority"].casefold() == severity
    for verdict in Verdict:
        event = ocsf_incident.encode_incident(incident(verdict=verdict), "g")
        assert event["verdict_id"] == detection.VERDICT_IDS[verdict]
        assert event["is_suspected_breach"] is (verdict == "attack")


@pytest.mark.parametrize(
    ("revision", "state", "activity", "status"),
    [
        (1, IncidentState.OPEN, 200501, "New"),
        (2, IncidentState.RECOVERING, 200502, "In Progress"),
        (4, IncidentState.RESOLVED, 200503, "Resolved"),
        (4, IncidentState.RETRACTED, 200503, "Closed"),
    ],
)
def test_life_of_an_incident(revision, state, activity, status):
    event = ocsf_incident.encode_incident(incident(revision=revision, state=state), "g")
    assert (event["type_uid"], event["status"]) == (activity, status)
    assert event["finding_info_list"][0]["uid"] == "inc-33c65910ec91c732"


def test_the_list_of_findings_names_the_flags_as_their_own_events_do():
    document = incident()
    listed = ocsf_incident.encode_incident(document, "g")["finding_info_list"]
    assert [found["uid"] for found in listed[1:]] == document["flag_ids"]
    for name in document["flag_ids"]:
        told = json.loads(FORM.line(flag() | {"flag_id": name}))
        assert (told["class_uid"], told["finding_info"]["uid"]) == (2004, name)


def test_every_field_is_told_or_stands_under_unmapped():
    document = incident()
    event = ocsf_incident.encode_incident(document, "g")
    kept = event["unmapped"]["outrider"]
    assert all(kept[name] == document[name] for name in kept)
    assert set(document) - set(kept) == ocsf_incident._MAPPED
    assert kept["evidence"] == document["evidence"]


def test_without_a_group_it_is_the_usual_form():
    assert ocsf(None) is FORMS["ocsf"]
    assert json.loads(ocsf(None).line(incident()))["class_uid"] == 2004


def test_a_shortened_document_says_so():
    event = ocsf_incident.encode_incident(incident() | {"shortened": ["evidence"]}, "g")
    assert faults(event) == []
    assert event["metadata"]["is_truncated"] is True
    assert event["message"].endswith(" [cut: evidence]")
