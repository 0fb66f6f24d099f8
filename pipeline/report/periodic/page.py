"""A period's page as plain values: what stands where, before any markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.model.ids import content_id
from pipeline.model.incident import IncidentState
from pipeline.notify.brief import brief
from pipeline.notify.clean import clean
from pipeline.notify.words import SOURCE_LABELS, count, duration, percent, plural, short
from pipeline.report.chart import Axis
from pipeline.report.page import Hero, Strip, StripRow
from pipeline.report.periodic.compared import tiles
from pipeline.report.periodic.deliveries import Delivered, delivered
from pipeline.report.periodic.headline import hero
from pipeline.report.periodic.parts import (
    AdvisoryLine,
    Day,
    LeadPart,
    Share,
    advisory_lines,
    days,
    health_rows,
    lead_part,
    shares,
)
from pipeline.report.periodic.span import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident
    from pipeline.report.periodic.figures import Figures
    from pipeline.report.periodic.span import Period

CARDS: Final = 20  # incidents told in ten seconds each; the others follow as rows
ROWS: Final = 100
_STRIP: Final = 12
_LABEL: Final = 80  # characters of 12 px that fit a printed page
_STATES: Final = {
    IncidentState.OPEN: "still open",
    IncidentState.RECOVERING: "recovering",
    IncidentState.RESOLVED: "resolved",
    IncidentState.RETRACTED: "taken back",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One incident in ten seconds."""

    anchor: str
    tone: str
    tags: list[str]
    headline: str
    facts: list[tuple[str, str]]
    incident_id: str


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """Everything the template needs; all text is cleaned, escaping is the template's."""

    title: str
    report_id: str
    stretch: str
    tenants: str
    time_zone: str
    hero: Hero
    tiles: list[tuple[str, str, str]]
    notes: list[str]
    strip: Strip | None
    cards: list[Card]
    further: list[tuple[str, str, str, str, str]]
    further_left_out: int
    retracted: list[tuple[str, str, str]]
    shares: list[Share]
    minutes: str
    together: bool
    days: list[Day]
    days_told: str
    leads: LeadPart
    withdrawn: int
    advisories: list[AdvisoryLine]
    advisories_left_out: int
    health: list[tuple[str, ...]]
    blind: list[tuple[str, ...]]
    blind_left_out: int
    deliveries: Delivered | None
    told: str
    noun: str
    when: str


def report_id(period: Period, tenant: str | None) -> str:
    """The same period of the same tenant has the same id, whenever it is written."""
    return content_id("rep", str(period.kind), period.name, period.zone, tenant or "")


def build(
    now: Figures,
    then: Figures,
    *,
    tenant: str | None,
    advisories: Mapping[str, Advisory],
    told: str,
    damaged: Mapping[str, int],
) -> PeriodPage:
    """Lay the page out.

    Args:
        now: the period.
        then: the one before it.
        tenant: whose report it is; None = of all.
        advisories: by id, for their titles.
        told: where the facts are from.
        damaged: what could not be read.
    """
    period, zone = now.period, now.period.zone
    rest = now.incidents[CARDS:]
    return PeriodPage(
        title=f"{'Daily' if period.kind is Kind.DAILY else 'Monthly'} report, {period.title}",
        report_id=report_id(period, tenant),
        stretch=f"{_minute(period.begin)} to {_minute(period.end)} UTC, {period.length}",
        tenants=_tenants(now.incidents, tenant),
        time_zone=zone,
        hero=hero(now),
        tiles=tiles(now, then),
        notes=_notes(now, damaged),
        strip=_strip(now),
        cards=[_card(i, n, zone, advisories) for n, i in enumerate(now.incidents[:CARDS], 1)],
        further=[_further(i) for i in rest[:ROWS]],
        further_left_out=max(0, len(rest) - ROWS),
        retracted=[
            (short(i.onset_at), clean(i.headline, 200), clean(i.incident_id, 60))
            for i in now.retracted[:ROWS]
        ],
        shares=shares(now),
        minutes=count(round(now.lost_minutes)),
        together=any(len(where.clients) > 1 for where in now.minutes),
        days=days(now) if period.kind is Kind.MONTHLY else [],
        days_told=_busiest(now),
        leads=lead_part(now),
        withdrawn=now.leads.withdrawn,
        advisories=advisory_lines(now.advisories[:ROWS]),
        advisories_left_out=max(0, len(now.advisories) - ROWS),
        health=health_rows(now, then),
        blind=_blind(now),
        blind_left_out=max(0, len(now.blind) - ROWS),
        deliveries=delivered(now, then),
        told=told,
        noun=period.noun,
        when=period.when,
    )


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _tenants(incidents: Iterable[Incident], tenant: str | None) -> str:
    if tenant is not None:
        return clean(tenant, 60)
    names = sorted({clean(t, 60) for i in incidents for t in i.tenants})
    return ", ".join(names) if len(names) <= 3 else plural(len(names), "tenant")


def _notes(now: Figures, damaged: Mapping[str, int]) -> list[str]:
    notes = []
    if now.carried:
        notes.append(
            f"{count(now.carried)} of these incidents began before this {now.period.noun}."
        )
    notes += [
        f"{clean(name)}: {plural(lines, 'unreadable line')} left out of this report."
        for name, lines in sorted(damaged.items())
    ]
    return notes


def _strip(now: Figures) -> Strip | None:
    axis = Axis(now.period.begin, now.period.end)
    shown = sorted(now.incidents[:_STRIP], key=lambda i: (i.onset_at, i.incident_id))
    rows = []
    for i in shown:
        names = ", ".join(c.label for c in i.clients) or i.verdict.label
        until = i.resolved_at or axis.end
        label = clean(names[:1].upper() + names[1:], _LABEL)
        told = f"from {short(i.onset_at)}"
        rows.append(StripRow(label, str(i.severity), [axis.span(i.onset_at, until, told)]))
    if now.unwatched:
        spans = [
            axis.span(a, b, f"no records judged from {short(a)} to {short(b)}")
            for a, b in now.unwatched[:ROWS]
        ]
        rows.append(StripRow("Nothing watched", "gap", spans))
    for source in sorted({b.source for b in now.blind}):
        spans = [
            axis.span(b.start, b.end, f"no records from {short(b.start)} to {short(b.end)}")
            for b in now.blind
            if b.source == source
        ]
        label = clean(f"Not seen: {SOURCE_LABELS.get(source, source)}", _LABEL)
        rows.append(StripRow(label, "gap", spans[:ROWS]))
    if not rows:
        return None
    told = "; ".join(clean(i.headline, 120) for i in shown) or "no incident"
    return Strip(axis.ticks(), rows, f"Incidents in order of time: {told}.")


def _card(incident: Incident, number: int, zone: str, advisories: Mapping[str, Advisory]) -> Card:
    return Card(
        anchor=f"i{number}",
        tone=str(incident.severity),
        tags=[str(incident.severity), _STATES[incident.state], incident.verdict.label],
        headline=clean(incident.headline),
        facts=brief(incident, time_zone=zone, advisories=advisories).rows(),
        incident_id=clean(incident.incident_id, 60),
    )


def _further(incident: Incident) -> tuple[str, str, str, str, str]:
    return (
        short(incident.onset_at),
        str(incident.severity),
        clean(incident.headline, 200),
        f"{incident.verdict.label} ({percent(incident.confidence)})",
        clean(incident.incident_id, 60),
    )


def _blind(now: Figures) -> list[tuple[str, ...]]:
    return [
        (
            clean(SOURCE_LABELS.get(b.source, b.source), 60),
            short(b.start),
            short(b.end),
            duration((b.end - b.start).total_seconds()),
        )
        for b in now.blind[:ROWS]
    ]


def _busiest(now: Figures) -> str:
    """The bars of the days in a sentence, for those who cannot see them."""
    hit = [(minutes, n) for n, minutes in enumerate(now.by_day) if minutes >= 1]
    if now.period.kind is not Kind.MONTHLY or not hit:
        return ""
    most, at = max(hit)
    return (
        f"Time was lost on {plural(len(hit), 'day')}; most on {now.period.days()[at].title}: "
        f"{plural(round(most / 60), 'user-hour')}."
    )
