"""The minutes that decided a flag: what was seen, and the law it was held against."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa


class LawName(StrEnum):
    """Which formula of ``detectors.likelihood`` the likelihood ratios come from."""

    BETA_BINOMIAL = "beta_binomial"
    NEGATIVE_BINOMIAL = "negative_binomial"


# One minute of one flag. ``observed`` counts users (or accesses), ``trials`` the users who
# could have (null where nothing is tried); ``null`` and ``alternatives`` are rates of
# ``trials``, or mean counts; ``spread`` is the correlation rho or the variance over mean phi.
# ``carried`` and ``carried_cusum`` hold R and W of each alternative before the minute: up to
# the alarm, at the full hours and where the minutes begin.
TRACE_SCHEMA: Final = pa.schema(
    [
        pa.field("flag_id", pa.string(), nullable=False),
        pa.field("minute", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("law", pa.string(), nullable=False),
        pa.field("judged", pa.bool_(), nullable=False),
        pa.field("completeness", pa.float32(), nullable=False),
        pa.field("observed", pa.float64(), nullable=False),
        pa.field("expected", pa.float64(), nullable=False),
        pa.field("trials", pa.float64()),
        pa.field("null", pa.float64(), nullable=False),
        pa.field("alternatives", pa.list_(pa.float64()), nullable=False),
        pa.field("spread", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("carried", pa.list_(pa.float64())),
        pa.field("carried_cusum", pa.list_(pa.float64())),
    ]
)
