"""The parts of a period's page below the incidents, as rows of words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.notify.clean import clean
from pipeline.notify.words import SOURCE_LABELS, count, duration, listed, percent, plural, short
from pipeline.report.chart import nice, percent_of
from pipeline.report.page import ANSWERS, OVERS
from pipeline.report.periodic.compared import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.advisory import Advisory, Impact
    from pipeline.report.periodic.figures import Figures, Health
    from pipeline.report.periodic.lost import Where

_ROWS: Final = 40
NOT_JUDGED: Final = "not judged"


@dataclass(frozen=True, slots=True)
class Share:
    """The minutes of one client of one service; ``share`` is the width of its bar."""

    label: str
    service: str
    minutes: str
    hours: str
    share: str
    share_text: str


@dataclass(frozen=True, slots=True)
class Day:
    """One bar of a month, in percent of the picture."""

    at: str
    width: str
    top: str
    height: str
    label: str
    name: str
    minor: bool


@dataclass(frozen=True, slots=True)
class LeadPart:
    """Who was first: a sentence, and the rows behind it."""

    sentence: str
    rows: list[tuple[str, str, str, str, str]]
    rows_left_out: int
    without: list[tuple[str, str, str]]
    alone: list[tuple[str, str, str, str]]
    alone_told: str


@dataclass(frozen=True, slots=True)
class AdvisoryLine:
    """One advisory and whether it hit us."""

    advisory_id: str
    tone: str
    answer: str
    over: str
    title: str
    first_post: str
    statement: str


def shares(now: Figures) -> list[Share]:
    """Minutes by client and service, most first; the minutes of the rows add up to the whole."""
    whole = now.lost_minutes
    rows = sorted(now.minutes.items(), key=lambda r: (-r[1], r[0]))
    told = rounded([minutes for _, minutes in rows])
    return [
        Share(
            label=_clients(where),
            service=listed([s.label for s in where.services]) or "-",
            minutes=count(whole_minutes),
            hours=count(minutes / 60) if minutes < 600 else count(round(minutes / 60)),
            share=percent_of(min(minutes / whole, 1.0)),
            share_text=percent(minutes / whole),
        )
        for (where, minutes), whole_minutes in zip(rows, told, strict=True)
        if minutes > 0
    ]


def rounded(values: list[float]) -> list[int]:
    """Whole numbers that add up to the rounded sum (the largest remainders go up).

    >>> rounded([0.4, 0.4, 0.4]), rounded([1.5, 2.5])
    ([1, 0, 0], [2, 2])
    """
    found = [int(v) for v in values]
    missing = round(sum(values)) - sum(found)
    order = sorted(range(len(values)), key=lambda n: (found[n] - values[n], n))
    for n in order[:missing]:
        found[n] += 1
    return found


def _clients(where: Where) -> str:
    names = listed([c.label for c in where.clients]) or "clients not known"
    name = names[:1].upper() + names[1:]
    return name if len(where.clients) < 2 else f"{name}, together"


def days(now: Figures) -> list[Day]:
    """A bar for each day of the month."""
    top = nice(max(now.by_day) / 60) * 60
    width = 1 / len(now.by_day)
    return [
        Day(
            at=percent_of((n + 0.12) * width),
            width=percent_of(0.76 * width),
            top=percent_of(1 - minutes / top),
            height=percent_of(minutes / top),
            label=f"{day.title}: {plural(round(minutes / 60), 'user-hour')} lost",
            name=str(day.first.day),
            minor=bool(n % 5),
        )
        for n, (minutes, day) in enumerate(zip(now.by_day, now.period.days(), strict=True))
    ]


def lead_part(now: Figures) -> LeadPart:
    """Lead times with all that speaks against us."""
    leads = now.leads
    rows = [
        (
            clean(r.advisory_id, 40),
            short(r.raised_at),
            "-" if r.first_published_at is None else short(r.first_published_at),
            "not known" if r.seconds is None else _signed(r.seconds),
            clean(r.incident_id, 60),
        )
        for r in leads.rows
    ]
    answers = Counter(ANSWERS.get(a.answer or "", NOT_JUDGED) for a in leads.alone)
    told = ", ".join(f"{count(n)} {name}" for name, n in sorted(answers.items()))
    return LeadPart(
        sentence=_sentence(now),
        rows=rows[:_ROWS],
        rows_left_out=max(0, len(rows) - _ROWS),
        without=[
            (short(i.raised_at), clean(i.headline, 200), clean(i.incident_id, 60))
            for i in leads.without[:_ROWS]
        ],
        alone=[
            (
                clean(a.advisory_id, 40),
                short(a.first_published_at),
                ANSWERS.get(a.answer or "", NOT_JUDGED),
                clean(a.title, 200),
            )
            for a in leads.alone[:_ROWS]
        ],
        alone_told=told,
    )


def _signed(seconds: float) -> str:
    """A lead in words.

    >>> _signed(11580.0), _signed(-2460.0)
    ('3 h 13 min before', '41 min after')
    """
    return f"{duration(seconds)} {'before' if seconds >= 0 else 'after'}"


def _sentence(now: Figures) -> str:
    leads = now.leads
    if leads.median is None:
        return f"No incident raised {now.period.when} has an advisory with a time of publication."
    known = leads.known
    middle = f"{duration(leads.median)} {'before' if leads.median >= 0 else 'after'}"
    if len(known) == 1:
        first = f"We knew {middle} the first post of the one advisory (n = 1)."
    else:
        first = (
            f"In the median we knew {middle} the first post (n = {len(known)}, from "
            f"{_signed(max(known))} to {_signed(min(known))})."
        )
    late = f" {numbered(leads.late, 'advisory', 'advisories')} came before us."
    return first + (late if leads.late else "")


def _over(impact: Impact | None) -> str:
    """Whether it is over for us, where that says more than the answer before it."""
    if impact is None:
        return ""
    told = OVERS[impact.over]
    return "" if told in {"-", ANSWERS[impact.answer]} else told


def advisory_lines(found: Iterable[tuple[Advisory, Impact | None]]) -> list[AdvisoryLine]:
    """Advisories, each with the answer to: did it hit us?"""
    return [
        AdvisoryLine(
            advisory_id=clean(advisory.advisory_id, 40),
            tone="cannot_tell" if impact is None else str(impact.answer),
            answer=NOT_JUDGED if impact is None else ANSWERS[impact.answer],
            over=_over(impact),
            title=clean(advisory.title, 200),
            first_post=short(advisory.first_published_at) if advisory.first_published_at else "-",
            statement="" if impact is None else clean(impact.statement, 400),
        )
        for advisory, impact in found
    ]


def health_rows(now: Figures, then: Figures) -> list[tuple[str, ...]]:
    """How long each source was blind, beside the period before."""
    before = {(h.source, h.tenant): h.blind_hours for h in then.health}
    tenants = {h.tenant for h in now.health if h.tenant}
    return [
        _health(h, before, several=len(tenants) > 1, now=now, watched=bool(then.watched))
        for h in now.health
    ]


def _health(
    health: Health,
    before: dict[tuple[str, str], float],
    *,
    several: bool,
    now: Figures,
    watched: bool,
) -> tuple[str, ...]:
    name = clean(SOURCE_LABELS.get(health.source, health.source), 60)
    if several and health.tenant:
        name = f"{name}, {clean(health.tenant, 60)}"
    # A source without gaps stands under no tenant.
    was = sum(
        hours
        for (source, tenant), hours in before.items()
        if source == health.source and health.tenant in {"", tenant}
    )
    seen = now.watched_hours
    share = percent(min(health.blind_hours / seen, 1.0)) if seen and health.blind_hours else "0 %"
    told = _length(was) if watched else "not watched"
    return (
        name,
        _length(health.blind_hours),
        share,
        count(health.gaps),
        _length(health.longest_hours) if health.gaps else "-",
        told,
    )


def _length(hours: float) -> str:
    return duration(hours * 3600) if hours else "0 h"
