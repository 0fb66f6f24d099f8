"""What is usual: thresholds on rates and volumes, with and without a season.

Each takes arrays of shape (lanes, minutes) and gives a score of the same shape that is
high when something is amiss. Five-minute windows throughout; rates lean to 0 by 20
attempts, so that one failure in an empty minute is not a rate of 100 %: of 0, 1, 2, 5, 10
and 20, this serves every one of them best on the seeds for development.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.detection.plan import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SHORT: Final = 5
_LEAN: Final = 20.0
# Days of the same kind (working day, weekend) whose median is the season, and its grid.
_SEASON_DAYS: Final = 5
_SLOT: Final = 30


def trailing(values: Floats, minutes: int) -> Floats:
    """Sums over the last ``minutes`` minutes, this one included."""
    total = np.cumsum(values, axis=1)
    out = total.copy()
    out[:, minutes:] -= total[:, :-minutes]
    return out


def rate(failing: Floats, attempts: Floats, minutes: int = _SHORT) -> Floats:
    """Share of attempts that failed in the last minutes."""
    return np.asarray(trailing(failing, minutes) / (trailing(attempts, minutes) + _LEAN))


def static_rate(failing: Floats, attempts: Floats) -> Floats:
    """The rate of the last five minutes."""
    return rate(failing, attempts)


def burn_rate(failing: Floats, attempts: Floats) -> Floats:
    """The lesser of the rates of the last hour and the last five minutes (SRE workbook)."""
    return np.minimum(rate(failing, attempts, 60), rate(failing, attempts, _SHORT))


def z_score_rate(failing: Floats, attempts: Floats) -> Floats:
    """Distance of the five-minute rate from its mean of 24 hours, in standard deviations."""
    return _z_score(rate(failing, attempts))


def seasonal_rate(failing: Floats, attempts: Floats) -> Floats:
    """Five-minute rate less its season."""
    value = rate(failing, attempts)
    return value - season(value)


def static_volume(accesses: Floats) -> Floats:
    """How little was seen in the last five minutes."""
    return -trailing(accesses, _SHORT)


def z_score_volume(accesses: Floats) -> Floats:
    """How far the volume lies below its mean of 24 hours, in standard deviations."""
    return -_z_score(trailing(accesses, _SHORT))


def week_over_week(accesses: Floats) -> Floats:
    """Log of the same five minutes a week ago over these."""
    volume = trailing(accesses, _SHORT) + 1.0
    ago = np.roll(volume, 7 * DAY, axis=1)
    ago[:, : 7 * DAY] = volume[:, : 7 * DAY]
    return np.asarray(np.log(ago / volume))


def seasonal_volume(accesses: Floats) -> Floats:
    """Season of the square root of the volume, less the square root."""
    root = np.sqrt(trailing(accesses, _SHORT))
    return season(root) - root


def _z_score(value: Floats) -> Floats:
    before = np.roll(value, _SHORT, axis=1)
    before[:, :_SHORT] = value[:, :1]
    mean = trailing(before, DAY) / DAY
    square = trailing(before**2, DAY) / DAY
    sd = np.sqrt(np.maximum(square - mean**2, 1e-6))
    return np.asarray((value - mean) / sd)


def season(value: Floats) -> Floats:
    """Median over the last days of the same kind, by half-hour of the day, in UTC."""
    lanes, minutes = value.shape
    days = minutes // DAY
    slots = value.reshape(lanes, days, DAY // _SLOT, _SLOT).mean(axis=3)
    usual = np.zeros_like(slots)
    weekend = np.arange(days) % 7 >= 5
    for day in range(days):
        kin = np.flatnonzero(weekend[:day] == weekend[day])[-_SEASON_DAYS:]
        usual[:, day] = np.median(slots[:, kin], axis=1) if len(kin) else slots[:, day]
    return np.repeat(usual.reshape(lanes, -1), _SLOT, axis=1)


ON_FAILURES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "static 5-min rate": static_rate,
    "burn rate 1h & 5m": burn_rate,
    "z-score 24h": z_score_rate,
    "seasonal residual": seasonal_rate,
}
ON_DROPS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "static 5-min volume": static_volume,
    "z-score 24h": z_score_volume,
    "week over week": week_over_week,
    "seasonal residual": seasonal_volume,
}
