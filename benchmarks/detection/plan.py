"""What is simulated: sizes, days, outages, and which seeds may be tuned on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Settings of the detectors are chosen on the first; only the others are reported.
DEVELOPMENT_SEEDS: Final = (7, 8, 9)
REPORTING_SEEDS: Final = (1023, 1024, 1025)

SIZES: Final = (2, 10, 50, 300, 2000)
# Rate of failing during the outage; share of the traffic that is gone.
FAILURES: Final = {"F5": 0.05, "F10": 0.10, "F30": 0.30, "F60": 0.60}
DROPS: Final = {"D30": 0.3, "D60": 0.6, "D100": 1.0}
OUTAGE_MINUTES: Final = 90
DAY: Final = 1440
MONTH: Final = 43_200
# Monday 2026-01-05 00:00 UTC, in minutes since 1970.
FIRST_MINUTE: Final = 29_459_520


@dataclass(frozen=True, slots=True)
class Plan:
    """Days of one run: learning, then calibrating thresholds, then one outage a day.

    Attributes:
        streams: independent streams of each size.
        tenants: tenants of each of the three kinds.
    """

    streams: int = 20
    tenants: int = 8
    learn: int = 14
    calibrate: int = 42
    test: int = 28

    @property
    def minutes(self) -> int:
        """Length of every stream."""
        return (self.learn + self.calibrate + self.test) * DAY

    @property
    def calibration(self) -> slice:
        """The clean minutes on which false alarms are counted."""
        return slice(self.learn * DAY, (self.learn + self.calibrate) * DAY)

    @property
    def test_starts(self) -> range:
        """First minute of each day that holds an outage."""
        return range((self.learn + self.calibrate) * DAY, self.minutes, DAY)


FULL: Final = Plan()
QUICK: Final = Plan(streams=8, tenants=3, learn=14, calibrate=28, test=14)
