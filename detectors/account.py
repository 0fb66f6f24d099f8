"""How a joint score is made up, kept so that a sceptic can redo the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.flags import Lane
    from detectors.joint import Membership, Standing


@dataclass(frozen=True, slots=True)
class Account(Frozen):
    """The terms of one joint score.

    Attributes:
        since: log of E_s, the latest start first; the score is ln(60 * sum of exp).
        lanes: the judged lanes, as the members of ``joint_lanes`` in TRACE_SCHEMA; ``gained``
            is since the likeliest start.
    """

    since: tuple[float, ...]
    lanes: tuple[dict[str, Any], ...]


def account_of(standing: Standing, members: Membership, lanes: Sequence[Lane]) -> Account:
    """The account of a standing; ``lanes`` in the order of its rows."""
    line_of = {unit: at for at, line in enumerate(members.lines) for unit in line}
    rows = []
    for at in np.flatnonzero(members.weights.sum(axis=1) > 0.0).tolist():
        lane, unit = lanes[at], int(np.argmax(members.weights[at]))
        rows.append(
            {
                "source": str(lane.cell.source),
                "service": str(lane.cell.service),
                "client": str(lane.cell.client),
                "signal": str(lane.signal),
                "family": None if lane.family is None else str(lane.family),
                "error_code": lane.code,
                "unit": unit,
                "line": line_of[unit],
                "weight": float(members.weights[at, unit]),
                "gained": standing.gained[at].tolist(),
            }
        )
    return Account(tuple(standing.since.tolist()), tuple(rows))
