"""What the dashboard's part of the JSON interface answers, as schemas, and its addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.showing import CellState
from pipeline.model.feed import FeedState
from pipeline.model.vocabulary import Client, Service, Signal, Source
from pipeline.web import query, query_shown
from pipeline.web.openapi_parts import COUNT, COUNTS, TEXT, TIME, Answer, list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

_NUMBER: Final = {"type": "number"}
_MAYBE: Final = {"type": ["number", "null"]}
_SHARE: Final = {"type": "number", "minimum": 0, "maximum": 1}
_MAYBE_SHARE: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MAYBE_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_NEXT: Final = {
    "description": "The cursor of the next page, also in the header Link; null behind the last "
    "one.",
    **_MAYBE_TEXT,
}


def _word(words: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [w.value for w in words]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(item: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return object_of({**more, "items": list_of(item), "next": _NEXT})


_CELL: Final = {"source": _word(Source), "service": _word(Service), "client": _word(Client)}
_BAND: Final = {"expected": _NUMBER, "low": _NUMBER, "high": _NUMBER}
_MEASURE: Final = object_of(
    {"signal": _word(Signal), "observed": _NUMBER, **_BAND, "state": _word(CellState)},
    optional=_BAND,
    text="Users of one hour, or accesses; the band holds 99 % of quiet hours and is not there "
    "while the level is being learned.",
)
_CELL_HOUR: Final = object_of(
    {
        "hour": TIME,
        "attempts": COUNT,
        "users": _NUMBER,
        **_BAND,
        "failing": _NUMBER,
        "completeness": _SHARE,
    },
    optional=("users", *_BAND, "failing"),
)
_CELL_NOW: Final = object_of(
    {
        **_CELL,
        "state": _word(CellState),
        "warm": {"type": "boolean"},
        "completeness": _SHARE,
        "hour": TIME,
        "attempts": COUNT,
        "failure_rate": _SHARE,
        "measures": list_of(_MEASURE),
        "hours": list_of(_CELL_HOUR),
    },
    optional=("failure_rate",),
    text="By the newest of its last hours that is complete enough to compare.",
)
_FEED: Final = object_of(
    {
        "feed": TEXT,
        "sources": list_of(_word(Source)),
        "state": _word(FeedState),
        "at": TIME,
        "complete_to": TIME,
        "since": TIME,
        "late_seconds": _NUMBER,
        "problem": TEXT,
    }
)
_MISSING: Final = object_of({"source": TEXT, "start": TIME, "end": TIME, "expected": _NUMBER})
_LOG: Final = object_of(
    {
        "source": _word(Source),
        "completeness": _SHARE,
        "last_record_at": TIME,
        "state": _word(FeedState),
        "problem": TEXT,
        "missing": list_of(_MISSING),
    },
    optional=("completeness", "last_record_at"),
)
_SERIES: Final = object_of(
    {
        "tenant": TEXT,
        **_CELL,
        "signal": _word(Signal),
        "hour": list_of(TIME),
        "observed": list_of(_NUMBER),
        **{name: list_of(_MAYBE) for name in _BAND},
        "completeness": list_of(_SHARE),
    },
    text="Lists of one length; hours that nobody has judged are not in them.",
)
_IMPACT_OF: Final = object_of({"tenant": TEXT, "impact": _ref("Impact")})
_ADVISORY: Final = object_of(
    {
        "advisory_id": TEXT,
        "last_word_at": TIME,
        "versions": COUNT,
        "impacts": object_of({"yes": COUNT, "no_sign": COUNT, "cannot_tell": COUNT}),
        "tenant": {"description": "Whose impact it is: the one hit worst.", **_MAYBE_TEXT},
        "impact": {"anyOf": [_ref("Impact"), {"type": "null"}]},
        "advisory": _ref("Advisory"),
    }
)
_HIT: Final = object_of(
    {
        "kind": {"enum": ["incident", "advisory"]},
        "id": TEXT,
        "tenant": _MAYBE_TEXT,
        "at": TIME,
        "title": TEXT,
        "state": TEXT,
        "snippet": {"description": "Plain text around the words, never markup.", **TEXT},
    }
)
_HANDED: Final = object_of(
    {
        "sink": TEXT,
        "kind": {"enum": ["records", "notices"]},
        "revision": COUNT,
        "state": {"enum": ["handed", "waiting", "refused", "dropped"]},
        "at": _MAYBE_TIME,
        "reason": TEXT,
    }
)
SCHEMAS: Final = {
    "Front": object_of(
        {
            "open": {"description": "Incidents that are not over, by severity.", **COUNTS},
            "states": {"description": "Incidents by state.", **COUNTS},
            "verdicts": {"description": "Incidents that are not over, by verdict.", **COUNTS},
            "raised_24h": COUNT,
            "resolved_24h": COUNT,
            "tenants": COUNT,
            "cells": {"description": "Cells by state.", **COUNTS},
            "feeds_unwell": COUNT,
            "least_completeness": _MAYBE_SHARE,
            "affecting": {"description": "Advisories that affect us and are not over.", **COUNT},
            "dead_waiting": COUNT,
            "sinks_waiting": COUNT,
            "newest_at": _MAYBE_TIME,
        }
    ),
    "Now": _page(
        object_of(
            {
                "tenant": TEXT,
                "at": TIME,
                "cells": list_of(_CELL_NOW),
                "states": COUNTS,
                "completeness": {"type": "object", "additionalProperties": _SHARE},
            }
        )
    ),
    "Timeline": object_of({"items": list_of(_SERIES)}),
    "Sources": _page(
        object_of({"tenant": TEXT, "at": TIME, "feeds": list_of(_FEED), "logs": list_of(_LOG)})
    ),
    "AdvisoryPage": _page(_ADVISORY),
    "AdvisoryHistory": object_of(
        {
            "advisory_id": TEXT,
            "versions": list_of(_ref("Advisory")),
            "impacts": list_of(_IMPACT_OF),
            "leads": list_of(_ref("Ledger")),
        },
        text="Every version, the oldest first; those affected first; the newest 200 of each.",
    ),
    "LedgerPage": _page(
        _ref("Ledger"),
        summary=object_of(
            {"kinds": COUNTS, "median_lead_seconds": _MAYBE, "out_of_scope": COUNT},
            text="Of all rows, not of this page.",
        ),
    ),
    "Deliveries": object_of(
        {
            "incident_id": TEXT,
            "items": list_of(_HANDED),
            "sinks": list_of(
                object_of(
                    {"sink": TEXT, "kind": TEXT, "waiting": COUNT, "oldest_at": _MAYBE_TIME},
                    text="What each destination has not settled, of all incidents.",
                )
            ),
        }
    ),
    "Hits": object_of({"items": list_of(_HIT)}),
}


def answers(prefix: str) -> dict[str, Answer]:
    """By the name of the handler in ``ShownApi``, each address under a prefix."""
    told = {
        "front": ("front", "The counts of the front page.", "Front", (query.TENANT,)),
        "now": ("now", "Tenants by name, each cell as last judged.", "Now", query_shown.NOW),
        "timeline": (
            "timeline",
            "Hours of a tenant's cells by signal, observed and expected; 10,080 hours in all.",
            "Timeline",
            query_shown.TIMELINE,
        ),
        "sources": ("sources", "Tenants by name, each feed and log.", "Sources", query_shown.NOW),
        "advisories": (
            "advisories",
            "The newest version of each advisory and what it means for us, the newest word first.",
            "AdvisoryPage",
            query_shown.ADVISORIES,
        ),
        "ledger": (
            "ledger",
            "Who was first, by how much: incidents and advisories, the newest first.",
            "LedgerPage",
            query_shown.LEDGER,
        ),
        "search": (
            "search",
            "Incidents and advisories that hold all of some words, the newest first.",
            "Hits",
            query_shown.SEARCH,
        ),
    }
    plain = {name: Answer(f"{prefix}/{path}", *rest) for name, (path, *rest) in told.items()}  # type: ignore[arg-type] # three of one kind each
    return plain | {
        "advisory": Answer(
            f"{prefix}/advisories/{{id}}", "All of one advisory.", "AdvisoryHistory", (), (404,)
        ),
        "deliveries": Answer(
            f"{prefix}/incidents/{{id}}/deliveries",
            "What became of an incident at each destination.",
            "Deliveries",
            (),
            (404,),
        ),
    }
