"""Synthetic streams of counts by minute, with outages whose size and time are known.

Attempts and accesses are negative binomial with twice the variance of their mean. The mean
follows the hour (nights 8 %, weekends 20-25 % of the peak, a short Friday, the time zone of
the stream) times a slow log-autoregressive level (sd 0.10, 90 min). Attempts fail at 1 %
times a daily swing times a log-autoregressive drift (sd 0.15, 240 min), beta-binomial with
an intra-class correlation of 0.003.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.detection.plan import DAY, DROPS, FAILURES, OUTAGE_MINUTES, SIZES, Plan

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DISPERSION: Final = 2.0
RHO: Final = 0.003
LEVEL_SD, LEVEL_MINUTES = 0.10, 90.0
DRIFT_SD, DRIFT_MINUTES = 0.15, 240.0
USUAL_RATE: Final = 0.01
ZONES: Final = (-8, -5, -5, 0, 0, 1, 1, 1, 2, 8)


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage of one stream, ``OUTAGE_MINUTES`` long from minute ``start``."""

    lane: int
    start: int
    kind: str


@dataclass(frozen=True, slots=True)
class Streams:
    """Counts and hidden truth, arrays of shape (lanes, minutes) unless said otherwise.

    Attributes:
        plan: what days there are.
        size: events a minute at the peak, shape (lanes,).
        tenant: number of the tenant of each lane, shape (lanes,).
        attempts, failing: what burn rates see; a storm is in them with every attempt.
        users, failing_users: the same with each storm counted as one newly failing user.
        accesses: what drops are looked for in.
        rate: true rate of failing without an outage.
        mean: true mean of the accesses without an outage.
        outages: in order of lanes and time.
    """

    plan: Plan
    size: NDArray[np.int64]
    tenant: NDArray[np.int64]
    attempts: Floats
    failing: Floats
    users: Floats
    failing_users: Floats
    accesses: Floats
    rate: Floats
    mean: Floats
    outages: tuple[Outage, ...]


def plain(plan: Plan, seed: int, *, storms: bool = False) -> Streams:
    """Independent streams, ``plan.streams`` of each size.

    With ``storms`` a single device fails 3 to 39 times a minute for 5 to 30 minutes once a
    day in every stream; the rest is the same to the last count.
    """
    dice = np.random.default_rng(seed)
    size = np.repeat(SIZES, plan.streams)
    shape = np.stack([day_shape(plan.minutes, dice) for _ in size])
    level = slow_level(len(size), plan.minutes, LEVEL_SD, LEVEL_MINUTES, dice)
    mean = size[:, None] * shape * level
    kinds = (*FAILURES, *DROPS)
    outages = tuple(
        Outage(lane, start + int(dice.integers(DAY - OUTAGE_MINUTES)), kinds[(lane + day) % 7])
        for lane in range(len(size))
        for day, start in enumerate(plan.test_starts)
    )
    swing = daily_swing(len(size), plan.minutes, dice)
    drift = slow_level(len(size), plan.minutes, DRIFT_SD, DRIFT_MINUTES, dice)
    rate = USUAL_RATE * swing * drift
    left = remaining(mean.shape, outages)
    attempts = negative_binomial(mean * left, dice)
    failing = beta_binomial(attempts, raised(rate, outages), dice)
    accesses = negative_binomial(mean * left, dice)
    all_attempts, all_failing, users_failing = attempts, failing, failing
    if storms:
        burst, first = storm(len(size), plan, np.random.default_rng([seed, 1]))
        all_attempts, all_failing = attempts + burst, failing + burst
        users_failing = failing + first
    return Streams(
        plan=plan,
        size=size,
        tenant=np.arange(len(size)),
        attempts=all_attempts,
        failing=all_failing,
        users=np.maximum(attempts, users_failing),
        failing_users=users_failing,
        accesses=accesses,
        rate=rate,
        mean=mean,
        outages=outages,
    )


def day_shape(minutes: int, dice: Generator) -> Floats:
    """Share of the peak by minute, of one stream or tenant in a time zone of its own."""
    zone = float(dice.choice(ZONES))
    begin, end = 8.0 + dice.normal(0.0, 0.4), 17.5 + dice.normal(0.0, 0.5)
    weekend, friday = dice.uniform(0.13, 0.185), dice.uniform(0.15, 0.35)
    local = np.arange(minutes) / 60.0 + zone
    hour, weekday = local % 24.0, np.floor(local / 24.0).astype(int) % 7
    busy = _step(hour - begin, 0.5) * _step(end - hour, 0.8)
    busy *= 1.0 - 0.2 * np.exp(-(((hour - 12.5) / 0.7) ** 2))
    busy *= np.where(weekday == 4, 1.0 - friday * _step(hour - 13.0, 0.5), 1.0)
    busy *= np.where(weekday >= 5, weekend, 1.0)
    return np.asarray(0.08 + 0.92 * busy / busy.max())


def _step(x: Floats, width: float) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x / width)))


def daily_swing(lanes: int, minutes: int, dice: Generator) -> Floats:
    """Factor of the rate of failing by hour of day: 30 % up and down."""
    phase = dice.uniform(0.0, 24.0, (lanes, 1))
    return np.asarray(1.0 + 0.3 * np.cos(2.0 * np.pi * (np.arange(minutes) / 60.0 - phase) / 24.0))


def slow_level(lanes: int, minutes: int, sd: float, memory: float, dice: Generator) -> Floats:
    """Exponential of a stationary first-order autoregression, forgetting over ``memory``."""
    from scipy.signal import lfilter  # noqa: PLC0415 # 2 s of import, in each process that tests

    keep = np.exp(-1.0 / memory)
    shocks = dice.normal(0.0, sd * np.sqrt(1.0 - keep**2), (lanes, minutes))
    shocks[:, 0] = dice.normal(0.0, sd, lanes)
    return np.asarray(np.exp(lfilter([1.0], [1.0, -keep], shocks, axis=1)))


def negative_binomial(mean: Floats, dice: Generator) -> Floats:
    """Counts with variance ``DISPERSION`` times their mean."""
    spread = DISPERSION - 1.0
    return dice.poisson(spread * dice.standard_gamma(mean / spread)).astype(float)


def beta_binomial(trials: Floats, rate: Floats, dice: Generator) -> Floats:
    """Successes with intra-class correlation ``RHO``."""
    weight = 1.0 / RHO - 1.0
    chance = dice.beta(rate * weight, (1.0 - rate) * weight)
    return dice.binomial(trials.astype(np.int64), chance).astype(float)


def remaining(shape: tuple[int, ...], outages: tuple[Outage, ...]) -> Floats:
    """Share of the traffic that is left, shape (lanes, minutes)."""
    left = np.ones(shape)
    for outage in outages:
        if outage.kind in DROPS:
            span = slice(outage.start, outage.start + OUTAGE_MINUTES)
            left[outage.lane, span] = 1.0 - DROPS[outage.kind]
    return left


def raised(rate: Floats, outages: tuple[Outage, ...]) -> Floats:
    """Rate of failing with the outages in it."""
    rate = rate.copy()
    for outage in outages:
        if outage.kind in FAILURES:
            span = slice(outage.start, outage.start + OUTAGE_MINUTES)
            rate[outage.lane, span] = FAILURES[outage.kind]
    return rate


def storm(lanes: int, plan: Plan, dice: Generator) -> tuple[Floats, Floats]:
    """Failing attempts of one device a day, and the one user behind them when it begins."""
    burst, first = np.zeros((lanes, plan.minutes)), np.zeros((lanes, plan.minutes))
    for lane in range(lanes):
        for day in range(0, plan.minutes, DAY):
            length = int(dice.integers(5, 31))
            start = day + int(dice.integers(DAY - length))
            burst[lane, start : start + length] = dice.integers(3, 40)
            first[lane, start] = 1.0
    return burst, first
