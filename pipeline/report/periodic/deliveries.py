"""How deliveries went in a period, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.notify.clean import clean
from pipeline.notify.words import count, short
from pipeline.report.periodic.compared import numbered

if TYPE_CHECKING:
    from pipeline.report.periodic.figures import Figures

_ROWS: Final = 40


@dataclass(frozen=True, slots=True)
class Delivered:
    """How deliveries went: a sentence, refusals by destination, and what still waits."""

    sentence: str
    refused: list[tuple[str, str, str, str, str]]
    waiting: list[tuple[str, str]]


def delivered(now: Figures, then: Figures) -> Delivered | None:
    """What destinations refused in the period, and what waits for them now."""
    told = now.deliveries
    if told is None:
        return None
    grouped = Counter((r.sink, r.reason) for r in told.refusals)
    settled = Counter((r.sink, r.reason) for r in told.refusals if r.settled)
    last = {(r.sink, r.reason): r.at for r in told.refusals}
    number = len(told.refusals)
    was = len(then.deliveries.refusals) if then.deliveries is not None else 0
    where = now.period.when.replace("this", "the")
    sentence = (
        f"{numbered(number, 'delivery', 'deliveries')} failed {now.period.when} "
        f"({count(was)} {where} before)."
        if number
        else f"No delivery failed {now.period.when} ({count(was)} {where} before)."
    )
    return Delivered(
        sentence=sentence,
        refused=[
            (
                clean(sink, 60),
                clean(reason, 200),
                count(n),
                count(settled[sink, reason]),
                short(last[sink, reason]),
            )
            for (sink, reason), n in sorted(grouped.items(), key=lambda g: (-g[1], g[0]))
        ][:_ROWS],
        waiting=[(clean(s, 60), count(n)) for s, n in sorted(told.waiting.items()) if n],
    )
