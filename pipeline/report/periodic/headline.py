"""The first thing to read on a period's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.notify.clean import clean
from pipeline.notify.words import SOURCE_LABELS, duration, plural
from pipeline.report.page import Hero

if TYPE_CHECKING:
    from pipeline.report.periodic.figures import Figures


def hero(now: Figures) -> Hero:
    """What happened, and what could not be seen."""
    period = now.period
    unseen = _unseen(now)
    if now.incidents:
        worst = now.incidents[0]
        outages = len(now.outages)
        parts = [plural(outages, "outage") + " of Microsoft\u00a0365"] if outages else []
        others = len(now.incidents) - outages
        if others:
            parts.append(plural(others, "other incident" if outages else "incident"))
        lost = now.lost_minutes / 60
        lead = f"The most pressing: {clean(worst.headline)}."
        return Hero(
            tone=str(worst.severity),
            title=" and ".join(parts)
            + (f", {plural(round(lost), 'user-hour')} lost" if lost >= 1 else ""),
            lead=f"{lead} {unseen}".strip(),
            tags=[str(worst.severity), *_open(now)],
        )
    if not now.watched:
        return Hero(
            "unsure",
            f"Nothing was watched {period.when}",
            "No records of this time were judged, so nothing is known of it. This is no all-clear.",
            ["no data"],
        )
    return Hero(
        "unsure" if unseen else "calm",
        f"No incident {period.when}" + (", but we were blind for a part" if unseen else ""),
        unseen or "All logs that are read came in the whole time.",
        ["no incident"],
    )


def _open(now: Figures) -> list[str]:
    going = sum(not i.state.over for i in now.incidents)
    return [f"{going} not resolved"] if going else ["all resolved"]


def _unseen(now: Figures) -> str:
    """What could not be seen, in a sentence; empty if all could."""
    parts = []
    missing = now.period.hours - now.watched_hours
    if missing > 0.01 and now.watched:
        parts.append(
            f"Records were judged of {duration(now.watched_hours * 3600)} only, of "
            f"{duration(now.period.hours * 3600)}."
        )
    if now.blind_hours:
        worst = max(now.health, key=lambda h: h.blind_hours)
        parts.append(
            f"{clean(SOURCE_LABELS.get(worst.source, worst.source), 60)} told nothing for "
            f"{duration(worst.blind_hours * 3600)}; of that time less is known."
        )
    return " ".join(parts)
