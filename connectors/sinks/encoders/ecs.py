"""Elastic Common Schema 9.4: an alert of an external detector, the document under ``outrider``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import Encoder, key_of, key_text, kind_of, read_key
from connectors.sinks.encoders.text import cut, filled, safe

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = "9.4.0"
# Keywords longer than this are kept and not found: the ignore_above of Elastic's own mappings.
KEYWORD: Final = 1024
_LONG: Final = 2**63  # what a long of Elasticsearch cannot hold: 292 years of nanoseconds
# ECS has a closed list of categories, none for availability; each of these allows the type "info".
# What fits none stays without a category, as ECS asks.
CATEGORIES: Final[dict[str, str]] = {
    "exchange_online": "email",
    "identity": "authentication",
    "office_web": "web",
    "sharepoint": "web",
    "onedrive": "web",
}
VERDICT_CATEGORIES: Final[dict[str, str]] = {
    "attack": "intrusion_detection",
    "tenant_change": "configuration",
}


def encode(document: Mapping[str, Any]) -> dict[str, Any]:
    """An event of ECS; ``event.id`` holds (id, revision).

    Args:
        document: ``outrider.flag/1`` or ``outrider.incident/1``, as JSON.

    Raises:
        ValueError: it is neither.
    """
    kind = kind_of(document)
    dataset = f"outrider.{kind}"
    codes = [c["code"] for c in document.get("error_codes", ())] or [document.get("error_code")]
    return filled(
        {
            "@timestamp": words.told_at(document),
            "ecs": {"version": VERSION},
            "message": safe(words.message(document)),
            "event": _event(document, dataset),
            "data_stream": {"type": "logs", "dataset": dataset, "namespace": "default"},
            "observer": {
                "vendor": words.NAME,
                "product": words.NAME,
                "type": "detector",
                "version": words.product_version(),
            },
            "organization": filled({"id": _single(safe(words.tenants(document)))}),
            "service": filled({"name": _single(words.service_ids(document))}),
            "error": filled({"code": _single([str(c) for c in codes if c is not None])}),
            "rule": _rule(document),
            "outrider": {kind: safe(dict(document))},
        }
    )


def _single(values: list[str]) -> str | list[str] | None:
    """One value as itself: ECS makes no list of these fields, and has none for several values."""
    return (values[0] if len(values) == 1 else values) or None


def _event(document: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    end = words.ended_at(document)
    found = [CATEGORIES.get(service) for service in words.service_ids(document)]
    found.append(VERDICT_CATEGORIES.get(document.get("verdict", "")))
    length = None
    if end is not None:
        # Nanoseconds; an estimated end may lie before an estimated beginning.
        length = (words.milliseconds(end) - words.milliseconds(document["onset_at"])) * 1_000_000
    return filled(
        {
            "kind": "alert",
            "category": sorted({category for category in found if category}),
            "type": ["info"],
            "id": key_text(*key_of(document)),
            "sequence": document["revision"],
            "action": document.get("reason") or document["state"],
            "code": words.event_class(document),
            "severity": words.level(document).ecs,
            "created": document["raised_at"],
            "start": document["onset_at"],
            "end": end,
            "duration": length if length is not None and 0 <= length < _LONG else None,
            "reason": cut(safe(document.get("headline", words.title(document))), KEYWORD),
            "dataset": dataset,
            "module": "outrider",
            "provider": "outrider",
        }
    )


def _rule(document: Mapping[str, Any]) -> dict[str, Any]:
    if "detector" not in document:
        return {}
    return {
        "id": safe(document["detector"]),
        "name": safe(document["detector"]),
        "version": safe(document["detector_version"]),
        "category": document["signal"],
    }


def line(document: Mapping[str, Any]) -> str:
    """The event as one line of JSON; raises ValueError for what is no document of ours."""
    return json.dumps(encode(document), ensure_ascii=False, allow_nan=False)


def key(text: str) -> tuple[str, int]:
    """(id, revision) of a line; raises ValueError, TypeError or KeyError for another."""
    return read_key(json.loads(text)["event"]["id"])


ECS: Final = Encoder("ecs", ".ecs.ndjson", line, key)
