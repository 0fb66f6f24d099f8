"""ArcSight Common Event Format 0.1: one line of at most 8 KiB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import Encoder, key_of, key_text, kind_of, read_key
from connectors.sinks.encoders.text import fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = tuple[str, str, Any]

# Octets of each text after escaping. The format allows more (cs1 to cs6: 4,000 each); together
# these stay under the 8,192 that receivers of syslog should take (RFC 5424, section 6.1).
LIMITS: Final[dict[str, int]] = {
    "msg": 1023, "cs1": 127, "cs2": 511, "cs3": 1023, "cs4": 1535, "cs5": 511, "cs6": 767,
    "flexString1": 511, "flexString2": 255, "destinationServiceName": 255, "outcome": 63,
    "reason": 63, "cat": 127,
}  # fmt: skip
_HEADER_LIMIT: Final = 127
_ESCAPES: Final = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r", "\t": " "}
_HEADER_ESCAPES: Final = {"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " ", "\t": " "}
_KEY: Final = re.compile(r"CEF:0(?:\|(?:[^|\\]|\\.)*){6}\|externalId=(\S+)(?: |$)")


def line(document: Mapping[str, Any]) -> str:
    """The document as one line of CEF; ``externalId`` holds (id, revision).

    Raises:
        ValueError: it is neither a flag nor an incident.
    """
    kind = kind_of(document)
    head = [
        words.NAME,
        words.NAME,
        words.product_version(),
        words.event_class(document),
        words.title(document),
        words.level(document).cef,
    ]
    header = "|".join(fit(part, _HEADER_LIMIT, _escape_header) for part in head)
    rows = [*_common(document), *(_incident if kind == "incident" else _flag)(document)]
    fields = [f"externalId={key_text(*key_of(document))}"]
    for name, label, value in rows:
        text = fit(value, LIMITS[name], _escape) if isinstance(value, str) else value
        if text in (None, ""):
            continue
        if label:
            fields.append(f"{name}Label={label}")
        fields.append(f"{name}={text}")
    return f"CEF:0|{header}|{' '.join(fields)}"


def _common(document: Mapping[str, Any]) -> list[Row]:
    end = words.ended_at(document)
    return [
        ("rt", "", words.milliseconds(words.told_at(document))),
        ("start", "", words.milliseconds(document["onset_at"])),
        ("end", "", None if end is None else words.milliseconds(end)),
        ("deviceCustomDate1", "Raised at", words.milliseconds(document["raised_at"])),
        ("cat", "", words.event_class(document)),
        ("outcome", "", document["state"]),
        ("msg", "", words.message(document)),
        ("destinationServiceName", "", words.services(document)),
        ("cs2", "Clients", words.clients(document)),
        ("cs4", "Evidence", words.evidence(document)),
        ("flexString1", "Tenants", ", ".join(words.tenants(document))),
        ("cn3", "Revision", document["revision"]),
    ]


def _incident(document: Mapping[str, Any]) -> list[Row]:
    slices = [words.scope(document), words.error_codes(document)]
    return [
        ("reason", "", document["reason"]),
        ("cs1", "Verdict", document["verdict"]),
        ("cs3", "Advisory", words.advisory_reasons(document)),
        ("cs5", "Still works", words.still_works(document)),
        ("cs6", "Scope and error codes", "; ".join(part for part in slices if part)),
        ("flexString2", "Related", words.related(document)),
        ("cn1", "Affected users", document["affected_users"]),
        ("cn2", "User minutes lost", round(document["user_minutes_lost"])),
        ("cfp1", "Confidence", float(document["confidence"])),
    ]


def _flag(document: Mapping[str, Any]) -> list[Row]:
    return [
        ("cs1", "Signal", document["signal"]),
        ("cs3", "Detector", f"{document['detector']} {document['detector_version']}"),
        ("cs5", "Failure family", document.get("family", "")),
        ("cs6", "Error code", words.error_codes(document)),
        ("cfp1", "Score", float(document["score"])),
        ("cfp2", "Completeness", float(document["completeness"])),
    ]


def _escape(char: str) -> str:
    return _ESCAPES.get(char, char)


def _escape_header(char: str) -> str:
    return _HEADER_ESCAPES.get(char, char)


def key(text: str) -> tuple[str, int]:
    """(id, revision) of a line; raises ValueError for another."""
    found = _KEY.match(text)
    if found is None:
        raise ValueError("no line of CEF of ours")
    return read_key(found[1])


CEF: Final = Encoder("cef", ".cef.log", line, key)
