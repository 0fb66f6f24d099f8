"""When we could tell of an incident, and when its advisory did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.notify.clean import clean
from pipeline.notify.words import duration, moment, short
from pipeline.report.chart import Axis, Mark

if TYPE_CHECKING:
    from pipeline.model.incident import Incident

_START_WORDS: Final = {
    "api": "the start the service declares",
    "text": "the start its text names",
    "first_post": "its first post, as it names no start",
}


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


def moments(incident: Incident, zone: str) -> list[tuple[str, str, str]]:
    """Kind (of the mark), name and time of the clocks that are known."""
    rows: list[tuple[str, str, datetime | None]] = [
        ("onset", "Onset, as estimated", incident.onset_at),
        ("raised", "We could raise it", incident.raised_at),
        ("published", "Microsoft's first post", published(incident)),
        ("resolved", "Back to usual", incident.resolved_at),
    ]
    return [(kind, name, moment(at, zone)) for kind, name, at in rows if at is not None]


def leads(incident: Incident) -> list[Lead]:
    """Its clocks: against the first publication, and against the start it names."""
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
            f"From our estimated onset to {_START_WORDS.get(match.start_used, 'its start')} ({name}).",
        ),
    ]


def _lead(title: str, seconds: float | None, sides: tuple[str, str], text: str) -> Lead:
    if seconds is None:
        return Lead(title, "not known", "unknown", text)
    ahead = seconds >= 0
    return Lead(
        title, duration(seconds), "ahead" if ahead else "behind", f"{sides[not ahead]}. {text}"
    )


def race(incident: Incident) -> Race | None:
    """Both clocks on one line; None where no advisory tells a moment."""
    posted, start = published(incident), _own_start(incident)
    theirs = [
        (kind, at, label)
        for kind, at, label in (
            ("start", start, "its own start"),
            ("published", posted, "first post"),
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


def published(incident: Incident) -> datetime | None:
    """First post of its advisory; None where there is none."""
    match = incident.advisory
    if match is None or match.lead_seconds is None:
        return None
    return incident.raised_at + timedelta(seconds=match.lead_seconds)


def _own_start(incident: Incident) -> datetime | None:
    match = incident.advisory
    if match is None or match.lead_seconds_start is None:
        return None
    return incident.onset_at + timedelta(seconds=match.lead_seconds_start)
