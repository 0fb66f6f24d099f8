"""The hourly timeline, streamed: only the lanes and hours that are drawn are held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.model.clock import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

HOUR_US: Final = 3_600_000_000
_SEPARATOR: Final = "\x1f"
_VALUES: Final = ("observed", "expected", "low", "high", "completeness")


class Lane(NamedTuple):
    """One signal of one cell, as the timeline names it."""

    tenant: str
    source: str
    service: str
    client: str
    signal: str


@dataclass(frozen=True, slots=True)
class Series:
    """Hours of one lane in order; arrays of shape (hours,), NaN where there is no value.

    ``hour`` holds microseconds since 1970 of each hour's begin.
    """

    hour: NDArray[np.int64]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    completeness: NDArray[np.float64]


@dataclass(slots=True)
class Timeline:
    """What was asked of the timeline, and the hours it speaks of.

    ``damaged``: the file is there and cannot be read.
    """

    series: dict[Lane, Series] = field(default_factory=dict)
    begin: datetime | None = None
    end: datetime | None = None
    damaged: bool = False


def read_timeline(path: Path, wanted: Mapping[Lane, tuple[datetime, datetime]]) -> Timeline:
    """Stream a file of TIMELINE_SCHEMA.

    Args:
        path: the Parquet file; missing gives an empty timeline.
        wanted: for each lane to draw, the hours from and until when.
    """
    result = Timeline()
    if not path.exists():
        return result
    parts: dict[Lane, list[dict[str, NDArray[Any]]]] = {}
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1 << 16):
                _take(pa.Table.from_batches([batch]), wanted, parts, result)
    except (pa.ArrowException, OSError, KeyError):
        result.damaged = True
    result.series = {lane: _join(found) for lane, found in parts.items()}
    return result


def _take(
    table: pa.Table,
    wanted: Mapping[Lane, tuple[datetime, datetime]],
    parts: dict[Lane, list[dict[str, NDArray[Any]]]],
    result: Timeline,
) -> None:
    if not table.num_rows:
        return
    hours = table["hour"].cast(pa.int64())
    span = pc.min_max(hours)
    first, last = from_us(span["min"].as_py()), from_us(span["max"].as_py() + HOUR_US)
    result.begin = first if result.begin is None else min(result.begin, first)
    result.end = last if result.end is None else max(result.end, last)
    # Dictionary columns do not join, and files of other writers may have them.
    columns = [table[c].cast(pa.string()) for c in Lane._fields]
    keys = pc.binary_join_element_wise(*columns, _SEPARATOR)
    table = table.append_column("lane", keys).set_column(
        table.column_names.index("hour"), "hour", hours
    )
    names = pa.array([_SEPARATOR.join(lane) for lane in wanted], pa.string())
    table = table.filter(pc.is_in(table["lane"], value_set=names))
    for lane in _lanes(table):
        begin, end = wanted[lane]
        chosen = table.filter(
            (pc.field("lane") == _SEPARATOR.join(lane))
            & (pc.field("hour") >= to_us(begin) - HOUR_US)
            & (pc.field("hour") < to_us(end))
        )
        if chosen.num_rows:
            parts.setdefault(lane, []).append(
                {
                    "hour": chosen["hour"].to_numpy(),
                    **{v: chosen[v].cast(pa.float64()).to_numpy() for v in _VALUES},
                }
            )


def _lanes(table: pa.Table) -> Iterator[Lane]:
    for key in pc.unique(table["lane"]).to_pylist():
        yield Lane(*key.split(_SEPARATOR))


def _join(parts: list[dict[str, NDArray[Any]]]) -> Series:
    joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    order = np.argsort(joined["hour"], kind="stable")
    # A resumed run may have written an hour twice; the later row holds more of it.
    hours = joined["hour"][order]
    keep = np.append(hours[1:] != hours[:-1], True)
    return Series(**{k: v[order][keep] for k, v in joined.items()})
