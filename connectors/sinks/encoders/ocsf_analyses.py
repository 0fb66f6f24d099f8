"""What was seen and what is usual, as OCSF tells anomalies (``anomaly_analysis``, since 1.5.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words

if TYPE_CHECKING:
    from collections.abc import Mapping

# The kinds of analysis that the schema gives as examples.
_TYPES: Final = {
    "failure_rate": "Frequency Analysis",
    "active_users": "Volume Analysis",
    "access_volume": "Volume Analysis",
    "retry_pressure": "Frequency Analysis",
    "client_shift": "Distribution Analysis",
    "new_error": "Frequency Analysis",
    "latency": "Deviation Analysis",
}


def analyses(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One analysis of a document, or none where nothing was counted.

    A flag has what was observed as anomalies and what was expected as baselines. An incident
    has its users, its lost minutes and its error codes; its baselines are those of its flags.
    """
    end = words.ended_at(document) or document.get("alarm_at") or document.get("last_evidence_at")
    span = _span(document["onset_at"], end)
    if "signal" in document:
        how = {
            "observation_type": _TYPES[document["signal"]],
            "observed_pattern": document["kind"],
        }
        seen = [_seen(name, value, span, **how) for name, value in document["observed"].items()]
        usual = [
            _seen(name, value, span, observation_type=how["observation_type"])
            for name, value in document["expected"].items()
        ]
    else:
        counted = {k: document[k] for k in ("affected_users", "user_minutes_lost")}
        counted |= {f"users_with_error_{c['code']}": c["users"] for c in document["error_codes"]}
        seen = [_seen(name, value, span) for name, value in counted.items()]
        usual = []
    targets = _targets(document)
    if not seen or not targets:
        return []
    found: dict[str, Any] = {"analysis_targets": targets, "anomalies": seen}
    if usual:
        found["baselines"] = usual
    return [found]


def _targets(document: Mapping[str, Any]) -> list[dict[str, str]]:
    clients = [{"name": name, "type": "client"} for name in words.client_names(document)]
    services = [{"name": name, "type": "service"} for name in words.service_names(document)]
    return [*clients, *services]


def _span(start: str, end: str | None) -> dict[str, int]:
    span = {"start_time": words.milliseconds(start), "type_id": 9}
    if end is not None:
        span["end_time"] = words.milliseconds(end)
    return span


def _seen(name: str, value: float, span: dict[str, int], **how: str) -> dict[str, Any]:
    observation = {"value": f"{value:.12g}", "timespan": span}
    return {"observation_parameter": name, "observations": [observation], **how}


def evidences(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each observation for or against a verdict; of a flag, how sure its detector was."""
    if "evidence" in document:
        return [{"name": item["verdict"], "data": dict(item)} for item in document["evidence"]]
    numbers = {
        key: document[key]
        for key in ("observed", "expected", "score", "p_value", "completeness", "error_code")
        if key in document
    }
    return [{"name": document["signal"], "data": numbers}]
