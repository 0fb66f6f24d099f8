"""When records arrived: as they tell, else as late as their source usually is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping


def arrival(
    table: pa.Table, delays: Mapping[str, float], scatter: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Microseconds since 1970 at which each record arrived.

    Args:
        table: of EVENT_SCHEMA.
        delays: by source, declared delay in seconds.
        scatter: 0 gives each record its source's declared delay; any other number is the
            seed of delays drawn evenly from nothing to that.
    """
    time = np.asarray(table.column("event_time").cast(pa.int64()).to_numpy(), np.int64)
    received = table.column("received_time").cast(pa.int64()).fill_null(-1).to_numpy()
    source = table.column("source").unify_dictionaries().combine_chunks()
    if isinstance(source, pa.ChunkedArray):
        return time
    delay = np.array([delays.get(s, 0.0) for s in source.dictionary.to_pylist()] or [0.0])
    late = delay[source.indices.to_numpy()] * 1e6
    if scatter:
        # By the record's own id, so that every run gives it the same delay.
        ids = b"".join(table.column("event_id").to_pylist())
        words = np.frombuffer(ids, np.uint64).reshape(-1, 2)[:, 0]
        mixed = (words ^ np.uint64(scatter)) * np.uint64(0x9E3779B97F4A7C15)
        late = late * ((mixed >> np.uint64(11)).astype(np.float64) / 2.0**53)
    arrived: np.ndarray[Any, np.dtype[np.int64]] = np.where(
        received >= 0, received, time + late.astype(np.int64)
    )
    return arrived
