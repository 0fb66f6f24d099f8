"""Open Cybersecurity Schema Framework 1.8.0: Detection Finding, one event for each revision."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import Encoder, key_of, key_text, kind_of, read_key
from connectors.sinks.encoders.ocsf_analyses import analyses, evidences
from connectors.sinks.encoders.text import MARK, filled, safe
from pipeline.model.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = "1.8.0"
CLASS: Final = 2004
ACTIVITIES: Final = {1: "Create", 2: "Update", 3: "Close"}
SEVERITIES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
STATUSES: Final = {1: "New", 2: "In Progress", 4: "Resolved", 6: "Deleted"}
CONFIDENCES: Final = {1: "Low", 2: "Medium", 3: "High"}
VERDICTS: Final = {
    1: "False Positive", 2: "True Positive", 7: "Insufficient Data", 8: "Security Risk",
    9: "Managed Externally",
}  # fmt: skip
# Recovering: something is being done. Retracted: it never should have been ("created in error").
STATES: Final = {"open": 1, "recovering": 2, "resolved": 4, "closed": 4, "retracted": 6}
VERDICT_IDS: Final[dict[str, int]] = {
    "service_outage": 9,  # real, and Microsoft's to mend
    "tenant_change": 2,  # real, and ours to mend
    "local_network": 2,  # the same
    "attack": 8,
    "telemetry_gap": 7,  # the logs stopped: whether anything failed cannot be told
    "undetermined": 7,  # too little speaks for any verdict
}
# What is told above under a name of OCSF; all other fields stand under unmapped.outrider.
_MAPPED: Final = frozenset(
    {"schema", "flag_id", "incident_id", "revision", "tenant", "onset_at", "severity", "headline",
     "evidence", "flag_ids", "observed", "expected", "detector", "detector_version"}
)  # fmt: skip


def encode(document: Mapping[str, Any]) -> dict[str, Any]:
    """A Detection Finding; ``metadata.uid`` holds (id, revision), ``finding_info.uid`` the id.

    Args:
        document: ``outrider.flag/1`` or ``outrider.incident/1``, as JSON.

    Raises:
        ValueError: it is neither.
    """
    kind = kind_of(document)
    clean = safe(dict(document))
    told = {
        **base(document, CLASS, "Detection Finding"),
        **status(document, STATES, STATUSES),
        "is_alert": kind == "incident" and document["state"] not in words.OVER,
        "finding_info": finding(clean, document, kind),
        "evidences": evidences(clean),
        "anomaly_analyses": analyses(clean),
        "resources": _resources(document),
        **judged(document),
        "unmapped": {"outrider": {k: v for k, v in clean.items() if k not in _MAPPED}},
    }
    if kind == "incident":
        # The verdict is an attribute of this profile, and only incidents have one.
        told["metadata"]["profiles"] = ["incident"]
    return finished(told, document)


def base(document: Mapping[str, Any], number: int, name: str) -> dict[str, Any]:
    """What events of each class of findings have.

    Args:
        document: a flag or an incident.
        number: of the class.
        name: of the class.
    """
    over = document["state"] in words.OVER
    activity = 1 if document["revision"] == 1 else 3 if over else 2
    severity = words.level(document).ocsf
    end = words.ended_at(document)
    return {
        "activity_id": activity,
        "activity_name": ACTIVITIES[activity],
        "category_uid": number // 1000,
        "category_name": "Findings",
        "class_uid": number,
        "class_name": name,
        "type_uid": number * 100 + activity,
        "type_name": f"{name}: {ACTIVITIES[activity]}",
        "time": words.milliseconds(words.told_at(document)),
        "start_time": words.milliseconds(document["onset_at"]),
        "end_time": None if end is None else words.milliseconds(end),
        "severity_id": severity,
        "severity": SEVERITIES[severity],
        "message": safe(words.message(document)),
        "metadata": _metadata(document),
    }


def status(
    document: Mapping[str, Any], states: Mapping[str, int], names: Mapping[int, str]
) -> dict[str, Any]:
    """The state, by a class's own numbers and names."""
    number = states[document["state"]]
    return {
        "status_id": number,
        "status": names[number],
        "status_detail": document["state"],
        "status_code": document.get("reason"),
    }


def finished(event: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The event without what it does not hold, and whether anything was cut."""
    made = filled(event)
    cut = MARK in json.dumps(made) and MARK not in json.dumps(document)
    if cut or words.SHORTENED in document:
        made["metadata"]["is_truncated"] = True
    return made


def _metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    tenants = words.tenants(document)
    return filled(
        {
            "version": VERSION,
            "product": {
                "name": words.NAME,
                "vendor_name": words.NAME,
                "version": words.product_version(),
            },
            "uid": key_text(*key_of(document)),
            "sequence": document["revision"],
            "event_code": words.event_class(document),
            "log_name": str(document.get("schema", "")),
            "original_time": words.told_at(document),
            # One finding has one tenant in OCSF; all of them stand under unmapped.
            "tenant_uid": safe(tenants[0]) if len(tenants) == 1 else None,
        }
    )


def finding(clean: Mapping[str, Any], document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What was found: its id, its title, when, by what.

    Args:
        clean: the document, safe.
        document: the same as it came.
        kind: ``flag`` or ``incident``.
    """
    last = document.get("last_evidence_at")
    flags = clean.get("flag_ids", ())
    analytic = filled(
        {
            "name": clean.get("detector") or "Outrider correlation",
            "version": clean.get("detector_version"),
            "type_id": 3,
            "type": "Statistical",
            "category": document.get("signal"),
        }
    )
    told = Verdict(document["verdict"]).label if kind == "incident" else document["kind"]
    # The id is required, so it stands even if it were empty.
    return {"uid": clean[f"{kind}_id"]} | filled(
        {
            "title": clean.get("headline", words.title(document)),
            "types": [told],
            "analytic": analytic,
            "created_time": words.milliseconds(document["raised_at"]),
            "modified_time": words.milliseconds(words.told_at(document)),
            "first_seen_time": words.milliseconds(document["onset_at"]),
            "last_seen_time": None if last is None else words.milliseconds(last),
            "desc": safe(words.advisory_reasons(document)) if kind == "incident" else None,
            "related_events": [{"uid": name, "type": "outrider.flag"} for name in flags],
            "related_events_count": len(flags) or None,
        }
    )


def _resources(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = [
        ("client", words.client_ids(document), words.client_names(document)),
        ("service", words.service_ids(document), words.service_names(document)),
    ]
    return [
        {"uid": uid, "name": name, "type": kind, "role_id": 3, "role": "Affected"}
        for kind, ids, names in named
        for uid, name in zip(ids, names, strict=True)
    ]


def judged(document: Mapping[str, Any]) -> dict[str, Any]:
    """Verdict and confidence; a flag has neither."""
    if "verdict" not in document:
        return {}
    retracted = document["state"] == "retracted"
    verdict = 1 if retracted else VERDICT_IDS[document["verdict"]]
    sure = document["confidence"]
    step = 3 if sure >= 0.8 else 2 if sure >= 0.5 else 1
    return {
        "verdict_id": verdict,
        "verdict": VERDICTS[verdict],
        "confidence_id": step,
        "confidence": CONFIDENCES[step],
        "confidence_score": round(100 * sure),
    }


def line(document: Mapping[str, Any]) -> str:
    """The finding as one line of JSON; raises ValueError for what is no document of ours."""
    return json.dumps(encode(document), ensure_ascii=False, allow_nan=False)


def key(text: str) -> tuple[str, int]:
    """(id, revision) of a line; raises ValueError, TypeError or KeyError for another."""
    return read_key(json.loads(text)["metadata"]["uid"])


OCSF: Final = Encoder("ocsf", ".ocsf.ndjson", line, key)
