"""Newly failing users by error code: a code that rises from nothing is a signal of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.window.columns import NO_CODE
from pipeline.window.users import FAMILY_OF, user_hour

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.window.columns import Columns


@dataclass(slots=True)
class CodesSeen:
    """Keys (cell, code, user, user's hour) already counted in hours still open."""

    keys: set[tuple[int, int, int, int]] = field(default_factory=set)


def count_codes(
    events: Columns,
    cell: NDArray[np.int64],
    seen: CodesSeen,
    start_minute: int,
    minutes: int,
) -> dict[tuple[int, int], NDArray[np.int32]]:
    """Users who newly meet a failure code, by (cell index, code), arrays of shape (minutes,).

    Failures are a few per cent of the records, so a plain loop over them is cheap; in an
    outage a user counts once an hour and code, which bounds it again.
    """
    rows = np.flatnonzero(
        (cell >= 0)
        & events.has_user
        & (FAMILY_OF[events.outcome] >= 0)
        & (events.error_code != NO_CODE)
    )
    counts: dict[tuple[int, int], NDArray[np.int32]] = {}
    minute = events.time[rows] // 60_000_000
    hours = user_hour(events.user[rows], minute)
    known = seen.keys
    for at, code, user, hour, when in zip(
        cell[rows].tolist(),
        events.error_code[rows].tolist(),
        events.user[rows].tolist(),
        hours.tolist(),
        (minute - start_minute).tolist(),
        strict=True,
    ):
        key = (at, code, user, hour)
        if key in known:
            continue
        known.add(key)
        if (at, code) not in counts:
            counts[at, code] = np.zeros(minutes, np.int32)
        counts[at, code][when] += 1
    end = start_minute + minutes
    seen.keys = {k for k in known if (end + k[2] % 60) // 60 == k[3]}
    return counts
