"""How work is spread over the day, the week and the level's slow drift."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.model.clock import to_us
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.spec import SimulationSpec

HOUR_US: Final = 3_600_000_000
STEP_US: Final = 600_000_000  # the drift is drawn every 10 minutes

# Relative use by local hour for somebody at work 8:30 to 17:30, Monday to Thursday.
_HOURS: Final = (0, 5, 6.5, 8, 8.7, 9.5, 11.5, 12.2, 12.9, 13.7, 15, 16.5, 17.5, 19, 21, 24)
_DESK: Final = (0, 0, 0.03, 0.35, 0.95, 1.1, 1.05, 0.55, 0.5, 0.95, 1, 0.9, 0.4, 0.08, 0.04, 0.01)
_FRIDAY: Final = (0, 0, 0.03, 0.4, 1, 1.1, 1, 0.55, 0.5, 0.85, 0.6, 0.3, 0.12, 0.05, 0.03, 0.01)
_MOBILE: Final = (0.05, 0.05, 0.5, 0.95, 0.9, 0.8, 0.8, 0.9, 0.8, 0.75, 0.8, 0.9, 1, 0.8, 0.6, 0.1)
_REST: Final = (0.03, 0.02, 0.15, 0.4, 0.6, 0.9, 1, 0.9, 0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 0.8, 0.1)
_FLAT: Final = (1.0,) * len(_HOURS)

# Monday to Sunday.
_WEEK: Final = {
    "desk": (1.02, 1.04, 1.0, 1.0, 0.85, 0.05, 0.05),
    "mobile": (1.0, 1.02, 1.0, 1.0, 0.95, 0.38, 0.36),
    "bot": (1.0,) * 7,
}

DRIFT_SD: Final = 0.1
DRIFT_MINUTES: Final = 90.0
# Sessions are drawn this much too often and thinned by the drift, exp(3 sd) at most.
HEADROOM: Final = float(np.exp(3 * DRIFT_SD))


def week_factor(rhythm: str, day: date) -> float:
    """Activity of a day relative to a Wednesday."""
    return _WEEK[rhythm][day.weekday()]


def draw_hours(rng: np.random.Generator, rhythm: str, day: date, size: int) -> NDArray[np.float64]:
    """Draw local hours (0 to 24) of use for a standard worker on ``day``."""
    if rhythm == "bot":
        weights = _FLAT
    elif day.weekday() >= 5:
        weights = _REST
    elif rhythm == "mobile":
        weights = _MOBILE
    else:
        weights = _FRIDAY if day.weekday() == 4 else _DESK
    grid = np.linspace(0, 24, 289)
    density = np.interp(grid, _HOURS, weights)
    rising = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.random(size), rising / rising[-1], grid)


def local_to_us(day: date, zone: str, hours: NDArray[np.float64]) -> NDArray[np.int64]:
    """Microseconds UTC of local wall-clock ``hours`` of ``day``, clock changes included."""
    place = ZoneInfo(zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=place)
    starts = [to_us(midnight + timedelta(hours=h)) for h in range(24)]
    whole = np.clip(hours.astype(np.int64), 0, 23)
    return np.array(starts, np.int64)[whole] + ((hours - whole) * HOUR_US).astype(np.int64)


class Drift:
    """The slow level noise: log-AR, sd 0.1, forgetting in 90 minutes.

    Half of its variance is common to the tenant, half belongs to one client.
    """

    def __init__(self, spec: SimulationSpec, clients: int) -> None:
        self._origin = to_us(spec.begin) - 48 * HOUR_US
        steps = (to_us(spec.end) + 72 * HOUR_US - self._origin) // STEP_US
        rng = stream(spec.seed, "drift")
        keep = float(np.exp(-STEP_US / 60e6 / DRIFT_MINUTES))
        kicks = rng.normal(0, np.sqrt(1 - keep**2), (steps, clients + 1))
        level = np.empty_like(kicks)
        now = rng.normal(0, 1, clients + 1)
        for i in range(steps):
            now = keep * now + kicks[i]
            level[i] = now
        self._log = DRIFT_SD * (level[:, 1:] + level[:, :1]) / np.sqrt(2)

    def keep_probability(
        self, t: NDArray[np.int64], client: NDArray[np.int8]
    ) -> NDArray[np.float64]:
        """Probability that a session drawn with HEADROOM is kept."""
        at = np.clip((t - self._origin) // STEP_US, 0, len(self._log) - 1)
        kept: NDArray[np.float64] = np.minimum(np.exp(self._log[at, client]) / HEADROOM, 1.0)
        return kept
