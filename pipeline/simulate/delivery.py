"""When each record becomes available, and which come twice.

Sign-ins: seen 1 to 7 minutes late by diagnostic settings, up to 2 h when a sign-in is
joined late. Mailbox audit: 60 to 90 minutes typical, no promise (Microsoft). Both
interfaces redeliver; the audit interface more often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.rows import Rows

MINUTE: Final = 60e6
SINGLE_TWICE: Final = 0.008
BATCH_TWICE: Final = 0.006


def deliver_signins(rows: Rows, rng: np.random.Generator) -> Rows:
    """Give sign-in rows their times of delivery and repeat a few."""
    delay = np.clip(rng.lognormal(np.log(2.6), 0.45, rows.size), 1.0, 12.0)
    late = rng.random(rows.size) < 0.003
    delay[late] = rng.uniform(12, 120, int(late.sum()))
    return _delivered(rows, delay, 30, rng)


def deliver_audit(rows: Rows, rng: np.random.Generator) -> Rows:
    """Give audit rows their times of delivery and repeat a few."""
    delay = np.clip(rng.normal(75, 8, rows.size), 50, 100)
    late = rng.random(rows.size) < 0.01
    delay[late] = rng.uniform(100, 300, int(late.sum()))
    return _delivered(rows, delay, 90, rng)


def _delivered(
    rows: Rows, minutes: NDArray[np.float64], again: float, rng: np.random.Generator
) -> Rows:
    rows["avail"] = rows["t"] + (minutes * MINUTE).astype(np.int64)
    twice = rows[rng.random(rows.size) < SINGLE_TWICE].copy()
    twice["avail"] += (rng.uniform(1, again, twice.size) * MINUTE).astype(np.int64)
    return np.concatenate([rows, twice])
