"""The evidence of an incident for a program: every minute at full precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.model.clock import rfc3339
from pipeline.model.documents import to_json
from pipeline.model.window import moment
from pipeline.report.explain_words import FORMULAS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.report.explain import Explanation


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Everything at full precision: parameters, ratios and statistics of every minute."""
    trace = explanation.trace
    names = ["minute", "judged", "completeness", "observed", "expected", "trials", "null"]
    names += ["spread", "threshold"]
    columns = {name: getattr(trace, name) for name in names}
    columns |= {
        "low": explanation.low,
        "high": explanation.high,
        "alternatives": trace.alternatives,
        "llr": explanation.llr,
        "r": explanation.r,
        "score": explanation.score,
        "recovery": explanation.recovery,
    }
    lists = {name: _plain(values) for name, values in columns.items()}
    minutes = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    for row in minutes:
        row["minute"] = rfc3339(moment(row["minute"]))
    joint = trace.joint
    return {
        "joint": joint and {"since": _plain(joint.since), "lanes": joint.lanes},
        "flag": to_json(explanation.flag),
        "law": str(trace.law),
        "formula": FORMULAS[trace.law],
        "winner": explanation.winner,
        "carried": [_plain(values) for values in trace.carried],
        "minutes": minutes,
    }


def _plain(values: NDArray[Any]) -> list[Any]:
    """Nested lists; NaN, which JSON has no word for, is null."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    known = values.astype(object)
    known[np.isnan(values)] = None
    return list(known.tolist())
