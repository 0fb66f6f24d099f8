"""Comparisons as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.detection.compare import ORACLE, PRODUCT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.detection.compare import Comparison


def text(comparison: Comparison) -> str:
    """Delays by cell, the means over the cells that count, and the promise."""
    return "\n".join((*_delays(comparison), "", *_means(comparison), "", *_promise(comparison)))


def _delays(comparison: Comparison) -> Iterator[str]:
    sizes = sorted({size for _, size in comparison.cells[ORACLE]})
    kinds = list(dict.fromkeys(kind for kind, _ in comparison.cells[ORACLE]))
    yield f"## {comparison.title}"
    yield ""
    yield "Mean delay in minutes, a miss counted as 90 (share found; x = over the oracle's)"
    yield ""
    yield "| outage | detector | " + " | ".join(f"{size}/min" for size in sizes) + " |"
    yield "|---|---|" + "---:|" * len(sizes)
    for kind in kinds:
        for name, cells in comparison.cells.items():
            row = []
            for size in sizes:
                cell, floor = cells[kind, size], comparison.cells[ORACLE][kind, size]
                ratio = "" if name == ORACLE else f", {cell.delay / floor.delay:.2f}x"
                row.append(f"{cell.delay:.1f} ({cell.found:.0%}{ratio})")
            yield f"| {kind} | {name} | " + " | ".join(row) + " |"


def _means(comparison: Comparison) -> Iterator[str]:
    count = len(comparison.attainable())
    yield f"Over the {count} cells in which the oracle finds 90 % or more:"
    yield ""
    yield "| detector | delay / oracle's, geometric mean | worst cell | missed | not judged |"
    yield "|---|---:|---:|---:|---:|"
    for name, cells in comparison.cells.items():
        worst = max(comparison.ratios(name).values())
        left_out = sum(cell.left_out for cell in cells.values())
        yield (
            f"| {name} | {comparison.mean_ratio(name):.2f} | {worst:.1f} |"
            f" {comparison.missed(name):.1%} | {left_out} |"
        )


def _promise(comparison: Comparison) -> Iterator[str]:
    yield f"{PRODUCT}: false episodes a stream-month where 1.00 is promised (and the level of 1.00)"
    yield ""
    yield "| " + " | ".join(f"{size}/min" for size in comparison.false) + " |"
    yield "|" + "---:|" * len(comparison.false)
    pairs = zip(comparison.false.values(), comparison.levels.values(), strict=True)
    yield "| " + " | ".join(f"{false:.2f} ({level:.1f})" for false, level in pairs) + " |"
