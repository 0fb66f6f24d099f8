"""One incident as the page shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.notify.brief import Brief, brief, split_evidence
from pipeline.notify.clean import clean, paragraphs
from pipeline.notify.words import count, moment, percent
from pipeline.report.chart import Chart, percent_of
from pipeline.report.incident_charts import Detail, charts_of
from pipeline.report.incident_leads import Lead, Race, leads, moments, race

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident
    from pipeline.report.folder import Contents
    from pipeline.report.timeline import Timeline

_POSTS: Final = 16
_FIRST_POSTS: Final = 3  # how it began; of the others the last are told
_ANCHOR: Final = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class Bar:
    """A share, and the share it is usually."""

    label: str
    share: str
    share_text: str
    usual: str
    usual_text: str
    users: str


@dataclass(frozen=True, slots=True)
class PostView:
    """One post of an advisory."""

    advisory_id: str
    at: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Everything the template needs of one incident, cleaned; escaping is the template's."""

    anchor: str
    incident_id: str
    incident: Incident
    headline: str
    facts: Brief
    moments: list[tuple[str, str, str]]
    leads: list[Lead]
    race: Race | None
    charts: list[Chart]
    healthy_charts: list[Chart]
    scope: list[Bar]
    healthy: list[Bar]
    supporting: list[tuple[str, str]]
    opposing: list[tuple[str, str]]
    codes: list[tuple[str, str, str, str]]
    reasons: list[str]
    posts: list[PostView]
    posts_left_out: int
    revisions: list[tuple[str, str, str, str, str]]
    related: list[str]
    arrival: str


def view(
    history: Sequence[Incident],
    contents: Contents,
    timeline: Timeline,
    *,
    time_zone: str,
    detail: Detail,
) -> IncidentView:
    """Put one incident together from its revisions and everything beside it."""
    incident = history[-1]
    flags = [contents.flags[i] for i in incident.flag_ids if i in contents.flags]
    known = _advisories(incident, contents.advisories)
    flagged, healthy = charts_of(incident, flags, known, timeline, detail)
    supporting, opposing = split_evidence(incident)
    posts, left_out = _posts(known, time_zone) if detail.posts else ([], 0)
    return IncidentView(
        anchor=_ANCHOR.sub("-", incident.incident_id[:60]),
        incident_id=clean(incident.incident_id, 60),
        incident=incident,
        headline=clean(incident.headline),
        facts=brief(incident, time_zone=time_zone, advisories=contents.advisories),
        moments=moments(incident, time_zone),
        leads=leads(incident),
        race=race(incident),
        charts=flagged,
        healthy_charts=healthy,
        scope=[_scope_bar(incident, n) for n in range(len(incident.scope))],
        healthy=_healthy(incident),
        supporting=[(clean(e.text), f"{abs(e.weight):.1f}") for e in supporting],
        opposing=[(clean(e.text), f"{abs(e.weight):.1f}") for e in opposing],
        codes=[
            (str(c.code), count(c.users), clean(c.outcome).replace("_", " "), clean(c.meaning))
            for c in incident.error_codes[:20]
        ],
        reasons=_reasons(incident),
        posts=posts,
        posts_left_out=left_out,
        revisions=_revisions(history, time_zone),
        related=[clean(i, 60) for i in incident.recurrence_of],
        arrival=incident.arrival,
    )


def _advisories(incident: Incident, known: dict[str, Advisory]) -> list[Advisory]:
    matches = [m for m in (incident.advisory, *incident.other_advisories) if m is not None]
    ids = [i for m in matches for i in (m.advisory_id, *m.relisted_as)]
    return [known[i] for i in dict.fromkeys(ids) if i in known]


def _scope_bar(incident: Incident, number: int) -> Bar:
    item = incident.scope[number]
    return Bar(
        label=f"{clean(item.dimension).replace('_', ' ')}: {clean(item.value)}",
        share=percent_of(min(max(item.share_inside, 0.0), 1.0)),
        share_text=percent(item.share_inside),
        usual=percent_of(min(max(item.share_normal, 0.0), 1.0)),
        usual_text=percent(item.share_normal),
        users=count(item.affected_users),
    )


def _healthy(incident: Incident) -> list[Bar]:
    return [
        Bar(
            label=f"{h.client.label} ({h.service.label})",
            share=percent_of(min(max(h.success_rate, 0.0), 1.0)),
            share_text=percent(h.success_rate),
            usual="0%",
            usual_text=count(h.affected_users_succeeding),
            users=count(h.active_users),
        )
        for h in incident.healthy_clients
    ]


def _reasons(incident: Incident) -> list[str]:
    match = incident.advisory
    return [] if match is None else [clean(r) for r in match.reasons]


def _posts(known: list[Advisory], zone: str) -> tuple[list[PostView], int]:
    """The first posts and the last, and how many in between are left out."""
    every = sorted(((p, a) for a in known for p in a.posts), key=lambda pair: pair[0].created_at)
    left_out = max(0, len(every) - _POSTS)
    chosen = every[:_FIRST_POSTS] + every[_FIRST_POSTS + left_out :]
    return [
        PostView(clean(a.advisory_id, 40), moment(p.created_at, zone), paragraphs(p.text))
        for p, a in chosen
    ], left_out


def _revisions(history: Sequence[Incident], zone: str) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            str(i.revision),
            moment(i.published_at, zone),
            str(i.reason).replace("_", " "),
            f"{i.severity}, {i.verdict.label} ({percent(i.confidence)})",
            count(i.affected_users),
        )
        for i in history[-40:]
    ]
