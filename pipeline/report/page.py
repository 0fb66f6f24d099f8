"""The page as plain values: what stands where, before any markup."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.advisory import Answer
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Verdict
from pipeline.notify.clean import clean
from pipeline.notify.words import SOURCE_LABELS, count, day, duration, percent, plural, short
from pipeline.report.chart import Axis, Span, Tick
from pipeline.report.incident_charts import Detail, axis_of, healthy_lanes, lanes_of
from pipeline.report.incident_view import IncidentView, view
from pipeline.report.power import sentence, watched
from pipeline.report.quality import Quality, as_dict, as_list, number, quality, when

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.model.incident import Incident
    from pipeline.report.folder import Contents
    from pipeline.report.power import Watched
    from pipeline.report.timeline import Lane, Timeline

_ROWS: Final = 12
_LISTED: Final = 100
_WIDE: Final = 80  # characters of 12 px that fit a printed page
_NARROW: Final = 40  # and a phone of 360 px
ANSWERS: Final = {
    "yes": "affected",
    "no_sign": "no sign of it",
    "cannot_tell": "cannot tell",
}
OVERS: Final = {
    "yes": "over",
    "recovering": "recovering",
    "no": "not over",
    "not_affected": "-",
    "cannot_tell": "cannot tell",
}


@dataclass(frozen=True, slots=True)
class Hero:
    """The first thing to read. ``tone`` is a severity, ``calm`` or ``unsure``."""

    tone: str
    title: str
    lead: str
    tags: list[str]
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class StripRow:
    """One line of the overview of the period."""

    label: str
    tone: str
    spans: list[Span]

    @property
    def short(self) -> str:
        """The label, cut to the width of a phone."""
        return clean(self.label, _NARROW)


@dataclass(frozen=True, slots=True)
class Strip:
    """The whole period: incidents, advisories and gaps."""

    ticks: list[Tick]
    rows: list[StripRow]
    description: str


@dataclass(frozen=True, slots=True)
class AdvisoryRow:
    """One advisory and the operator's question: are we affected?"""

    advisory_id: str
    title: str
    first_post: str
    tone: str
    answer: str
    over: str
    statement: str
    clients: list[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the template needs."""

    title: str
    period: str
    tenants: str
    time_zone: str
    hero: Hero
    tiles: list[tuple[str, str, str]]
    strip: Strip | None
    incidents: list[IncidentView]
    further: list[tuple[str, str, str, str, str]]
    further_left_out: int
    advisories: list[AdvisoryRow]
    advisories_left_out: int
    power: list[tuple[str, str, str, str]]
    quality: Quality
    notes: list[str] = field(default_factory=list)


def wanted_lanes(contents: Contents, detail: Detail) -> dict[Lane, tuple[datetime, datetime]]:
    """The lanes to stream, each with the hours it is drawn over."""
    begin, end = when(contents.summary.get("from")), when(contents.summary.get("to"))
    wanted: dict[Lane, tuple[datetime, datetime]] = {}
    for history in contents.histories[: detail.incidents]:
        incident = history[-1]
        flags = [contents.flags[i] for i in incident.flag_ids if i in contents.flags]
        axis = axis_of(incident, begin, end)
        for lane in [*lanes_of(incident, flags), *healthy_lanes(incident, flags)]:
            first, last = wanted.get(lane, (axis.begin, axis.end))
            wanted[lane] = (min(first, axis.begin), max(last, axis.end))
    return wanted


def build(contents: Contents, timeline: Timeline, *, time_zone: str, detail: Detail) -> Page:
    """Lay the page out; nothing here is markup."""
    summary = contents.summary
    found, guarded = quality(summary, contents.damaged), watched(summary)
    begin = when(summary.get("from")) or timeline.begin
    end = when(summary.get("to")) or timeline.end
    timeline.begin, timeline.end = begin, end
    latest = [h[-1] for h in contents.histories]
    further = latest[detail.incidents :]
    rows = [_advisory_row(a, contents) for a in list(contents.advisories)[:_LISTED]]
    return Page(
        title="Outrider report",
        period=f"{day(begin)} to {day(end)}" if begin and end else "period not known",
        tenants=_tenants(summary, latest),
        time_zone=time_zone,
        hero=_hero(latest, found, guarded, summary),
        tiles=_tiles(latest, found),
        strip=_strip(contents, latest, begin, end),
        incidents=[
            view(h, contents, timeline, time_zone=time_zone, detail=detail)
            for h in contents.histories[: detail.incidents]
        ],
        further=[_further(i) for i in further[:_LISTED]],
        further_left_out=max(0, len(further) - _LISTED),
        advisories=rows,
        advisories_left_out=max(0, len(contents.advisories) - _LISTED),
        power=[w.row() for w in guarded[:40]],
        quality=found,
        notes=["timeline.parquet could not be read; the charts are missing."]
        if timeline.damaged
        else [],
    )


def _tenants(summary: Mapping[str, Any], latest: list[Incident]) -> str:
    names = [clean(t, 60) for t in as_list(summary.get("tenants"))]
    names = names or sorted({clean(t, 60) for i in latest for t in i.tenants})
    return ", ".join(names) if len(names) <= 3 else plural(len(names), "tenant")


def _hero(
    latest: list[Incident],
    found: Quality,
    guarded: list[Watched],
    summary: Mapping[str, Any],
) -> Hero:
    if latest:
        worst = latest[0]
        more = len(latest) - 1
        return Hero(
            tone=str(worst.severity),
            title=clean(worst.headline),
            lead=f"And {plural(more, 'more incident')}, below." if more else "",
            tags=[
                str(worst.severity),
                "still open" if worst.state is IncidentState.OPEN else str(worst.state),
                f"{worst.verdict.label}, {percent(worst.confidence)} sure",
                plural(worst.affected_users, "user"),
            ],
            anchor=clean(worst.incident_id, 60),
        )
    received = number(as_dict(summary.get("records")).get("received"))
    if not received:
        return Hero("unsure", "Nothing to judge: no record was read", _NO_RECORDS, ["no data"])
    blind = (
        f" {duration(found.blind_hours * 3600)} of the logs are missing, and of those nothing is "
        "known."
        if found.blind_hours
        else ""
    )
    return Hero(
        "unsure" if blind else "calm",
        "No incident found" + (", but we were blind for a part" if blind else ""),
        sentence(guarded) + blind,
        [plural(received, "record") + " read"],
    )


_NO_RECORDS: Final = (
    "Either the paths held no sign-in or audit records, or all were rejected; see data quality "
    "below. This is no all-clear."
)


def _tiles(latest: list[Incident], found: Quality) -> list[tuple[str, str, str]]:
    """Value, name and remark of the figures at the top."""
    outages = [i for i in latest if i.verdict is Verdict.SERVICE_OUTAGE]
    tiles = [
        (count(len(latest)), "incident" if len(latest) == 1 else "incidents", _kinds(latest)),
    ]
    if latest:
        users = max(i.affected_users for i in latest)
        tiles.append((count(users), "users affected", "in the largest incident"))
    leads = [
        i.advisory.lead_seconds
        for i in outages
        if i.advisory is not None and i.advisory.lead_seconds is not None
    ]
    if leads:
        best = leads[0]
        side = "before the first post" if best >= 0 else "after the first post"
        tiles.append((duration(best), side, "in the most pressing outage"))
    elif outages:
        tiles.append(("none yet", "advisory", "we are the first to know by our logs"))
    if found.totals:
        tiles.append((found.totals[0][1], "records read", ""))
    return tiles


def _kinds(latest: list[Incident]) -> str:
    outages = sum(i.verdict is Verdict.SERVICE_OUTAGE for i in latest)
    still = sum(not i.state.over for i in latest)
    parts = [plural(outages, "outage") + " of Microsoft 365"] if outages else []
    return ", ".join([*parts, f"{still} not resolved"] if still else parts)


def _strip(
    contents: Contents, latest: list[Incident], begin: datetime | None, end: datetime | None
) -> Strip | None:
    if begin is None or end is None or end <= begin:
        return None
    axis = Axis(begin, end)
    shown = sorted(latest[:_ROWS], key=lambda i: i.onset_at)
    rows = [_incident_row(i, axis) for i in shown]
    linked = {i.advisory.advisory_id for i in latest if i.advisory is not None}
    linked |= {r for i in latest if i.advisory is not None for r in i.advisory.relisted_as}
    for key, advisory in contents.advisories.items():
        start = advisory.first_published_at or advisory.start_at
        stop = advisory.restored_at or advisory.end_at or end
        if key in linked and start is not None and start < end and stop > begin:
            label = clean(f"{advisory.advisory_id} {advisory.title}", _WIDE)
            rows.append(StripRow(label, "advisory", [axis.span(start, stop, label)]))
    rows += _gap_rows(contents.summary, axis)
    told = "; ".join(f"{clean(i.headline, 120)}" for i in shown) or "no incident"
    return Strip(axis.ticks(), rows[: 2 * _ROWS], f"Incidents in order of time: {told}.")


def _incident_row(incident: Incident, axis: Axis) -> StripRow:
    until = incident.resolved_at or axis.end
    names = ", ".join(c.label for c in incident.clients) or incident.verdict.label
    span = axis.span(incident.onset_at, until, f"from {short(incident.onset_at)}")
    return StripRow(clean(names[:1].upper() + names[1:], _WIDE), str(incident.severity), [span])


def _gap_rows(summary: Mapping[str, Any], axis: Axis) -> list[StripRow]:
    spans: dict[str, list[Span]] = {}
    for gap in as_list(summary.get("gaps"))[:200]:
        start, stop = when(as_dict(gap).get("start")), when(as_dict(gap).get("end"))
        if start is not None and stop is not None:
            label = f"no records from {short(start)} to {short(stop)}"
            spans.setdefault(str(gap.get("source")), []).append(axis.span(start, stop, label))
    return [
        StripRow(clean(f"Not seen: {SOURCE_LABELS.get(s, s)}", _WIDE), "gap", found)
        for s, found in spans.items()
    ]


def _further(incident: Incident) -> tuple[str, str, str, str, str]:
    return (
        short(incident.onset_at),
        str(incident.severity),
        clean(incident.headline, 200),
        f"{incident.verdict.label} ({percent(incident.confidence)})",
        clean(incident.incident_id, 60),
    )


def _advisory_row(key: str, contents: Contents) -> AdvisoryRow:
    advisory, impact = contents.advisories[key], contents.impacts.get(key)
    first = advisory.first_published_at
    if impact is None:
        tone, answer, over, statement = "cannot_tell", "not judged", "-", ""
    else:
        tone, statement = str(impact.answer), clean(impact.statement, 600)
        answer, over = ANSWERS[impact.answer], OVERS[impact.over]
    clients = [
        (
            f"{c.client.label} ({c.service.label})",
            ANSWERS[c.answer],
            OVERS[c.over],
            clean(c.statement),
        )
        for c in (impact.clients if impact is not None else ())
        if c.answer is not Answer.CANNOT_TELL or c.active_users
    ]
    return AdvisoryRow(
        clean(advisory.advisory_id, 40),
        clean(advisory.title, 200),
        short(first) if first else "-",
        tone,
        answer,
        over,
        statement,
        clients[:20],
    )
