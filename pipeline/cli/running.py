"""One backfill with its report, as ``backfill`` and ``demo`` run it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.cli.folders import are_there
from pipeline.model.documents import to_json
from pipeline.model.errors import ExitCode
from pipeline.model.vocabulary import Verdict
from pipeline.notify.words import duration, plural
from pipeline.report.folder import Folder, urgency
from pipeline.report.html import write_report
from pipeline.report.quality import as_dict, number, quality
from pipeline.report.text import INCIDENT_HEAD, incident_row, incident_text, table
from pipeline.runtime.backfill import BackfillRequest, BackfillResult, backfill
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import get_logger, unit_of_work

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model.incident import Incident
    from pipeline.runtime.config import Config

SHOWN_IN_FULL = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished backfill, the page that tells it, and the tenant that was asked for."""

    result: BackfillResult
    report: Path
    tenant: str | None = None

    @property
    def incidents(self) -> list[Incident]:
        """The last revision of each incident, the most pressing first."""
        return sorted(self.result.incidents, key=urgency)


def run_backfill(request: BackfillRequest, config: Config) -> Outcome:
    """Backfill, then write the report beside the results."""
    log = get_logger("backfill")
    with Progress() as progress:
        result = backfill(request, config, progress=progress, log=log)
        with unit_of_work(log, "report") as work:
            report = write_report(result.out, time_zone=config.tenant.time_zone)
            work["bytes"] = report.stat().st_size
    return Outcome(result, report, request.tenant)


def exit_code(outcome: Outcome, *, fail_on_incident: bool) -> ExitCode:
    """What to tell the caller: an outage goes before missing data.

    Records that were rejected are no missing data: a few of millions are in every export. A file
    that was not read may hold anything.
    """
    outages = [i for i in outcome.incidents if i.verdict is Verdict.SERVICE_OUTAGE]
    if fail_on_incident and outages:
        return ExitCode.INCIDENT_FOUND
    missing = outcome.result.blind or outcome.result.unread
    return ExitCode.PARTIAL_DATA if missing else ExitCode.OK


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The result as one document."""
    return {
        "schema": "outrider.backfill/1",
        "out": os.fspath(outcome.result.out),
        "report": os.fspath(outcome.report),
        "blind": outcome.result.blind,
        "incidents": [to_json(i) for i in outcome.incidents],
        "summary": outcome.result.summary,
    }


def as_text(outcome: Outcome, time_zone: str) -> str:
    """The result for a person: the worst in ten seconds each, the others by a line."""
    found = outcome.incidents
    known = Folder(outcome.result.out).advisories()
    parts = [_headline(outcome)]
    parts += [
        incident_text(i, time_zone=time_zone, advisories=known) for i in found[:SHOWN_IN_FULL]
    ]
    if found[SHOWN_IN_FULL:]:
        rows = [incident_row(i) for i in found[SHOWN_IN_FULL:]]
        parts.append(table(INCIDENT_HEAD, rows))
    return "\n\n".join([*parts, _closing(outcome)])


def _headline(outcome: Outcome) -> str:
    found = outcome.result.incidents
    if not found and not number(as_dict(outcome.result.summary.get("records")).get("events")):
        return f"Nothing was judged: {_nothing(outcome)}. This is no all-clear."
    if not found:
        return "No incident found."
    outages = sum(i.verdict is Verdict.SERVICE_OUTAGE for i in found)
    return f"{plural(len(found), 'incident')}, {plural(outages, 'outage')} of Microsoft 365."


def _nothing(outcome: Outcome) -> str:
    """Why no record was left."""
    summary, named = outcome.result.summary, outcome.result.tenants
    records, empty = as_dict(summary.get("records")), number(summary.get("empty_files"))
    if outcome.tenant is not None and named and outcome.tenant not in named:
        return f"no record is of tenant {outcome.tenant}; there {are_there(named, 'tenant')}"
    if number(records.get("outside")):
        return "no record is of the time asked for"
    if number(records.get("received")):
        return "none of the records could be used"
    return f"no record was read ({plural(empty, 'empty file')})" if empty else "no record was read"


def _closing(outcome: Outcome) -> str:
    summary = outcome.result.summary
    facts = quality(summary, {})
    lines = [f"  {name:26}{value}" for name, value in facts.totals]
    if facts.blind_hours:
        missing = duration(facts.blind_hours * 3600)
        lines.append(f"  {'Not seen':26}{missing} of the logs: what happened then is not known")
    lines += [f"  {note}" for note in facts.notes]
    lines.append(f"  {'Report':26}{outcome.report}")
    if outcome.result.incidents:
        lines.append(f"  {'More':26}outrider incidents list {outcome.result.out}")
    return "\n".join(lines)
