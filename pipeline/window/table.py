"""A block of windows as an Arrow table, for Parquet and for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.model.clock import MINUTE_US, to_us
from pipeline.model.window import COUNT_COLUMNS, WINDOW_SCHEMA, WindowBlock

if TYPE_CHECKING:
    from collections.abc import Sequence


def _repeated(values: Sequence[str], times: int) -> pa.DictionaryArray:
    ranked = sorted(set(values))
    codes = np.repeat(np.array([ranked.index(v) for v in values], np.int32), times)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(ranked, pa.string()))


def to_table(block: WindowBlock) -> pa.Table:
    """Every cell and minute of the block, the quiet ones too, as a table of WINDOW_SCHEMA."""
    cells = block.cells
    if not cells:
        return WINDOW_SCHEMA.empty_table()
    first = to_us(block.start)
    minute = first + np.arange(block.minutes, dtype=np.int64) * MINUTE_US
    complete = np.concatenate([block.completeness[c.tenant, c.source] for c in cells])
    return pa.table(
        [
            pa.array(np.tile(minute, len(cells)), pa.timestamp("us", tz="UTC")),
            _repeated([c.tenant for c in cells], block.minutes),
            _repeated([str(c.source) for c in cells], block.minutes),
            _repeated([str(c.service) for c in cells], block.minutes),
            _repeated([str(c.client) for c in cells], block.minutes),
            *(pa.array(block.counts[name].reshape(-1)) for name in COUNT_COLUMNS),
            pa.array(complete, pa.float32()),
            pa.array(np.ones(len(cells) * block.minutes, np.int32)),
        ],
        schema=WINDOW_SCHEMA,
    )
