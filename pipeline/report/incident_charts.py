"""The lanes of one incident, drawn over the hours around it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.model.incident import Incident, IncidentState
from pipeline.model.vocabulary import CLIENT_LABELS, Client, Signal
from pipeline.notify.clean import clean
from pipeline.notify.words import SIGNAL_LABELS, SOURCE_LABELS, short
from pipeline.report.chart import Axis, Chart, Mark, Span, chart
from pipeline.report.incident_leads import published
from pipeline.report.timeline import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.advisory import Advisory
    from pipeline.model.flag import Flag
    from pipeline.report.timeline import Series, Timeline

_CONTEXT: Final = timedelta(hours=24)  # a quiet day on either side shows what is usual
_SIGNALS_A_CLIENT: Final = 2
_HEALTHY_CHARTS: Final = 2


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is shown; the next level is taken when the page would grow too large."""

    incidents: int
    charts: int
    table_rows: int
    posts: bool = True


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


def charts_of(
    incident: Incident,
    flags: list[Flag],
    known: list[Advisory],
    timeline: Timeline,
    detail: Detail,
) -> tuple[list[Chart], list[Chart]]:
    """Charts of what is flagged, and of clients that still work.

    Args:
        incident: its last revision.
        flags: its members.
        known: its advisories.
        timeline: the hours around it.
        detail: how many are drawn.
    """
    axis = axis_of(incident, timeline.begin, timeline.end)
    marks = _marks(incident, known, axis)
    plain = [m for m in marks if m.kind in {"onset", "resolved"}]
    flagged = [lane for lane in lanes_of(incident, flags) if lane in timeline.series]
    works: dict[str, Lane] = {}
    for lane in healthy_lanes(incident, flags):
        if lane in timeline.series:
            works.setdefault(lane.client, lane)
    healthy = list(works.values())[: min(_HEALTHY_CHARTS, detail.charts)]
    return (
        [
            _draw(lane, timeline.series[lane], axis, marks, _spans(flags, lane, axis), detail)
            for lane in flagged[: detail.charts]
        ],
        [_draw(lane, timeline.series[lane], axis, plain, [], detail) for lane in healthy],
    )


def _marks(incident: Incident, known: list[Advisory], axis: Axis) -> list[Mark]:
    moments: list[tuple[str, datetime | None, str]] = [
        ("onset", incident.onset_at, "onset"),
        ("raised", incident.raised_at, "we could raise it"),
        ("published", published(incident), "first post"),
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
