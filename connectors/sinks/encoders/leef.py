"""Log Event Extended Format 2.0 of IBM QRadar: one line of at most 8 KiB, tabs between pairs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import Encoder, key_of, key_text, kind_of, read_key
from connectors.sinks.encoders.text import fit

if TYPE_CHECKING:
    from collections.abc import Mapping

# As Java's SimpleDateFormat writes the form that the format's guide shows for devTime.
TIME_FORMAT: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSZ"
# Octets of each text; together under 8,192. What is most needed stands first, since QRadar cuts
# a message at its configured length (4,096 over TCP unless raised).
LIMITS: Final[dict[str, int]] = {
    "msg": 1023, "cat": 127, "state": 63, "reason": 63, "verdict": 127, "service": 255,
    "clients": 511, "advisory": 1023, "evidence": 1279, "stillWorks": 511, "scope": 511,
    "errorCodes": 511, "tenants": 511, "related": 255, "signal": 63, "detector": 127, "family": 63,
}  # fmt: skip
_HEADER_LIMIT: Final = 127
_KEY: Final = re.compile(r"LEEF:2\.0(?:\|[^|]*){4}\|x09\|externalId=([^\t]+)(?:\t|$)")


def line(document: Mapping[str, Any]) -> str:
    """The document as one line of LEEF; ``externalId`` holds (id, revision).

    Raises:
        ValueError: it is neither a flag nor an incident.
    """
    kind = kind_of(document)
    head = [words.NAME, words.NAME, words.product_version(), words.event_class(document)]
    header = "|".join(fit(part, _HEADER_LIMIT, _escape_header) for part in head)
    pairs = {**_first(document), **(_incident if kind == "incident" else _flag)(document)}
    fields = [f"externalId={key_text(*key_of(document))}"]
    for name, value in pairs.items():
        text = fit(value, LIMITS[name], _escape) if name in LIMITS else value
        if text not in (None, ""):
            fields.append(f"{name}={text}")
    return f"LEEF:2.0|{header}|x09|" + "\t".join(fields)


def _first(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "devTime": _time(words.told_at(document)),
        "devTimeFormat": TIME_FORMAT,
        "sev": words.level(document).leef,
        "cat": words.event_class(document),
        "revision": document["revision"],
        "state": document["state"],
        "onset": document["onset_at"],
        "end": words.ended_at(document),
        "raised": document["raised_at"],
        "msg": words.message(document),
        "service": words.services(document),
        "clients": words.clients(document),
    }


def _incident(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reason": document["reason"],
        "verdict": document["verdict"],
        "confidence": document["confidence"],
        "affectedUsers": document["affected_users"],
        "userMinutesLost": round(document["user_minutes_lost"]),
        "advisory": words.advisory_reasons(document),
        "stillWorks": words.still_works(document),
        "evidence": words.evidence(document),
        "scope": words.scope(document),
        "errorCodes": words.error_codes(document),
        "related": words.related(document),
        "tenants": ", ".join(words.tenants(document)),
    }


def _flag(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "signal": document["signal"],
        "detector": f"{document['detector']} {document['detector_version']}",
        "score": document["score"],
        "completeness": document["completeness"],
        "family": document.get("family", ""),
        "errorCodes": words.error_codes(document),
        "evidence": words.evidence(document),
        "tenants": ", ".join(words.tenants(document)),
    }


def _time(moment: str) -> str:
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}.{(fraction or '0')[:3]:0<3}+0000"


def _escape(char: str) -> str:
    # The format has no escapes: what would end a pair or the line becomes a space.
    return " " if char in "\t\n\r" else char


def _escape_header(char: str) -> str:
    return " " if char in "|\t\n\r" else char


def key(text: str) -> tuple[str, int]:
    """(id, revision) of a line; raises ValueError for another."""
    found = _KEY.match(text)
    if found is None:
        raise ValueError("no line of LEEF of ours")
    return read_key(found[1])


LEEF: Final = Encoder("leef", ".leef.log", line, key)
