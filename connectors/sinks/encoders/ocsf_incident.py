"""Incident Findings of OCSF (class 2005), for incidents that a group of people is assigned.

The class asks for an assignee, so it is used where a group is named. Flags stay Detection
Findings, and an incident's list of findings names them by their ids.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import kind_of
from connectors.sinks.encoders.ocsf import OCSF, base, encode, finding, finished, judged, status
from connectors.sinks.encoders.text import filled, safe
from connectors.sinks.encoders.words import advisory_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sinks.encoders.encoder import Encoder

CLASS: Final = 2005
STATUSES: Final = {1: "New", 2: "In Progress", 4: "Resolved", 5: "Closed"}
# The class has no "deleted": what was retracted is closed, and its verdict is false positive.
STATES: Final = {"open": 1, "recovering": 2, "resolved": 4, "retracted": 5}
PRIORITIES: Final = {1: "Low", 2: "Medium", 3: "High", 4: "Critical"}
_PRIORITY: Final = {"low": 1, "medium": 2, "high": 3, "critical": 4}
# What is told above under a name of OCSF; all other fields stand under unmapped.outrider, the
# evidence too, for which this class has no place.
_MAPPED: Final = frozenset(
    {"schema", "incident_id", "revision", "onset_at", "severity", "headline", "flag_ids"}
)


def ocsf(assignee_group: str | None) -> Encoder:
    """OCSF, incidents as Incident Findings if there is a group that they are assigned to.

    Args:
        assignee_group: its name; None = they are Detection Findings.
    """
    if assignee_group is None:
        return OCSF

    def line(document: Mapping[str, Any]) -> str:
        event = (
            encode_incident(document, assignee_group)
            if kind_of(document) == "incident"
            else encode(document)
        )
        return json.dumps(event, ensure_ascii=False, allow_nan=False)

    return replace(OCSF, line=line)


def encode_incident(document: Mapping[str, Any], assignee_group: str) -> dict[str, Any]:
    """An Incident Finding; ``metadata.uid`` holds (id, revision).

    The first of ``finding_info_list`` is the incident itself, ``uid`` its id; then its flags.

    Args:
        document: ``outrider.incident/1``, as JSON.
        assignee_group: name of the group that is to act.
    """
    clean = safe(dict(document))
    own = finding(clean, document, "incident")
    own = {k: v for k, v in own.items() if not k.startswith("related_events")}
    priority = _PRIORITY[document["severity"]]
    told = {
        **base(document, CLASS, "Incident Finding"),
        **status(document, STATES, STATUSES),
        "assignee_group": filled({"name": safe(assignee_group), "type": "group"}),
        "desc": safe(advisory_reasons(document)),
        "finding_info_list": [
            own,
            *({"uid": name, "types": ["outrider.flag"]} for name in clean["flag_ids"]),
        ],
        "priority_id": priority,
        "priority": PRIORITIES[priority],
        "is_suspected_breach": document["verdict"] == "attack",
        **judged(document),
        "unmapped": {"outrider": {k: v for k, v in clean.items() if k not in _MAPPED}},
    }
    return finished(told, document)
