"""How far the data can be trusted: completeness, gaps, duplicates, rejects, unknown clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import parse_rfc3339
from pipeline.notify.clean import clean
from pipeline.notify.words import SOURCE_LABELS, count, duration, percent, plural, short

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Quality:
    """Tables and sentences about the data of one run."""

    totals: list[tuple[str, str]] = field(default_factory=list)
    sources: list[tuple[str, ...]] = field(default_factory=list)
    gaps: list[tuple[str, ...]] = field(default_factory=list)
    gaps_left_out: int = 0
    unmatched: list[tuple[str, ...]] = field(default_factory=list)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blind_hours: float = 0.0


def quality(summary: Mapping[str, Any], damaged: Mapping[str, int]) -> Quality:
    """Read a summary (``outrider.summary/1``); whatever is missing or odd is left out."""
    gaps = [g for g in as_list(summary.get("gaps")) if isinstance(g, dict)]
    return Quality(
        totals=_totals(as_dict(summary.get("records")), as_dict(summary.get("unread_files"))),
        sources=[_source(k, as_dict(v)) for k, v in as_dict(summary.get("by_source")).items()],
        gaps=[_gap(g) for g in gaps[:_SHOWN]],
        gaps_left_out=max(0, len(gaps) - _SHOWN),
        unmatched=_unmatched(summary),
        rejects=[
            (clean(k).replace("_", " "), count(number(v)))
            for k, v in as_dict(summary.get("rejects_by_reason")).items()
        ],
        notes=[*_notes(summary), *_damage(damaged)],
        blind_hours=sum(_hours(g) for g in gaps),
    )


def as_dict(value: Any) -> dict[str, Any]:
    """``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """``value`` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def number(value: Any) -> float:
    """``value`` if it is a number, else 0."""
    return float(value) if isinstance(value, (int, float)) else 0.0


def when(value: Any) -> datetime | None:
    """The moment a document names, or None."""
    try:
        return parse_rfc3339(value)
    except (TypeError, ValueError):
        return None


def _totals(records: dict[str, Any], unread: dict[str, Any]) -> list[tuple[str, str]]:
    names = {
        "received": "Records read",
        "events": "Became events",
        "duplicates": "Duplicates left out",
        "ignored": "No evidence (other kinds)",
        "rejected": "Rejected",
    }
    rows = [(label, count(number(records[k]))) for k, label in names.items() if k in records]
    # Told only where there is something to tell.
    further = {
        "Left out of judging": number(records.get("outside")),
        "Files not read": number(unread.get("files")),
    }
    return [*rows, *((label, count(n)) for label, n in further.items() if n)]


def _label(source: Any) -> str:
    return SOURCE_LABELS.get(str(source), clean(source, 60))


def _source(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    first, last = when(row.get("first")), when(row.get("last"))
    settle = row.get("settle_p95_seconds")
    return (
        _label(name),
        count(number(row.get("records"))),
        f"{short(first)} to {short(last)}" if first and last else "-",
        _share(row.get("completeness")),
        duration(settle) if isinstance(settle, (int, float)) else "-",
        clean(row.get("arrival", "-"), 40),
    )


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, (int, float)) else "-"


def _hours(gap: dict[str, Any]) -> float:
    start, end = when(gap.get("start")), when(gap.get("end"))
    return (end - start).total_seconds() / 3600 if start and end else 0.0


def _gap(gap: dict[str, Any]) -> tuple[str, ...]:
    start, end = when(gap.get("start")), when(gap.get("end"))
    return (
        _label(gap.get("source", "-")),
        short(start) if start else "-",
        short(end) if end else "-",
        duration(_hours(gap) * 3600),
        count(round(number(gap.get("expected")))),
    )


def _unmatched(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [r for r in as_list(summary.get("unmatched_clients")) if isinstance(r, dict)]
    rows.sort(key=lambda r: -number(r.get("records")))
    return [
        (
            _label(r.get("source", "-")),
            clean(r.get("client_string", "-"), 120),
            count(number(r.get("records"))),
        )
        for r in rows[:_SHOWN]
    ]


def unread_notes(unread: Mapping[str, Any]) -> list[str]:
    """Which files were not read, or not to their end, and what to do about each."""
    first = [f for f in as_list(unread.get("first")) if isinstance(f, dict)][:_SHOWN]
    notes = [
        f"Not read, or not to its end: {clean(f.get('path', '-'), 200)} "
        f"({clean(f.get('detail', '-'), 200)})."
        for f in first
    ]
    more = int(number(unread.get("files"))) - len(first)
    return [*notes, f"The same goes for {plural(more, 'more file')}."] if more > 0 else notes


def _notes(summary: Mapping[str, Any]) -> list[str]:
    notes = unread_notes(as_dict(summary.get("unread_files")))
    for source, share in as_dict(summary.get("unmatched_client_share")).items():
        if number(share) > 0:
            notes.append(
                f"{percent(number(share))} of the records of {_label(source)} have a client "
                "string that no rule knows."
            )
    for source, share in as_dict(summary.get("system_share")).items():
        if number(share) > 0:
            notes.append(
                f"{percent(number(share))} of the records of {_label(source)} are server-side "
                "traffic; they are counted and in no baseline."
            )
    codes = as_list(summary.get("unknown_codes"))
    if codes:
        shown = ", ".join(clean(_code(c), 20) for c in codes[:_SHOWN])
        notes.append(
            f"{plural(len(codes), 'failure code')} not in the table, counted as unknown failures: "
            f"{shown}{', and more' if len(codes) > _SHOWN else ''}."
        )
    late = sum(number(as_dict(s).get("late")) for s in as_dict(summary.get("by_source")).values())
    if late:
        notes.append(f"{plural(late, 'record')} came later than the usual delay of their source.")
    stray = number(summary.get("outside_stray_dates"))
    if stray:
        notes.append(f"{plural(stray, 'record')} far from all others in time left out as strays.")
    tails = as_list(summary.get("partial_tails"))
    if tails:
        notes.append(f"{plural(len(tails), 'file')} ended in the middle of a record.")
    return notes


def _code(item: Any) -> Any:
    return item.get("code", "-") if isinstance(item, dict) else item


def _damage(damaged: Mapping[str, int]) -> list[str]:
    return [
        f"{clean(name)}: {plural(lines, 'unreadable line')} left out of this page."
        for name, lines in damaged.items()
    ]
