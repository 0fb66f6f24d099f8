"""The figures at the top, each beside that of the period before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.notify.words import count, duration, plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.report.periodic.figures import Figures

Tile = tuple[str, str, str]


def tiles(now: Figures, then: Figures) -> list[Tile]:
    """Value, name and remark of each figure."""
    return [
        _incidents(now, then),
        _lost(now, then),
        _lead(now, then),
        _advisories(now),
        _blind(now, then),
        *_refused(now, then),
    ]


def numbered(number: float, one: str, many: str) -> str:
    """A number and its noun, where its plural is more than an s behind it.

    >>> numbered(1, "advisory", "advisories"), numbered(0, "advisory", "advisories")
    ('1 advisory', '0 advisories')
    """
    return f"{count(number)} {one if number == 1 else many}"


def versus(now: float, then: float, noun: str, say: Callable[[float], str] = count) -> str:
    """How a number compares with that of the period before.

    >>> versus(3, 1, "day"), versus(1, 3, "month"), versus(2, 2, "day")
    ('2 more than the day before', '2 fewer than the month before', 'as many as the day before')
    """
    return _versus(now, then, noun, ("more", "fewer", "as many as"), say)


def _versus(
    now: float, then: float, noun: str, words: tuple[str, str, str], say: Callable[[float], str]
) -> str:
    more, less, same = words
    if say(abs(now - then)) == say(0.0):
        return f"{same} the {noun} before"
    return f"{say(abs(now - then))} {more if now > then else less} than the {noun} before"


def _unknown(then: Figures) -> str:
    """What stands instead of a comparison where nothing was watched before; else empty."""
    known = then.watched or then.incidents
    return "" if known else f"the {then.period.noun} before was not watched"


def _incidents(now: Figures, then: Figures) -> Tile:
    number = len(now.incidents)
    remark = _unknown(then) or versus(number, len(then.incidents), now.period.noun)
    return count(number), "incident" if number == 1 else "incidents", remark


def _hours(minutes: float) -> str:
    return count(round(minutes / 60))


def _lost(now: Figures, then: Figures) -> Tile:
    remark = _unknown(then) or versus(now.lost_minutes, then.lost_minutes, now.period.noun, _hours)
    if now.lost_minutes >= 30:
        remark = f"{_hours(now.outage_minutes)} of them Microsoft's; {remark}"
    hours = _hours(now.lost_minutes)
    return hours, "user-hour lost" if hours == "1" else "user-hours lost", remark


def _lead(now: Figures, then: Figures) -> Tile:
    middle = now.leads.median
    number = len(now.leads.known)
    if middle is None:
        told = plural(len(now.leads.without), "outage") + " without an advisory"
        return "none", "lead time", told if now.leads.without else "no advisory to measure by"
    side = "before" if middle >= 0 else "after"
    parts = [f"n = {number}"]
    if now.leads.late:
        parts.append(f"{count(now.leads.late)} negative")
    if then.leads.median is not None:
        was = "before" if then.leads.median >= 0 else "after"
        parts.append(
            f"{duration(then.leads.median)} {was} it the {now.period.noun} before"
            f" (n = {len(then.leads.known)})"
        )
    return duration(middle), f"{side} the first post, median", "; ".join(parts)


def _advisories(now: Figures) -> Tile:
    answers = [None if impact is None else str(impact.answer) for _, impact in now.advisories]
    hit = answers.count("yes")
    unsure = len(answers) - hit - answers.count("no_sign")
    remark = f"of {numbered(len(answers), 'advisory', 'advisories')}"
    if unsure:
        remark += f"; of {count(unsure)} we cannot tell"
    return count(hit), "advisory hit us" if hit == 1 else "advisories hit us", remark


def _blind(now: Figures, then: Figures) -> Tile:
    def say(hours: float) -> str:
        return duration(hours * 3600)

    words = ("more", "less", "as much as")
    remark = _unknown(then) or _versus(
        now.blind_hours, then.blind_hours, now.period.noun, words, say
    )
    value = say(now.blind_hours) if now.blind_hours else "0 h"
    if not now.watched:
        return "all", "of it not watched", remark
    return value, "blind, all sources together", remark


def _refused(now: Figures, then: Figures) -> list[Tile]:
    if now.deliveries is None or then.deliveries is None:
        return []
    number = len(now.deliveries.refusals)
    remark = versus(number, len(then.deliveries.refusals), now.period.noun)
    return [(count(number), "delivery failed" if number == 1 else "deliveries failed", remark)]
