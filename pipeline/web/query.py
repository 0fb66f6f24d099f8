"""Query parameters: what may be asked, said once, and read strictly.

The same table makes the OpenAPI document, so that the two cannot drift apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.reading import Wanted
from pipeline.ledger.showing import Place
from pipeline.model.clock import parse_rfc3339, to_us
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Client, Verdict
from pipeline.web.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import StrEnum

    from starlette.datastructures import QueryParams

_PAGE: Final = 50
_LARGEST_PAGE: Final = 200
_LONGEST: Final = 256
_MOST_VALUES: Final = 50
_CURSOR_VERSION: Final = 1
# SQLite's numbers.
_LARGEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name of a query; ``many`` may be given again and means any of its values."""

    name: str
    text: str
    schema: Mapping[str, Any]
    many: bool = False


def choice(name: str, text: str, words: type[StrEnum]) -> Parameter:
    """A parameter that may be any of a closed set, several times."""
    return Parameter(name, text, {"type": "string", "enum": [w.value for w in words]}, many=True)


TENANT: Final = Parameter(
    "tenant", "Only of this tenant.", {"type": "string", "maxLength": _LONGEST}, many=True
)
CLIENT: Final = choice("client", "Only about this client.", Client)
VERDICT: Final = choice("verdict", "Only with this verdict.", Verdict)
FLAG_STATE: Final = choice("state", "Only those in this state.", FlagState)
INCIDENT_STATE: Final = choice("state", "Only those in this state.", IncidentState)
SINCE: Final = Parameter(
    "since",
    "Only those raised at this moment or later; RFC 3339, without a zone it is UTC. Fractions of "
    "a second are left out.",
    {"type": "string", "format": "date-time"},
)
LIMIT: Final = Parameter(
    "limit",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE, "default": _PAGE},
)
CURSOR: Final = Parameter(
    "cursor",
    "Where a list goes on: 'next' of the page before, with the same other parameters.",
    {"type": "string", "maxLength": 4 * _LONGEST},
)
INCIDENTS: Final = (INCIDENT_STATE, TENANT, CLIENT, VERDICT, SINCE, LIMIT, CURSOR)
FLAGS: Final = (FLAG_STATE, TENANT, CLIENT, SINCE, LIMIT, CURSOR)


def read(given: QueryParams, allowed: Sequence[Parameter]) -> dict[str, list[str]]:
    """The values of each parameter that was given, checked against the table.

    Raises:
        ProblemError: 400; a name is unknown, or a value is none of those allowed.
    """
    table = {p.name: p for p in allowed}
    found: dict[str, list[str]] = {}
    for name, value in given.multi_items():
        if name not in table:
            words = ", ".join(table) or "none"
            raise _bad(name[:_LONGEST], f"is no parameter here; there are: {words}")
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        _check(table[name], values)
    return found


def _check(parameter: Parameter, values: list[str]) -> None:
    name, schema = parameter.name, parameter.schema
    if len(values) > (_MOST_VALUES if parameter.many else 1):
        raise _bad(name, "is given too often")
    for value in values:
        if "enum" in schema and value not in schema["enum"]:
            raise _bad(name, f"is none of {', '.join(schema['enum'])}")
        if len(value) > schema.get("maxLength", _LONGEST):
            raise _bad(name, "is too long")
        if not value:
            raise _bad(name, "is empty; leave it out to get all")


def wanted(kind: str, found: Mapping[str, list[str]]) -> Wanted:
    """Which flags or incidents a query is about.

    Raises:
        ProblemError: 400; the time cannot be read.
    """
    since = None
    if "since" in found:
        try:
            # A plus sign of a zone that was not escaped arrives as a blank.
            since = to_us(parse_rfc3339(found["since"][0].replace(" ", "+"))) // 1_000_000
        except (ValueError, OverflowError) as error:
            raise _bad("since", "is no time; write 2026-03-19T08:00:00Z") from error
    chosen = {n: tuple(found.get(n, ())) for n in ("state", "tenant", "client", "verdict")}
    return Wanted(
        kind, chosen["state"], chosen["tenant"], chosen["client"], chosen["verdict"], since
    )


def limit(found: Mapping[str, list[str]]) -> int:
    """How many documents a page may hold.

    Raises:
        ProblemError: 400; it is no number, or out of bounds.
    """
    text = found.get("limit", [str(_PAGE)])[0]
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _LARGEST_PAGE):
        raise _bad("limit", f"is no number from 1 to {_LARGEST_PAGE}")
    return int(text)


def cursor_of(as_of: int, place: Place, asked: object) -> str:
    """Where a list goes on, in letters and digits.

    Args:
        as_of: the newest document that counts for all pages of the list.
        place: behind which the next page begins.
        asked: what the list is about; the cursor is good for nothing else.
    """
    told = [_CURSOR_VERSION, as_of, place.at, place.id, _mark(asked)]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def read_cursor(found: Mapping[str, list[str]], asked: object) -> tuple[int, Place] | None:
    """What :func:`cursor_of` wrote; None if there is none.

    Raises:
        ProblemError: 400; it is of another list, or made up.
    """
    if "cursor" not in found:
        return None
    text = found["cursor"][0]
    try:
        told = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        version, as_of, at, name, mark = told
        name.encode()
        good = (
            version == _CURSOR_VERSION
            and type(as_of) is type(at) is int
            and 0 <= as_of < _LARGEST
            and -_LARGEST <= at < _LARGEST
            and mark == _mark(asked)
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise _bad("cursor", "belongs to no page of this list; begin anew without it")
    return as_of, Place(at, name)


def _mark(asked: object) -> str:
    return hashlib.blake2b(repr(asked).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _bad(name: str, detail: str) -> ProblemError:
    return ProblemError(400, f"parameter {name!r} {detail}", more={"parameter": name})
