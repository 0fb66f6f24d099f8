"""Query parameters of what the dashboard shows, and how they are read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.match.ledger import LedgerKind
from pipeline.model.advisory import Answer
from pipeline.model.clock import parse_rfc3339
from pipeline.model.vocabulary import Client, Service, Signal, Source
from pipeline.web.problems import ProblemError
from pipeline.web.query import CURSOR, LIMIT, TENANT, Parameter, choice, cursor_of, read_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.ledger.showing import Place

# A week of the timeline where nobody says since when.
_WEEK: Final = timedelta(days=7)

ONE_TENANT: Final = Parameter(
    "tenant",
    "Of this tenant; the first one by name if it is left out.",
    {"type": "string", "maxLength": 256},
)
SOURCE: Final = choice("source", "Only by this log.", Source)
SERVICE: Final = choice("service", "Only of this service.", Service)
CLIENT: Final = choice("client", "Only of this client.", Client)
SIGNAL: Final = choice("signal", "Only this signal.", Signal)
ANSWER: Final = choice("answer", "Only those that mean this for a tenant.", Answer)
KIND: Final = choice("kind", "Only rows of this kind.", LedgerKind)
FOUND: Final = Parameter(
    "kind",
    "Only these.",
    {"type": "string", "enum": ["incident", "advisory"]},
    many=True,
)
TEXT: Final = Parameter(
    "q",
    "Words to look for; each may be the beginning of one. Signs other than letters and digits "
    "part them; eight words count.",
    {"type": "string", "maxLength": 1000},
)
SINCE: Final = Parameter(
    "since",
    "Hours that begin at this moment or later; RFC 3339, without a zone it is UTC. A week before "
    "'until' if it is left out; 90 days are kept.",
    {"type": "string", "format": "date-time"},
)
UNTIL: Final = Parameter(
    "until",
    "Hours that begin before this moment; the newest ones if it is left out.",
    {"type": "string", "format": "date-time"},
)
NOW: Final = (TENANT, LIMIT, CURSOR)
TIMELINE: Final = (ONE_TENANT, SOURCE, SERVICE, CLIENT, SIGNAL, SINCE, UNTIL, LIMIT)
ADVISORIES: Final = (TENANT, ANSWER, LIMIT, CURSOR)
LEDGER: Final = (TENANT, KIND, LIMIT, CURSOR)
SEARCH: Final = (TEXT, FOUND, TENANT, LIMIT)


def moment(found: Mapping[str, list[str]], name: str) -> datetime | None:
    """A time that was given.

    Raises:
        ProblemError: 400; it cannot be read.
    """
    if name not in found:
        return None
    try:
        # A plus sign of a zone that was not escaped arrives as a blank.
        return parse_rfc3339(found[name][0].replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        detail = f"parameter {name!r} is no time; write 2026-03-19T08:00:00Z"
        raise ProblemError(400, detail, more={"parameter": name}) from error


def stretch(found: Mapping[str, list[str]], newest: datetime) -> tuple[datetime, datetime]:
    """From when until when hours are wanted; ``newest`` is the clock of the tenant.

    Raises:
        ProblemError: 400; a time cannot be read.
    """
    until = moment(found, "until") or newest + timedelta(hours=1)
    return moment(found, "since") or max(until, until.min.replace(tzinfo=until.tzinfo) + _WEEK) - (
        _WEEK
    ), until


def place(found: Mapping[str, list[str]], asked: object) -> Place | None:
    """Where a list goes on; None = at its beginning.

    Raises:
        ProblemError: 400; the cursor is of another list, or made up.
    """
    begun = read_cursor(found, asked)
    return None if begun is None else begun[1]


def behind(at: Place, asked: object) -> str:
    """The cursor of the next page of a list that changes while it is read."""
    return cursor_of(0, at, asked)
