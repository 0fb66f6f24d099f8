"""Quiet streams for the detectors, by the name each has in the table of detectors."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from detectors.registry import DETECTORS
from tests.contracts.detector_checks import DetectorCase

if TYPE_CHECKING:
    from collections.abc import Callable

    Samples = list[dict[str, Any]]

FIRST_MINUTE = 29_565_120  # 2026-03-19 00:00 UTC


def failures(rate: float, users: int) -> Callable[[int, int], Samples]:
    """Minutes in which each of some ``users`` newly fails with probability ``rate``."""

    def stream(n: int, seed: int) -> Samples:
        dice = random.Random(seed)
        return [
            {
                "t": FIRST_MINUTE + minute,
                "n": users,
                "f": sum(dice.random() < rate for _ in range(users)),
            }
            for minute in range(n)
        ]

    return stream


def counts(mean: int) -> Callable[[int, int], Samples]:
    """Minutes with counts between half of ``mean`` and half as much again."""

    def stream(n: int, seed: int) -> Samples:
        dice = random.Random(seed)
        return [
            {"t": FIRST_MINUTE + minute, "a": dice.randint(mean // 2, mean + mean // 2)}
            for minute in range(n)
        ]

    return stream


def values(mean: float) -> Callable[[int, int], Samples]:
    """Hours with values about ``mean``, every tenth of them missing."""

    def stream(n: int, seed: int) -> Samples:
        dice = random.Random(seed)
        return [
            {
                "time": 60.0 * FIRST_MINUTE + 3600.0 * hour,
                "value": dice.gauss(mean, 1.0) if dice.random() > 0.1 else math.nan,
            }
            for hour in range(n)
        ]

    return stream


def absences(n: int, seed: int) -> Samples:
    """Hours in which people of three kinds are at work, some without their client."""
    dice = random.Random(seed)
    people = {0: (8, 0.5), 1: (20, 0.3), 2: (30, 0.1)}
    return [
        {
            "t": FIRST_MINUTE + 60 * hour,
            **{f"n{band}": count for band, (count, _) in people.items()},
            **{
                f"f{band}": sum(dice.random() < rate for _ in range(count))
                for band, (count, rate) in people.items()
            },
        }
        for hour in range(n)
    ]


def ratios(n: int, seed: int) -> Samples:
    """Log-likelihood ratios of two quiet lanes."""
    dice = random.Random(seed)
    return [{lane: dice.gauss(-0.5, 1.0) for lane in ("first", "second")} for _ in range(n)]


def _case(name: str, stream: Callable[[int, int], Samples], **options: Any) -> DetectorCase:
    return DetectorCase(make=DETECTORS[name], stream=stream, **options)


_DAY, _WEEK = 1440, 7 * 1440
_HOURS_A_WEEK = 168
_FAILURES: dict[str, Any] = {"settled": _DAY + 60, "hostile_fields": ("n", "f")}

CASES: dict[str, DetectorCase] = {
    "failure_spike": _case("failure_spike", failures(0.002, 10), **_FAILURES),
    "retry_pressure": _case("retry_pressure", failures(0.002, 10), **_FAILURES),
    "new_error_code": _case("new_error_code", failures(0.0, 10), **_FAILURES),
    # Three times a week and not ten: the state is one season, and ten weeks take 15 s.
    "volume_drop": _case(
        "volume_drop", counts(8), settled=_WEEK + 60, longer=3, hostile_fields=("a",)
    ),
    "client_shift": _case(
        "client_shift",
        absences,
        settled=3 * _HOURS_A_WEEK + 10,
        hostile_fields=("n0", "n1", "n2", "f0", "f1", "f2"),
    ),
    "joint": _case("joint", ratios, settled=100, hostile_fields=("first", "second")),
    # Three weeks of hours: every hour of the week was met twice.
    "series_change": _case("series_change", values(20.0), settled=510, hostile_fields=("value",)),
}
