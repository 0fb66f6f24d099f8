"""One incident as the page shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.model.incident import Incident, IncidentState
from pipeline.model.vocabulary import CLIENT_LABELS, Client, Signal
from pipeline.notify.brief import Brief, brief, split_evidence
from pipeline.notify.clean import clean, paragraphs
from pipeline.notify.words import (
    SIGNAL_LABELS,
    SOURCE_LABELS,
    count,
    duration,
    moment,
    percent,
    short,
)
from pipeline.report.chart import Axis, Chart, Mark, Span, chart, percent_of
from pipeline.report.timeline import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.model.advisory import Advisory
    from pipeline.model.flag import Flag
    from pipeline.report.folder import Contents
    from pipeline.report.timeline import Series, Timeline

START_WORDS: Final = {
    "api": "the start the service declares",
    "text": "the start its text names",
    "first_post": "its first post, as it names no start",
}
_CONTEXT: Final = timedelta(hours=24)  # a quiet day on either side shows what is usual
_SIGNALS_A_CLIENT: Final = 2
_HEALTHY_CHARTS: Final = 2
_POSTS: Final = 16
_FIRST_POSTS: Final = 3  # how it began; of the others the last are told
_ANCHOR: Final = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is shown; the next level is taken when the page would grow too large."""

    incidents: int
    charts: int
    table_rows: int
    posts: bool = True


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead-time clock."""

    title: str
    value: str
    side: str
    text: str


@dataclass(frozen=True, slots=True)
class Race:
    """The moments of both clocks on one line: ours above, the advisory's below."""

    ours: list[Mark]
    theirs: list[Mark]
    description: str


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


def axis_of(incident: Incident, begin: datetime | None, end: datetime | None) -> Axis:
    """The stretch to draw: the incident and a day before and after, as far as data reach."""
    until = incident.resolved_at or incident.last_evidence_at or incident.published_at
    if incident.state is not IncidentState.RESOLVED and end is not None:
        until = max(until, end)
    first, last = incident.onset_at - _CONTEXT, until + _CONTEXT
    if begin is not None:
        first = max(first, min(begin, incident.onset_at))
    if end is not None:
        last = min(last, max(end, until))
    first = first.replace(minute=0, second=0, microsecond=0)
    return Axis(first, max(last, first + timedelta(hours=1)))


def lanes_of(incident: Incident, flags: Iterable[Flag]) -> list[Lane]:
    """The lanes to draw: by client, those whose flags weigh most."""
    best: dict[Lane, float] = {}
    for flag in flags:
        lane = Lane(flag.tenant, flag.source, flag.service, flag.client, flag.signal)
        best[lane] = max(best.get(lane, 0.0), flag.score)
    chosen: list[Lane] = []
    for client in sorted({lane.client for lane in best}, key=lambda c: _order(incident, c)):
        ranked = sorted((x for x in best if x.client == client), key=lambda x: (-best[x], x))
        # One source for each signal: two logs of one fact would say it twice.
        by_signal = {lane.signal: lane for lane in reversed(ranked)}
        chosen += sorted(by_signal.values(), key=lambda x: -best[x])[:_SIGNALS_A_CLIENT]
    return chosen


def healthy_lanes(incident: Incident, flags: Iterable[Flag]) -> list[Lane]:
    """Lanes in which a client that still works may be drawn; some of them may not exist."""
    sources = sorted({(f.tenant, f.source) for f in flags})
    return [
        Lane(tenant, source, h.service, h.client, Signal.ACTIVE_USERS)
        for h in incident.healthy_clients
        for tenant, source in sources
    ]


def _order(incident: Incident, client: str) -> tuple[int, str]:
    named = [str(c) for c in incident.clients]
    return (named.index(client) if client in named else len(named), client)


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
    axis = axis_of(incident, timeline.begin, timeline.end)
    known = _advisories(incident, contents.advisories)
    marks = _marks(incident, known, axis)
    supporting, opposing = split_evidence(incident)
    posts, left_out = _posts(known, time_zone) if detail.posts else ([], 0)
    return IncidentView(
        anchor=_ANCHOR.sub("-", incident.incident_id[:60]),
        incident_id=clean(incident.incident_id, 60),
        incident=incident,
        headline=clean(incident.headline),
        facts=brief(incident, time_zone=time_zone, advisories=contents.advisories),
        moments=_moments(incident, time_zone),
        leads=_leads(incident),
        race=_race(incident),
        charts=_charts(incident, flags, timeline, axis, marks, detail),
        healthy_charts=_healthy_charts(incident, flags, timeline, axis, marks, detail),
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


def _published(incident: Incident) -> datetime | None:
    match = incident.advisory
    if match is None or match.lead_seconds is None:
        return None
    return incident.raised_at + timedelta(seconds=match.lead_seconds)


def _own_start(incident: Incident) -> datetime | None:
    match = incident.advisory
    if match is None or match.lead_seconds_start is None:
        return None
    return incident.onset_at + timedelta(seconds=match.lead_seconds_start)


def _moments(incident: Incident, zone: str) -> list[tuple[str, str, str]]:
    """Kind (of the mark), name and time of the clocks that are known."""
    rows: list[tuple[str, str, datetime | None]] = [
        ("onset", "Onset, as estimated", incident.onset_at),
        ("raised", "We could raise it", incident.raised_at),
        ("published", "Microsoft's first post", _published(incident)),
        ("resolved", "Back to usual", incident.resolved_at),
    ]
    return [(kind, name, moment(at, zone)) for kind, name, at in rows if at is not None]


def _marks(incident: Incident, known: list[Advisory], axis: Axis) -> list[Mark]:
    moments: list[tuple[str, datetime | None, str]] = [
        ("onset", incident.onset_at, "onset"),
        ("raised", incident.raised_at, "we could raise it"),
        ("published", _published(incident), "first post"),
        ("resolved", incident.resolved_at, "back to usual"),
    ]
    marks = [
        Mark(axis.percent(at), kind, f"{label} {short(at)}")
        for kind, at, label in moments
        if at is not None and axis.inside(at)
    ]
    for advisory in known:
        name = clean(advisory.advisory_id, 40)
        marks += [
            Mark(
                axis.percent(p.created_at), "post", f"{name} post {short(p.created_at)}", minor=True
            )
            for p in advisory.posts[:200]
            if axis.inside(p.created_at)
        ]
    return marks


def _leads(incident: Incident) -> list[Lead]:
    match = incident.advisory
    if match is None:
        return []
    name = clean(match.advisory_id, 40)
    return [
        _lead(
            "Against its first publication",
            match.lead_seconds,
            ("before Microsoft wrote", "after Microsoft wrote"),
            f"From the moment our logs could raise it to the first post of {name}.",
        ),
        _lead(
            "Against its own start",
            match.lead_seconds_start,
            ("before the start it names", "after the start it names"),
            f"From our estimated onset to {START_WORDS.get(match.start_used, 'its start')} ({name}).",
        ),
    ]


def _lead(title: str, seconds: float | None, sides: tuple[str, str], text: str) -> Lead:
    if seconds is None:
        return Lead(title, "not known", "unknown", text)
    ahead = seconds >= 0
    return Lead(
        title, duration(seconds), "ahead" if ahead else "behind", f"{sides[not ahead]}. {text}"
    )


def _race(incident: Incident) -> Race | None:
    published, start = _published(incident), _own_start(incident)
    theirs = [
        (kind, at, label)
        for kind, at, label in (
            ("start", start, "its own start"),
            ("published", published, "first post"),
        )
        if at is not None
    ]
    if not theirs:
        return None
    ours = [
        ("onset", incident.onset_at, "onset"),
        ("raised", incident.raised_at, "we could raise it"),
    ]
    times = [at for _, at, _ in [*ours, *theirs]]
    room = max((max(times) - min(times)) * 0.06, timedelta(minutes=5))
    axis = Axis(min(times) - room, max(times) + room)

    def marks(rows: list[tuple[str, datetime, str]]) -> list[Mark]:
        return [Mark(axis.percent(at), kind, f"{label} {short(at)}") for kind, at, label in rows]

    told = ", ".join(f"{label} {short(at)}" for _, at, label in sorted([*ours, *theirs], key=_at))
    return Race(marks(ours), marks(theirs), f"In order of time: {told} (UTC).")


def _at(row: tuple[str, datetime, str]) -> datetime:
    return row[1]


def _charts(
    incident: Incident,
    flags: list[Flag],
    timeline: Timeline,
    axis: Axis,
    marks: list[Mark],
    detail: Detail,
) -> list[Chart]:
    lanes = [lane for lane in lanes_of(incident, flags) if lane in timeline.series]
    return [
        _draw(lane, timeline.series[lane], axis, marks, _spans(flags, lane, axis), detail)
        for lane in lanes[: detail.charts]
    ]


def _healthy_charts(
    incident: Incident,
    flags: list[Flag],
    timeline: Timeline,
    axis: Axis,
    marks: list[Mark],
    detail: Detail,
) -> list[Chart]:
    drawn: dict[str, Lane] = {}
    for lane in healthy_lanes(incident, flags):
        if lane in timeline.series:
            drawn.setdefault(lane.client, lane)
    plain = [m for m in marks if m.kind in {"onset", "resolved"}]
    limit = min(_HEALTHY_CHARTS, detail.charts)
    return [
        _draw(lane, timeline.series[lane], axis, plain, [], detail)
        for lane in list(drawn.values())[:limit]
    ]


def _draw(
    lane: Lane, series: Series, axis: Axis, marks: list[Mark], spans: list[Span], detail: Detail
) -> Chart:
    label = CLIENT_LABELS[Client(lane.client)] if lane.client in set(Client) else clean(lane.client)
    signal = SIGNAL_LABELS.get(lane.signal, clean(lane.signal))
    source = SOURCE_LABELS.get(lane.source, clean(lane.source))
    return chart(
        series,
        axis,
        title=f"{label[:1].upper()}{label[1:]}: {signal}",
        unit=f"{signal[:1].upper()}{signal[1:]} an hour, {source}",
        flags=spans,
        marks=marks,
        table_rows=detail.table_rows,
    )


def _spans(flags: list[Flag], lane: Lane, axis: Axis) -> list[Span]:
    return [
        axis.span(
            f.onset_at,
            f.closed_at or axis.end,
            f"flag {clean(f.kind).replace('_', ' ')} from {short(f.onset_at)}, "
            + (f"closed {short(f.closed_at)}" if f.closed_at else "still open"),
        )
        for f in flags
        if Lane(f.tenant, f.source, f.service, f.client, f.signal) == lane
    ]


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
