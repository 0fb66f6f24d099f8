"""Tenants of six clients whose levels move together: the streams of the drop signal.

Every client follows the day of its tenant times a level of which most is the tenant's own
(sd 0.10, 90 min, shared) and some the client's (sd 0.05, 90 min). On a holiday in the third
and the seventh week, and every other fourth week after, the whole tenant does a fifth. Two
outages a day and tenant, each of one client, twelve hours apart in the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.detection.plan import DAY, DROPS, OUTAGE_MINUTES, Plan
from benchmarks.detection.streams import (
    LEVEL_MINUTES,
    LEVEL_SD,
    Outage,
    Streams,
    day_shape,
    negative_binomial,
    remaining,
    slow_level,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

# Small, middling and large: peaks of the six clients, in accesses a minute.
KINDS: Final = (
    (2, 2, 10, 10, 10, 50),
    (2, 10, 50, 50, 50, 300),
    (10, 50, 300, 300, 300, 2000),
)
OWN_SD: Final = 0.05
_HALF_DAY: Final = DAY // 2
_HOLIDAY: Final = 0.2


def tenants(plan: Plan, seed: int) -> Streams:
    """``plan.tenants`` tenants of each kind; there are no failures in them."""
    dice = np.random.default_rng([seed, 2])
    clients = len(KINDS[0])
    size = np.array([s for kind in KINDS for _ in range(plan.tenants) for s in kind])
    number = np.arange(len(size)) // clients
    means = []
    for _ in range(len(size) // clients):
        shape = day_shape(plan.minutes, dice)
        quiet = shape.min()
        shape = quiet + (shape - quiet) * holidays(plan, shape, dice)
        shared = slow_level(1, plan.minutes, LEVEL_SD, LEVEL_MINUTES, dice)
        own = slow_level(clients, plan.minutes, OWN_SD, LEVEL_MINUTES, dice)
        means.append(shape * shared * own)
    mean = size[:, None] * np.concatenate(means)
    outages = _outages(plan, len(size), clients, dice)
    accesses = negative_binomial(mean * remaining(mean.shape, outages), dice)
    nothing = np.zeros((len(size), 0))
    return Streams(
        plan=plan,
        size=size,
        tenant=number,
        attempts=nothing,
        failing=nothing,
        users=nothing,
        failing_users=nothing,
        accesses=accesses,
        rate=nothing,
        mean=mean,
        outages=outages,
    )


def holidays(plan: Plan, shape: NDArray[np.float64], dice: Generator) -> NDArray[np.float64]:
    """A fifth of the traffic on one working day of every fourth week, from the third on.

    From night to night where the people live: nobody leaves at midnight UTC.
    """
    night = int(np.argmin(shape[DAY : 2 * DAY]))
    factor = np.ones(plan.minutes)
    for week in range(2, plan.minutes // (7 * DAY), 4):
        day = (week * 7 + int(dice.integers(5))) * DAY + night
        factor[day : day + DAY] = _HOLIDAY
    return factor


def _outages(plan: Plan, lanes: int, clients: int, dice: Generator) -> tuple[Outage, ...]:
    kinds = tuple(DROPS)
    found = []
    for first in range(0, lanes, clients):
        # Every client meets every kind as often as any other, in an order by chance.
        turns = dice.permutation(clients * len(kinds))
        for number, half in enumerate(
            start + part for start in plan.test_starts for part in (0, _HALF_DAY)
        ):
            turn = int(turns[number % len(turns)])
            start = half + int(dice.integers(_HALF_DAY - OUTAGE_MINUTES))
            found.append(Outage(first + turn % clients, start, kinds[turn // clients]))
    return tuple(found)
