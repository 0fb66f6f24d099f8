"""A picture of some hours that is small enough for a line of a table.

It is drawn into a plane as wide as its hours and 100 high; whole numbers keep sixty of them small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.ledger.showing import Series

HEIGHT: Final = 100
_HOUR: Final = 3_600
# As in the charts of the report: an hour of which less is here is drawn as not seen.
_BLIND_BELOW: Final = 0.5


@dataclass(frozen=True, slots=True)
class Spark:
    """Paths of SVG; ``blind``: begin and length in hours of what was not seen."""

    hours: int
    band: str
    expected: str
    observed: str
    outside: str
    blind: list[tuple[int, int]]


def spark(series: Series, end: int, hours: int) -> Spark | None:
    """Draw the last hours of a lane; None where there is nothing to draw.

    Args:
        series: of it.
        end: seconds since 1970.
        hours: the width of the picture.
    """
    begin = end - hours * _HOUR
    kept = [n for n, at in enumerate(series.hour) if begin <= at < end]
    if not kept:
        return None
    x = {n: round((series.hour[n] - begin) / _HOUR) for n in kept}
    seen = [n for n in kept if series.completeness[n] >= _BLIND_BELOW]
    banded = [n for n in kept if series.low[n] is not None and series.high[n] is not None]
    low = {n: series.low[n] or 0.0 for n in banded}
    high = {n: series.high[n] or 0.0 for n in banded}
    usual = {n: e for n in kept if (e := series.expected[n]) is not None}
    observed = {n: series.observed[n] for n in seen}
    top = max([*high.values(), *usual.values(), *observed.values(), 1.0])

    def point(n: int, value: float) -> str:
        return f"{x[n]} {round(HEIGHT * (1 - max(value, 0.0) / top))}"

    out = {n for n in seen if n in low and not low[n] <= observed[n] <= high[n]}
    # One hour more on either side, so that the area reaches the line it left.
    wide = [n for n in seen if n in usual and {n - 1, n, n + 1} & out]
    return Spark(
        hours=hours,
        band=_area(banded, lambda n: point(n, high[n]), lambda n: point(n, low[n])),
        expected=_line(sorted(usual), lambda n: point(n, usual[n])),
        observed=_line(seen, lambda n: point(n, observed[n])),
        outside=_area(wide, lambda n: point(n, observed[n]), lambda n: point(n, usual[n])),
        blind=[(x[r[0]], len(r)) for r in _runs([n for n in kept if n not in observed])],
    )


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers that follow each other.

    >>> list(_runs([1, 2, 3, 7, 9, 10]))
    [[1, 2, 3], [7], [9, 10]]
    """
    run: list[int] = []
    for n in numbers:
        if run and n != run[-1] + 1:
            yield run
            run = []
        run.append(n)
    if run:
        yield run


def _line(numbers: Sequence[int], point: Callable[[int], str]) -> str:
    # A lone hour has no length; a round cap makes it a dot.
    return "".join("M" + "L".join(map(point, r if len(r) > 1 else r * 2)) for r in _runs(numbers))


def _area(numbers: Sequence[int], above: Callable[[int], str], below: Callable[[int], str]) -> str:
    runs = (r for r in _runs(numbers) if len(r) > 1)
    return "".join("M" + "L".join([*map(above, r), *map(below, reversed(r))]) + "Z" for r in runs)
