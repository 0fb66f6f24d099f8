"""The hours of a tenant as they are shown: rows of the timeline by hour, and those that run.

An hour runs until the head has passed it, three hours behind the clock: until then it is judged
again each minute.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import OUTCOME_FAMILIES, OutcomeFamily
from pipeline.model.window import outcome_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from pipeline.model.window import Cell, Gap, WindowBlock
    from pipeline.runtime.judging import Judged

SECOND_US: Final = 1_000_000
HOUR_S: Final = 3_600
_RUNNING: Final = 4
_FAILED: Final = tuple(
    outcome_column(o) for o, f in OUTCOME_FAMILIES.items() if f is OutcomeFamily.SERVICE
)
_NUMBERS: Final = ("observed", "expected", "low", "high", "completeness")


class Rows:
    """Rows of TIMELINE_SCHEMA by the begin of their hour, in seconds since 1970."""

    def __init__(self, table: pa.Table) -> None:
        hours = table["hour"].cast(pa.int64()).to_numpy() // SECOND_US
        order = np.argsort(hours, kind="stable")
        table = table.take(pa.array(order))
        self._hours = hours[order]
        self._names = table.select(["source", "service", "client", "signal"])
        columns = (table[n].cast(pa.float64()).to_numpy(zero_copy_only=False) for n in _NUMBERS)
        self._numbers = np.round(np.stack(list(columns), axis=1), 3)

    def _slice(self, hour: int) -> tuple[int, int]:
        begin, end = np.searchsorted(self._hours, [hour, hour + 1])
        return int(begin), int(end)

    def mark(self, hour: int, more: str) -> bytes:
        """What two hours of the same lanes, numbers and more have in common."""
        begin, end = self._slice(hour)
        numbers = self._numbers[begin:end].tobytes()
        return hashlib.blake2b(numbers + more.encode(), digest_size=8).digest()

    def lanes(self, hour: int) -> list[list[Any]]:
        """Source, service, client, signal and the numbers, None where there is none."""
        begin, end = self._slice(hour)
        names = [column.to_pylist() for column in self._names.slice(begin, end - begin).columns]
        numbers = self._numbers[begin:end]
        values = np.where(np.isnan(numbers), None, numbers).tolist()  # type: ignore[call-overload] # gives objects
        return [[*lane, value] for *lane, value in zip(*names, values, strict=True)]


def gap_row(gap: Gap) -> list[Any]:
    """A gap as it is shown: source, begin and end in seconds since 1970, records missing."""
    begin, end = to_us(gap.start) // SECOND_US, to_us(gap.end) // SECOND_US
    return [gap.source.value, begin, end, round(gap.expected, 1)]


def running_hours(now: datetime) -> list[int]:
    """The hours that run at a moment, by their begin in seconds since 1970, the oldest first."""
    last = to_us(now) // SECOND_US // HOUR_S * HOUR_S
    return [last - back * HOUR_S for back in range(_RUNNING - 1, -1, -1)]


def running(blocks: Sequence[Judged], now: datetime, known: Iterable[Cell]) -> dict[str, Any]:
    """The last hours by now: what was attempted, how complete it is, and the timeline."""
    hours = running_hours(now)
    places = {hour: at for at, hour in enumerate(hours)}
    sources: dict[str, list[float]] = {}
    cells: dict[tuple[str, ...], list[list[int]]] = {}
    lanes: dict[tuple[str, ...], list[list[float | None]]] = {}
    for cell in known:
        cells[_names(cell)] = [[0] * _RUNNING, [0] * _RUNNING]
    for judged in blocks:
        begin = to_us(judged.block.start) // SECOND_US
        shown = [
            (number, places[hour])
            for number in range(judged.block.minutes // 60)
            if (hour := begin + number * HOUR_S) in places
        ]
        if shown:
            _count(judged.block, shown, sources, cells, now)
            rows = Rows(judged.timeline)
            for number, at in shown:
                for *lane, numbers in rows.lanes(begin + number * HOUR_S):
                    held = lanes.setdefault(tuple(lane), [[None] * _RUNNING for _ in range(4)])
                    for column, value in zip(held, numbers, strict=False):
                        column[at] = value
    return {
        "hours": hours,
        "sources": sources,
        "cells": [[*names, *counts] for names, counts in cells.items()],
        "lanes": [
            [*names, [v or 0.0 for v in held[0]], *held[1:]] for names, held in lanes.items()
        ],
        "gaps": [g for j in blocks for g in map(gap_row, j.block.gaps) if g[2] > hours[0]],
    }


def _names(cell: Cell) -> tuple[str, ...]:
    return (cell.source.value, cell.service.value, cell.client.value)


def _count(
    block: WindowBlock,
    shown: Sequence[tuple[int, int]],
    sources: dict[str, list[float]],
    cells: dict[tuple[str, ...], list[list[int]]],
    now: datetime,
) -> None:
    by_hour = (-1, block.minutes // 60, 60)
    attempts = block.counts["attempts"].reshape(by_hour).sum(axis=2)
    failed = sum(block.counts[c] for c in _FAILED).reshape(by_hour).sum(axis=2)
    for row, cell in enumerate(block.cells):
        held = cells.setdefault(_names(cell), [[0] * _RUNNING, [0] * _RUNNING])
        for number, at in shown:
            held[0][at] = int(attempts[row, number])
            held[1][at] = int(failed[row, number])
    elapsed = (to_us(now) - to_us(block.start)) // (60 * SECOND_US)
    for (_, source), share in block.completeness.items():
        held_share = sources.setdefault(source.value, [0.0] * _RUNNING)
        for number, at in shown:
            held_share[at] = _share(share, number * 60, elapsed)


def _share(share: NDArray[np.float32], begin: int, elapsed: int) -> float:
    """How complete an hour is, by the minutes of it that are over."""
    over = share[begin : max(begin + 1, min(begin + 60, elapsed))]
    return round(float(over.mean()), 4)
