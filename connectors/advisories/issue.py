"""One Graph ``serviceHealthIssue`` to an :class:`~pipeline.model.advisory.Advisory`.

Fields: https://learn.microsoft.com/graph/api/resources/servicehealthissue. Names are taken
without regard to case: the PowerShell module writes ``Id`` and ``StartDateTime``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.advisories.reading import read_post, read_stated, service_names
from connectors.advisories.text import plain
from pipeline.model.advisory import Advisory, Post, Symptom
from pipeline.model.clock import from_us
from pipeline.model.knowledge import assemble, is_restored_status
from pipeline.model.reject import RejectReason
from pipeline.model.vocabulary import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

_ISO: re.Pattern[str] = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d+))?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
# How PowerShell 5 writes a time into JSON: milliseconds since 1970.
_TICKS: re.Pattern[str] = re.compile(r"/Date\((-?\d{1,15})\)/", re.ASCII)
# The service behind an id, for where the service field is missing (ids seen so far).
_PREFIXES = {
    "EX": (Service.EXCHANGE_ONLINE,),
    "TM": (Service.TEAMS,),
    "SP": (Service.SHAREPOINT,),
    "OD": (Service.ONEDRIVE,),
    "CP": (Service.COPILOT,),
    "CW": (Service.COPILOT,),
    "MO": (),
    "OP": (),
}
_ID = re.compile(r"[A-Z]{2,4}\d{1,9}", re.ASCII)


class IssueError(Exception):
    """A record that is no usable issue: the reason, and a message that never quotes it."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def is_message(record: Mapping[str, Any]) -> bool:
    """Whether a record is a Message Center post (``serviceUpdateMessage``): no outage."""
    names = {k.casefold() for k in record}
    return text_of(lower_names(record), "id").upper().startswith("MC") or (
        "posts" not in names and {"body", "category"} <= names
    )


def read_issue(record: Mapping[str, Any]) -> Advisory:
    """Turn one decoded issue into an advisory version, its text read.

    Raises:
        IssueError: the id is missing or no id, a time cannot be read, or posts are no list.
    """
    fields = lower_names(record)
    advisory_id = text_of(fields, "id").strip().upper()
    if not advisory_id:
        raise IssueError(
            RejectReason.MISSING_FIELD, "no id; export serviceHealthIssue records with all fields"
        )
    if not _ID.fullmatch(advisory_id):
        raise IssueError(RejectReason.BAD_VALUE, "id: want letters and digits such as EX123456")
    service = plain(text_of(fields, "service"))
    hint = service_names(service) if service else _PREFIXES.get(advisory_id[:2])
    services = (Service.OTHER,) if hint is None else hint
    title, impact = plain(text_of(fields, "title")), plain(text_of(fields, "impactdescription"))
    status = text_of(fields, "status")
    resolved = fields.get("isresolved")
    return assemble(
        Advisory(
            advisory_id=advisory_id,
            title=title,
            service=service,
            status=status,
            is_resolved=resolved if isinstance(resolved, bool) else is_restored_status(status),
            classification=text_of(fields, "classification").casefold(),
            impact_description=impact,
            posts=_posts(fields.get("posts"), services),
            services=(),
            clients=(),
            excluded_clients=(),
            protocols=(),
            regions=(),
            symptom=Symptom.UNKNOWN,
            is_false_positive=False,
            start_at=time_of(fields, "startdatetime"),
            end_at=time_of(fields, "enddatetime"),
            last_modified_at=time_of(fields, "lastmodifieddatetime"),
            origin=text_of(fields, "origin").casefold() or "microsoft",
            feature=plain(text_of(fields, "feature")),
            stated=read_stated(title, impact, services),
            service_hint=services,
        )
    )


def _posts(value: Any, services: tuple[Service, ...]) -> tuple[Post, ...]:
    if value is None:
        return ()
    if isinstance(value, dict):  # PowerShell writes a list of one as the one
        value = [value]
    if not isinstance(value, list):
        raise IssueError(RejectReason.BAD_VALUE, "posts: want a list of posts")
    posts = []
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise IssueError(RejectReason.BAD_VALUE, f"posts[{number}]: want an object")
        fields = lower_names(item)
        created = time_of(fields, "createddatetime", f"posts[{number}].createdDateTime")
        if created is None:
            raise IssueError(
                RejectReason.MISSING_FIELD,
                f"posts[{number}].createdDateTime is missing; without it nobody can tell what "
                "was known when",
            )
        description = fields.get("description")
        content = (
            text_of(lower_names(description), "content") if isinstance(description, dict) else ""
        )
        text = plain(content or (description if isinstance(description, str) else ""))
        posts.append(
            Post(created, text_of(fields, "posttype").casefold(), text, read_post(text, services))
        )
    return tuple(sorted(posts, key=lambda p: p.created_at))


def lower_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record by their names in lower case."""
    return {str(k).casefold(): v for k, v in record.items()}


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """A field's text, empty if it holds anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def time_of(fields: Mapping[str, Any], name: str, shown: str | None = None) -> datetime | None:
    """A field's time, None where it is missing.

    Raises:
        IssueError: it is no time; the message names the field by ``shown``, or by its name.
    """
    value = fields.get(name)
    if isinstance(value, dict):  # PowerShell 5 wraps a time: {"value": "/Date(...)/", ...}
        value = lower_names(value).get("value")
    if value is None or value == "":
        return None
    moment = parse_time(value) if isinstance(value, str) else None
    if moment is None:
        raise IssueError(
            RejectReason.BAD_TIME, f"{shown or name}: want a time such as 2026-01-02T00:00:00Z"
        )
    return moment


def parse_time(text: str) -> datetime | None:
    """Read Graph's times (any number of digits in the fraction; no zone is UTC), or give None."""
    ticks = _TICKS.fullmatch(text.strip())
    iso = _ISO.fullmatch(text.strip())
    try:
        if ticks is not None:
            return from_us(int(ticks[1]) * 1000)
        if iso is None:
            return None
        fraction = (iso[3] or "")[:6].ljust(6, "0")
        clock = iso[2] if len(iso[2]) == 8 else f"{iso[2]}:00"
        moment = datetime.fromisoformat(f"{iso[1]}T{clock}.{fraction}{iso[4] or 'Z'}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
