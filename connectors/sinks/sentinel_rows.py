"""A flag or an incident as a row of a Log Analytics table.

Names of columns begin with a letter, have at most 45 characters, and are none of the reserved
ones (id, TenantId, Type, Title, UniqueId, _ResourceId, _SubscriptionId). A field holds 64 KB; what
is longer would be cut without a word, so it is cut here with one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import key_of, key_text, kind_of
from connectors.sinks.encoders.text import MARK, filled, safe

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FIELD: Final = 65_536  # bytes
_CUT: Final = MARK.strip()

# Column to (type in the data collection rule, field of the document).
_BOTH: Final[dict[str, tuple[str, str]]] = {
    "Revision": ("int", "revision"),
    "State": ("string", "state"),
    "OnsetAt": ("datetime", "onset_at"),
    "RaisedAt": ("datetime", "raised_at"),
    "SchemaName": ("string", "schema"),
}
_INCIDENT: Final[dict[str, tuple[str, str]]] = {
    "IncidentId": ("string", "incident_id"),
    **_BOTH,
    "Reason": ("string", "reason"),
    "Severity": ("string", "severity"),
    "Verdict": ("string", "verdict"),
    "Confidence": ("real", "confidence"),
    "Headline": ("string", "headline"),
    "ResolvedAt": ("datetime", "resolved_at"),
    "LastEvidenceAt": ("datetime", "last_evidence_at"),
    "AffectedUsers": ("long", "affected_users"),
    "UserMinutesLost": ("real", "user_minutes_lost"),
    "Advisory": ("dynamic", "advisory"),
    "OtherAdvisories": ("dynamic", "other_advisories"),
    "Evidence": ("dynamic", "evidence"),
    "Scope": ("dynamic", "scope"),
    "HealthyClients": ("dynamic", "healthy_clients"),
    "ErrorCodes": ("dynamic", "error_codes"),
    "FlagIds": ("dynamic", "flag_ids"),
    "RecurrenceOf": ("dynamic", "recurrence_of"),
    "Arrival": ("string", "arrival"),
}
_FLAG: Final[dict[str, tuple[str, str]]] = {
    "FlagId": ("string", "flag_id"),
    **_BOTH,
    "Kind": ("string", "kind"),
    "Signal": ("string", "signal"),
    "LogSource": ("string", "source"),
    "AlarmAt": ("datetime", "alarm_at"),
    "ClosedAt": ("datetime", "closed_at"),
    "DecidedAt": ("datetime", "decided_at"),
    "CorrectedAt": ("datetime", "corrected_at"),
    "Score": ("real", "score"),
    "PValue": ("real", "p_value"),
    "Completeness": ("real", "completeness"),
    "Detector": ("string", "detector"),
    "DetectorVersion": ("string", "detector_version"),
    "Family": ("string", "family"),
    "ErrorCode": ("long", "error_code"),
    "Observed": ("dynamic", "observed"),
    "Expected": ("dynamic", "expected"),
}
_FIELDS: Final = {"incident": _INCIDENT, "flag": _FLAG}
# Made here: the same for both.
_MADE: Final[dict[str, str]] = {
    "TimeGenerated": "datetime",
    "PublishedAt": "datetime",
    "RevisionKey": "string",
    "Message": "string",
    "Tenants": "dynamic",
    "Services": "dynamic",
    "Clients": "dynamic",
    "ProductVersion": "string",
}
COLUMNS: Final[dict[str, dict[str, str]]] = {
    kind: {**_MADE, **{name: sort for name, (sort, _) in fields.items()}}
    for kind, fields in _FIELDS.items()
}
"""Columns and their types, by kind of document: what the stream of a data collection rule declares."""


def row(document: Mapping[str, Any]) -> dict[str, Any]:
    """One row, each field of at most 64 KB.

    Args:
        document: ``outrider.flag/1`` or ``outrider.incident/1``, as JSON.

    Raises:
        KeyError, ValueError: it is neither.
    """
    told = words.told_at(document)
    made: dict[str, Any] = {
        # Azure replaces a TimeGenerated of days ago by its own clock; PublishedAt stays.
        "TimeGenerated": told,
        "PublishedAt": told,
        "RevisionKey": key_text(*key_of(document)),
        "Message": words.message(document),
        "Tenants": words.tenants(document),
        "Services": words.service_ids(document),
        "Clients": words.client_ids(document),
        "ProductVersion": words.product_version(),
    }
    kind = kind_of(document)
    fields = {name: document.get(field) for name, (_, field) in _FIELDS[kind].items()}
    return filled({name: fitting(safe(value)) for name, value in {**made, **fields}.items()})


def fitting(value: Any) -> Any:
    """A list or an object of at most 64 KB as JSON; what was left out stands as ``[cut]``.

    >>> fitting(["a" * 40_000, "b" * 40_000])[1]
    '[cut]'
    """
    if not isinstance(value, list | dict) or _size(value) <= MOST_FIELD:
        return value
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    kept, room = [], MOST_FIELD - _size({_CUT: True}) - 2
    for name, item in pairs:
        # Two separators, and the name with its quotes.
        room -= _size(item) + (_size(name) + 2 if isinstance(value, dict) else 0) + 2
        if room < 0:
            break
        kept.append((name, item))
    if isinstance(value, dict):
        return {**dict(kept), _CUT: True}
    return [*(item for _, item in kept), _CUT]


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
