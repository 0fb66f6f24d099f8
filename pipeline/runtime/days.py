"""Which days a backfill judges: the stretch the logs speak of, without stray dates.

A damaged record may carry a date years away; judging all the silence between would find
nothing but gaps. Days further than ``LONELY`` empty days from the bulk that hold next to
nothing are left out, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONELY: Final = 14
_SHARE: Final = 0.01


def main_stretch(rows: Mapping[int, int]) -> tuple[range, int]:
    """The days to judge, and the number of events on days left out.

    Args:
        rows: events by day (days since 1970).

    >>> main_stretch({100: 500, 101: 400, 130: 3})
    (range(100, 102), 3)
    >>> main_stretch({100: 500, 130: 400})
    (range(100, 131), 0)
    """
    if not rows:
        return range(0), 0
    days = sorted(rows)
    islands: list[list[int]] = [[days[0]]]
    for day in days[1:]:
        if day - islands[-1][-1] > LONELY:
            islands.append([])
        islands[-1].append(day)
    total = sum(rows.values())
    kept = [i for i in islands if sum(rows[d] for d in i) >= _SHARE * total]
    inside = sum(rows[d] for i in kept for d in i)
    return range(kept[0][0], kept[-1][-1] + 1), total - inside
