"""A period as one JSON document (``outrider.report/1``), for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import rfc3339
from pipeline.model.documents import to_json
from pipeline.report.periodic.page import report_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.report.periodic.figures import Figures
    from pipeline.report.periodic.span import Period

SCHEMA: Final = "outrider.report/1"


def document(
    now: Figures, then: Figures, *, tenant: str | None, damaged: Mapping[str, int]
) -> dict[str, Any]:
    """The report as plain JSON values; numbers as they are, not rounded for reading."""
    period = now.period
    return {
        "schema": SCHEMA,
        "report_id": report_id(period, tenant),
        "kind": str(period.kind),
        "period": _period(period),
        "tenant": tenant,
        "numbers": _numbers(now),
        "before": {"period": _period(then.period), "numbers": _numbers(then)},
        "incidents": [to_json(i) for i in now.incidents],
        "retracted": [i.incident_id for i in now.retracted],
        "lost": [
            {
                "services": [str(s) for s in where.services],
                "clients": [str(c) for c in where.clients],
                "user_minutes": round(minutes, 3),
            }
            for where, minutes in sorted(now.minutes.items(), key=lambda r: (-r[1], r[0]))
        ],
        "lost_by_day": [
            {"date": day.name, "user_minutes": round(minutes, 3)}
            for day, minutes in zip(period.days(), now.by_day, strict=True)
        ],
        "leads": [
            {
                "incident_id": r.incident_id,
                "advisory_id": r.advisory_id,
                "raised_at": rfc3339(r.raised_at),
                "first_published_at": _time(r.first_published_at),
                "lead_seconds": r.seconds,
            }
            for r in now.leads.rows
        ],
        "outages_without_advisory": [i.incident_id for i in now.leads.without],
        "advisories_without_incident": [
            {
                "advisory_id": a.advisory_id,
                "first_published_at": rfc3339(a.first_published_at),
                "answer": a.answer,
            }
            for a in now.leads.alone
        ],
        "advisories": [
            {
                "advisory_id": advisory.advisory_id,
                "title": advisory.title,
                "first_published_at": _time(advisory.first_published_at),
                "answer": None if impact is None else str(impact.answer),
                "over": None if impact is None else str(impact.over),
                "statement": None if impact is None else impact.statement,
            }
            for advisory, impact in now.advisories
        ],
        "sources": [
            {
                "source": h.source,
                "tenant": h.tenant or None,
                "blind_hours": round(h.blind_hours, 4),
                "gaps": h.gaps,
                "longest_hours": round(h.longest_hours, 4),
            }
            for h in now.health
        ],
        "deliveries": _deliveries(now),
        "damaged": dict(sorted(damaged.items())),
    }


def _period(period: Period) -> dict[str, Any]:
    return {
        "name": period.name,
        "from": rfc3339(period.begin),
        "to": rfc3339(period.end),
        "time_zone": period.zone,
        "hours": period.hours,
    }


def _numbers(of: Figures) -> dict[str, Any]:
    answers = [None if impact is None else str(impact.answer) for _, impact in of.advisories]
    return {
        "incidents": len(of.incidents),
        "outages": len(of.outages),
        "carried_over": of.carried,
        "user_minutes_lost": round(of.lost_minutes, 3),
        "user_minutes_lost_to_outages": round(of.outage_minutes, 3),
        "lead_seconds_median": of.leads.median,
        "leads": len(of.leads.known),
        "leads_negative": of.leads.late,
        "outages_without_advisory": len(of.leads.without),
        "advisories_without_incident": len(of.leads.alone),
        "advisories_withdrawn": of.leads.withdrawn,
        "advisories": len(answers),
        "advisories_that_hit_us": answers.count("yes"),
        "watched_hours": round(of.watched_hours, 4),
        "blind_hours": round(of.blind_hours, 4),
        "deliveries_failed": None if of.deliveries is None else len(of.deliveries.refusals),
    }


def _deliveries(now: Figures) -> dict[str, Any] | None:
    if now.deliveries is None:
        return None
    return {
        "failed": [
            {"sink": r.sink, "reason": r.reason, "at": rfc3339(r.at), "settled": r.settled}
            for r in now.deliveries.refusals
        ],
        "waiting": dict(sorted(now.deliveries.waiting.items())),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
