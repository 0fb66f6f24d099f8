"""What the sinks really send, and the fields in it, as each product names them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from connectors.sinks.encoders.ecs import encode
from connectors.sinks.splunk import SplunkSink
from pipeline.model.flag import FlagState
from pipeline.model.incident import AdvisoryMatch, Evidence, IncidentState, RevisionReason
from pipeline.model.vocabulary import Client, OutcomeFamily, Verdict
from tests.unit.connectors import encoded
from tests.unit.report import sample_folder

PACKS = Path(__file__).parents[3] / "docs" / "packs"
_AT = sample_folder.RAISED


def incidents():
    """Revisions of two incidents, in order; together they have every field that there is."""
    told = [encoded.to_json(i) for i in sample_folder.history()]
    match = AdvisoryMatch("EX2", 0.4, ("a reason",), -600.0, -60.0, "text", ("EX3",))
    late = encoded.incident(
        incident_id="inc-late",
        revision=1,
        reason=RevisionReason.OPENED,
        state=IncidentState.OPEN,
        clients=(Client.OWA,),
        advisory=match,
        other_advisories=(match,),
        recurrence_of=("inc-before",),
        evidence=(Evidence(Verdict.SERVICE_OUTAGE, 1.0, "a reason", {"users": 3.0}),),
        resolved_at=None,
        user_minutes_lost=600.0,
    )
    return [*told, late]


def flags():
    """Flags, in order; together they have every field that there is."""
    whole = replace(
        sample_folder.flag(Client.OWA),
        family=OutcomeFamily.SERVICE,
        error_code=90033,
        decided_at=_AT,
        corrected_at=_AT,
    )
    opened = encoded.flag(revision=1, state=FlagState.OPEN, closed_at=None)
    return [opened, encoded.flag(), encoded.to_json(whole)]


def documents():
    return {"incident": incidents(), "flag": flags()}


def ecs_events(kind):
    return [encode(document) for document in documents()[kind]]


def splunk_events(kind):
    """Events as the collector takes them."""
    sink = SplunkSink("http://127.0.0.1:1", lambda: "")
    found = [json.loads(sink._event(document)) for document in documents()[kind]]
    sink.close()
    return found


def paths(value, list_mark="", prefix=""):
    """Names of all fields of a JSON object, parents as well; lists are marked behind their name.

    >>> sorted(paths({"a": {"b": 1}, "c": [{"d": 2}]}, "{}"))
    ['a', 'a.b', 'c', 'c{}', 'c{}.d']
    """
    found = set()
    for name, item in value.items():
        path = f"{prefix}{name}"
        found.add(path)
        if isinstance(item, dict):
            found |= paths(item, list_mark, f"{path}.")
        elif isinstance(item, list):
            found.add(f"{path}{list_mark}")
            for one in item:
                if isinstance(one, dict):
                    found |= paths(one, list_mark, f"{path}{list_mark}.")
    return found
