"""Runs every detector over the same streams and lays the figures side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.detection import baselines, product
from benchmarks.detection.alarms import Cell, Trace, Watch, false_per_month, judge
from benchmarks.detection.oracle import oracle
from benchmarks.detection.plan import DROPS, FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from benchmarks.detection.streams import Streams

ORACLE: Final = "oracle CUSUM"
PRODUCT: Final = "outrider"
# A cell counts in the means where the oracle itself finds so many of the outages.
_ATTAINABLE: Final = 0.9

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of all detectors on one set of streams.

    Attributes:
        title: what was compared.
        cells: by detector, then by kind of outage and size.
        false: false episodes a stream-month at the nominal threshold of the product, by
            size; one was promised.
        levels: threshold of the product that gives one, by size.
    """

    title: str
    cells: Mapping[str, Mapping[Key, Cell]]
    false: Mapping[int, float]
    levels: Mapping[int, float]

    def attainable(self) -> list[Key]:
        """Cells that count in the means."""
        floor = self.cells[ORACLE]
        return [key for key, cell in floor.items() if cell.found >= _ATTAINABLE]

    def ratios(self, name: str) -> dict[Key, float]:
        """Delay over the oracle's in each cell that counts."""
        floor = self.cells[ORACLE]
        return {key: self.cells[name][key].delay / floor[key].delay for key in self.attainable()}

    def mean_ratio(self, name: str) -> float:
        """Geometric mean of the ratios."""
        return float(np.exp(np.mean(np.log(list(self.ratios(name).values())))))

    def missed(self, name: str) -> float:
        """Share of the outages missed in the cells that count."""
        cells = [self.cells[name][key] for key in self.attainable()]
        missed = sum((1.0 - c.found) * c.outages for c in cells)
        return missed / sum(c.outages for c in cells)


def on_failures(streams: Streams, title: str) -> Comparison:
    """Rises of the rate of failing."""
    usual: Iterator[tuple[str, Watch]] = (
        (name, Trace(score(streams.failing, streams.attempts)))
        for name, score in baselines.ON_FAILURES.items()
    )
    return _compare(streams, title, tuple(FAILURES), product.failures(streams), usual)


def on_drops(streams: Streams, title: str) -> Comparison:
    """Falls of the accesses."""
    usual: Iterator[tuple[str, Watch]] = (
        (name, Trace(score(streams.accesses))) for name, score in baselines.ON_DROPS.items()
    )
    return _compare(streams, title, tuple(DROPS), product.drops(streams), usual)


def _compare(
    streams: Streams,
    title: str,
    kinds: tuple[str, ...],
    ours: Watch,
    usual: Iterable[tuple[str, Watch]],
) -> Comparison:
    plan, size = streams.plan, streams.size
    cells: dict[str, dict[Key, Cell]] = {ORACLE: {}}
    for kind in kinds:
        floor = oracle(streams, kind)
        alarm = floor.alarms(floor.calibrated(size, plan), plan.minutes)
        cells[ORACLE] |= {(kind, n): c for n, c in judge(alarm, streams, kind).items()}
    levels = ours.calibrated(size, plan)

    def row(watch: Watch, at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[Key, Cell]:
        alarm = watch.alarms(at, plan.minutes)
        return {(k, n): c for k in kinds for n, c in judge(alarm, streams, k).items()}

    cells[PRODUCT] = row(ours, levels)
    nominal = ours.alarms(np.full(len(size), product.NOMINAL), plan.calibration.stop)
    for name, watch in usual:
        cells[name] = row(watch, watch.calibrated(size, plan))
    return Comparison(
        title=title,
        cells=cells,
        false=false_per_month(nominal[:, plan.calibration], size),
        levels={int(n): float(levels[size == n][0]) for n in np.unique(size)},
    )
