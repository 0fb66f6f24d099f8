"""Health overviews: services that Microsoft shows as unwell although no issue tells why.

Such a service becomes an advisory of its own, of the origin ``health_overview``, once two
looks in a row have found it so: an issue that is published at this moment is then seen as
well. It carries no post, so it is never the first word of Microsoft in a lead time; where the
overview says that users are kept out (``serviceInterruption``), it can explain an incident.
It is withdrawn when an issue is published, and resolved when the service is shown as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.announcement import announced
from connectors.advisories.issue import lower_names, text_of
from connectors.advisories.reading import service_names
from connectors.advisories.text import plain
from pipeline.model.advisory import Advisory, Reading, Symptom
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.knowledge import assemble
from pipeline.model.vocabulary import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

ORIGIN: Final = "health_overview"
# By Microsoft's table of serviceHealthStatus; all others say that there is nothing, or that
# it is over. The last four are reserved, and mean trouble by their names.
_UNWELL: Final[Mapping[str, str]] = {
    "investigating": "being investigated",
    "servicedegradation": "degraded",
    "serviceinterruption": "interrupted",
    "restoringservice": "being restored",
    "extendedrecovery": "in extended recovery",
    "verifyingservice": "being verified",
    "confirmed": "confirmed to have a problem",
    "reported": "reported to have a problem",
    "mitigatedexternal": "mitigated elsewhere",
    "mitigated": "mitigated",
}
_KEPT_OUT: Final = "serviceinterruption"


@dataclass(frozen=True, slots=True)
class Overview:
    """How one service is shown. ``service_id`` is such as ``Exchange``."""

    service_id: str
    service: str
    status: str

    @property
    def unwell(self) -> bool:
        """Whether the status tells of trouble."""
        return self.status.casefold() in _UNWELL


def read_overviews(records: Iterable[Any]) -> list[Overview]:
    """The overviews among decoded records; what has no service is left out."""
    found = []
    for record in records:
        fields = lower_names(record) if isinstance(record, dict) else {}
        service = plain(text_of(fields, "service"))
        service_id = plain(text_of(fields, "id")) or service
        if service_id:
            found.append(Overview(service_id, service or service_id, text_of(fields, "status")))
    return found


def follow(
    before: Mapping[str, Mapping[str, str]],
    overviews: Iterable[Overview],
    issues: Mapping[str, tuple[str, ...]],
    at: datetime,
) -> tuple[dict[str, dict[str, str]], list[Advisory]]:
    """What one look at the overviews changes; pure.

    Args:
        before: what the last look left: by service id, since when it is unwell and what was
            told of it.
        overviews: of this look.
        issues: ids of the open issues, by the service's name in lower case.
        at: the moment of this look.

    Returns:
        What to hand in at the next look, and the versions to tell.
    """
    after: dict[str, dict[str, str]] = {}
    told: list[Advisory] = []
    shown = {o.service_id: o for o in overviews}
    for service_id, overview in shown.items():
        published = issues.get(overview.service.casefold(), ())
        if not overview.unwell or published:
            continue
        held = dict(before.get(service_id, {}))
        since = held.setdefault("since", rfc3339(at))
        held["service"] = overview.service
        if parse_rfc3339(since) < at and held.get("status") != overview.status:
            held |= {"status": overview.status, "at": rfc3339(at)}
            told.append(_advisory(service_id, held))
        after[service_id] = held
    for service_id in before.keys() - after.keys():
        held = {**before[service_id], "at": rfc3339(at)}
        if held.get("status"):
            published = issues.get(held["service"].casefold(), ())
            told.append(_ended(_advisory(service_id, held), published))
    return after, told


def open_advisories(held: Mapping[str, Mapping[str, str]]) -> list[Advisory]:
    """The versions that were told last of what is still unwell."""
    return [_advisory(k, v) for k, v in held.items() if v.get("status")]


def _advisory(service_id: str, held: Mapping[str, str]) -> Advisory:
    since = parse_rfc3339(held["since"])
    status, service = held["status"], held["service"]
    words = _UNWELL[status.casefold()]
    hint = service_names(service)
    kept_out = status.casefold() == _KEPT_OUT
    title = f"{service} is shown as {words}, and no issue is published"
    return announced(
        f"{service_id.upper().replace(' ', '-')}-OVERVIEW-{since:%Y%m%dT%H%MZ}",
        title,
        origin=ORIGIN,
        service_hint=(Service.OTHER,) if hint is None else hint,
        service=service,
        status=status,
        classification="overview",
        impact_description=f"{title}; seen first at {since:%Y-%m-%d %H:%M} UTC.",
        start_at=since,
        last_modified_at=parse_rfc3339(held["at"]),
        stated=Reading(title=title, symptom=Symptom.ACCESS if kept_out else Symptom.UNKNOWN),
    )


def _ended(advisory: Advisory, published: tuple[str, ...]) -> Advisory:
    """The last version: withdrawn in favour of issues, or over."""
    if published:
        stated = replace(advisory.stated, refers_to=published)
        text = f"Told by {', '.join(published)} from now on."
        return assemble(
            replace(
                advisory,
                status="falsePositive",
                is_resolved=True,
                impact_description=text,
                stated=stated,
            )
        )
    return assemble(
        replace(
            advisory,
            status="serviceRestored",
            is_resolved=True,
            end_at=advisory.last_modified_at,
            impact_description=f"{advisory.service} is shown as well again.",
        )
    )
