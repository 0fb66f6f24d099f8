"""Thresholds as budgets of false pages, not magic numbers."""

from __future__ import annotations

import math

MINUTES_A_MONTH = 43_200
# A quarter of the false pages for what all lanes say together: single lanes pay 0.3 nats
# for it, the joint evidence 1.4.
JOINT_SHARE = 0.25


def threshold(false_pages_a_month: float, lanes: int) -> float:
    """Score at which a lane may raise, so that all lanes keep the budget together.

    A Shiryaev-Roberts statistic that alarms at R >= A does so by mistake at most every A
    minutes on average; ``lanes`` of them share the budget evenly.

    >>> round(threshold(1.0, 1), 2)
    10.67
    >>> round(threshold(1.0, 100), 2)
    15.28
    """
    return math.log(MINUTES_A_MONTH * max(lanes, 1) / false_pages_a_month)
