"""The OpenAPI document of the JSON interface, from the table of its addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.json_schema import SCHEMA_FOLDER
from pipeline.web.openapi_parts import COUNT, COUNTS, TEXT, TIME, Answer, list_of, object_of
from pipeline.web.openapi_shown import SCHEMAS
from pipeline.web.problems import PROBLEM

if TYPE_CHECKING:
    from collections.abc import Iterable


def _page(kind: str) -> dict[str, Any]:
    return object_of(
        {
            "items": list_of({"$ref": f"#/components/schemas/{kind}"}),
            "next": {
                "description": "The cursor of the next page, also in the header Link; null behind "
                "the last one. All pages of a list are of the moment of its first.",
                "type": ["string", "null"],
            },
        }
    )


def _history(kind: str) -> dict[str, Any]:
    return object_of(
        {
            f"{kind.lower()}_id": TEXT,
            "revisions": list_of({"$ref": f"#/components/schemas/{kind}"}),
        },
        text="Every revision, the first one first.",
    )


def _published(kind: str) -> dict[str, Any]:
    """The schema of a document as a part of this one: its references begin at the top."""
    text = (SCHEMA_FOLDER / f"{kind.lower()}.json").read_text("utf-8")
    schema = json.loads(text.replace('"#/$defs/', f'"#/components/schemas/{kind}/$defs/'))
    return {name: part for name, part in schema.items() if name not in {"$schema", "$id"}}


def _schemas() -> dict[str, Any]:
    return {
        **{kind: _published(kind) for kind in ("Incident", "Flag", "Advisory", "Impact", "Ledger")},
        **SCHEMAS,
        "IncidentPage": _page("Incident"),
        "FlagPage": _page("Flag"),
        "IncidentHistory": _history("Incident"),
        "FlagHistory": _history("Flag"),
        "Tenants": object_of(
            {
                "items": list_of(
                    object_of(
                        {
                            "tenant": TEXT,
                            "incidents": {**COUNTS, "description": "By state."},
                            "flags": {**COUNTS, "description": "By state."},
                            "newest_raised_at": TIME,
                        }
                    )
                )
            }
        ),
        "DeadSummary": object_of(
            {
                "letters": COUNT,
                "items": list_of(
                    object_of(
                        {
                            "reason": TEXT,
                            "letters": COUNT,
                            "waiting": COUNT,
                            "queued": COUNT,
                            "replayed": COUNT,
                            "first_at": TIME,
                            "last_at": TIME,
                        }
                    )
                ),
            }
        ),
        "Status": object_of(
            {
                "mode": {"enum": ["embedded", "kafka"]},
                "version": TEXT,
                "ready": {"type": "boolean"},
                "problem": {
                    "description": "What keeps the process from its work; null if nothing does.",
                    "type": ["string", "null"],
                },
                "newest_document": {
                    "description": "Number of the newest document in the ledger; grows with each.",
                    **COUNT,
                },
                "last_commit_at": {
                    "description": "When the ledger was last written; null if not known.",
                    "type": ["string", "null"],
                    "format": "date-time",
                },
                "lag": {
                    "description": "Of an embedded run: by destination, documents that it has not "
                    "taken. With Kafka: by kind, messages that are not in the ledger yet; empty "
                    "while the brokers cannot be reached.",
                    **COUNTS,
                },
                "completeness": {
                    "description": "Least share of any log's records of the last hour that are "
                    "here, over all tenants; null if not known.",
                    "type": ["number", "null"],
                    "minimum": 0,
                    "maximum": 1,
                },
            }
        ),
        "Health": object_of(
            {"alive": {"type": "boolean"}, "ready": {"type": "boolean"}},
        ),
        "Problem": {
            "description": "RFC 9457.",
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": TEXT,
                "status": {"type": "integer"},
                "detail": TEXT,
                "parameter": {"description": "The parameter that is wrong.", "type": "string"},
            },
        },
    }


_WORDS: Final = {
    400: "A parameter is wrong.",
    401: "The token is missing or wrong.",
    404: "There is none of this id.",
    503: "The ledger cannot be read now.",
}


def document(answers: Iterable[Answer], version: str) -> dict[str, Any]:
    """The whole document, OpenAPI 3.1.

    Args:
        answers: the addresses.
        version: of the program.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Outrider",
            "version": version,
            "description": "What a ledger tells: incidents, flags, clients, advisories, sources. Read-only.",
        },
        "security": [{}, {"token": []}],
        "paths": {a.path: {"get": _operation(a)} for a in answers},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                str(status): {
                    "description": text,
                    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, text in _WORDS.items()
            },
        },
    }


def _operation(answer: Answer) -> dict[str, Any]:
    given = [
        {
            "name": p.name,
            "in": "query",
            "description": p.text,
            "schema": list_of(p.schema) if p.many else dict(p.schema),
            **({"style": "form", "explode": True} if p.many else {}),
        }
        for p in answer.parameters
    ]
    if "{id}" in answer.path:
        given.append({"name": "id", "in": "path", "required": True, "schema": TEXT})
    told: dict[str, Any] = {
        "200": {
            "description": answer.summary,
            "headers": {
                "ETag": {
                    "description": "Of this answer; send it back as If-None-Match.",
                    "schema": TEXT,
                }
            },
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{answer.schema}"}}
            },
        },
        "304": {"description": "The asker has it already."},
    }
    for status in (400, 401, *answer.errors, 503):
        told[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return {
        "operationId": answer.path.removeprefix("/api/v1/")
        .replace("/{id}", "_history")
        .replace("/", "_"),
        "summary": answer.summary,
        "parameters": given,
        "responses": told,
    }
