"""The minutes that decided a flag: what was seen, and the law it was held against."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa


class LawName(StrEnum):
    """Which formula of ``detectors.likelihood`` the likelihood ratios come from."""

    BETA_BINOMIAL = "beta_binomial"
    NEGATIVE_BINOMIAL = "negative_binomial"


# A lane's part of a joint score: lanes of one unit tell of the same people, units of one line
# are one product; ``gained`` are its ratios, mildest alternative first.
_JOINT_LANE: Final = pa.struct(
    [
        pa.field("source", pa.string()),
        pa.field("service", pa.string()),
        pa.field("client", pa.string()),
        pa.field("signal", pa.string()),
        pa.field("family", pa.string()),
        pa.field("error_code", pa.int64()),
        pa.field("unit", pa.int64()),
        pa.field("line", pa.int64()),
        pa.field("weight", pa.float64()),
        pa.field("gained", pa.list_(pa.float64())),
    ]
)

# One minute of one flag. ``observed`` counts users (or accesses), ``trials`` the users who
# could have (null where nothing is tried); ``null`` and ``alternatives`` are rates of
# ``trials``, or mean counts; ``spread`` is the correlation rho or the variance over mean phi.
# ``carried`` and ``carried_cusum`` hold R and W of each alternative before the minute: up to
# the alarm, at the full hours and where the minutes begin. ``joint_since`` and ``joint_lanes``
# stand in one minute of a flag that was opened jointly: how its score is made up.
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
        pa.field("joint_since", pa.list_(pa.float64())),
        pa.field("joint_lanes", pa.list_(_JOINT_LANE)),
    ]
)
