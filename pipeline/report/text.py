"""Incidents as plain text for a terminal or a pager."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from pipeline.notify.brief import brief, split_evidence
from pipeline.notify.clean import clean
from pipeline.notify.words import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident

_LABEL: Final = 13
_EVIDENCE_SHOWN: Final = 5


def incident_text(
    incident: Incident,
    *,
    time_zone: str = "UTC",
    advisories: Mapping[str, Advisory] | None = None,
    width: int = 88,
) -> str:
    """The ten-second form: headline, the facts, the evidence for and against.

    Args:
        incident: the revision to tell.
        time_zone: printed beside UTC.
        advisories: by id, for their titles.
        width: columns to fill.
    """
    state = f"{incident.severity.upper()}, {incident.state}"
    lines = [*_wrap(f"[{state}] {clean(incident.headline)}", width, "", "  "), ""]
    for label, value in brief(incident, time_zone=time_zone, advisories=advisories).rows():
        lines += _wrap(value, width, f"  {label:{_LABEL}}", " " * (_LABEL + 2))
    lines += _evidence(incident, width)
    lines.append(f"  {'Id':{_LABEL}}{incident.incident_id} revision {incident.revision}")
    return "\n".join(lines)


def _evidence(incident: Incident, width: int) -> list[str]:
    supporting, opposing = split_evidence(incident)
    lines = []
    for label, items in (("For", supporting), ("Against", opposing)):
        for number, item in enumerate(items[:_EVIDENCE_SHOWN]):
            head = label if number == 0 else ""
            mark = "-" if label == "Against" else "+"
            lines += _wrap(
                f"{mark} {clean(item.text)}",
                width,
                f"  {head:{_LABEL}}",
                " " * (_LABEL + 4),
            )
    return lines


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns filled with spaces; the last one is as long as it is."""
    cells = [[clean(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in [list(head), *cells]
    )


def incident_row(incident: Incident) -> list[str]:
    """One line of the list of incidents."""
    return [
        incident.incident_id,
        incident.onset_at.strftime("%Y-%m-%d %H:%MZ"),
        str(incident.state),
        str(incident.severity),
        str(incident.affected_users),
        f"{incident.verdict.label} ({percent(incident.confidence)})",
        incident.advisory.advisory_id if incident.advisory else "-",
        ", ".join(c.label for c in incident.clients),
    ]


INCIDENT_HEAD: Final = (
    "INCIDENT", "ONSET", "STATE", "SEVERITY", "USERS", "VERDICT", "ADVISORY", "CLIENTS",
)  # fmt: skip


def _wrap(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first]
