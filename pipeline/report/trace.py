"""``evidence.parquet``, read back: the minutes that decided the flags of one incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.model.clock import MINUTE_US
from pipeline.model.errors import ConfigError
from pipeline.model.trace import TRACE_SCHEMA, LawName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "evidence.parquet"


@dataclass(frozen=True, slots=True)
class Trace:
    """Minutes of one flag in order; arrays of shape (minutes,) or (minutes, alternatives).

    ``minute`` counts since 1970. ``carried`` are R and W before the first minute. For the
    rest see TRACE_SCHEMA; ``trials`` is NaN where nothing is tried.
    """

    law: LawName
    minute: NDArray[np.int64]
    judged: NDArray[np.bool_]
    completeness: NDArray[np.float64]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    trials: NDArray[np.float64]
    null: NDArray[np.float64]
    alternatives: NDArray[np.float64]
    spread: NDArray[np.float64]
    threshold: NDArray[np.float64]
    carried: tuple[NDArray[np.float64], NDArray[np.float64]]
    joint: Joint | None = None


@dataclass(frozen=True, slots=True)
class Joint:
    """How a joint score is made up; ``lanes`` are rows of ``joint_lanes`` in TRACE_SCHEMA.

    ``since`` is the log of E_s, the latest start first, shape (hours,).
    """

    since: NDArray[np.float64]
    lanes: list[dict[str, Any]]


def read_traces(folder: Path, flag_ids: Iterable[str]) -> dict[str, Trace]:
    """The kept minutes of some flags, by id; flags of which none were kept are left out.

    Raises:
        ConfigError: the file is missing or of another version.
    """
    path = folder / NAME
    try:
        table = pq.read_table(path, filters=pc.field("flag_id").isin(list(flag_ids)))
        table = table.select(TRACE_SCHEMA.names).cast(TRACE_SCHEMA)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ConfigError(
            f"{path}: missing or of another version; run `outrider backfill` again"
        ) from error
    found = {}
    for flag_id in pc.unique(table["flag_id"]).to_pylist():
        rows = table.filter(pc.field("flag_id") == flag_id).sort_by("minute")
        found[flag_id] = _trace(rows)
    return found


def _trace(rows: pa.Table) -> Trace:
    def numbers(name: str) -> NDArray[np.float64]:
        return np.asarray(rows[name].cast(pa.float64()).to_numpy(), float)

    first: dict[str, Any] = rows.slice(0, 1).to_pylist()[0]
    wide = np.array(rows["alternatives"].to_pylist(), float)
    nothing = [0.0] * wide.shape[1]
    jointly = rows.filter(pc.field("joint_since").is_valid()).select(["joint_since", "joint_lanes"])
    joint = jointly.slice(0, 1).to_pylist()
    return Trace(
        law=LawName(first["law"]),
        minute=rows["minute"].cast(pa.int64()).to_numpy() // MINUTE_US,
        judged=np.array(rows["judged"].to_pylist(), bool),
        alternatives=wide,
        carried=(
            np.array(first["carried"] or nothing, float),
            np.array(first["carried_cusum"] or nothing, float),
        ),
        joint=Joint(np.array(joint[0]["joint_since"]), joint[0]["joint_lanes"]) if joint else None,
        **{
            name: numbers(name)
            for name in (
                "completeness", "observed", "expected", "trials", "null", "spread", "threshold",
            )
        },
    )  # fmt: skip
