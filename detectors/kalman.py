"""The recursion of ``detectors.level``, lane by lane and minute by minute, compiled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.recursion import LEAST
from pipeline.compiled import compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# Silence is no level; and one that has risen, by a few people in a burst or by users driven
# here, may fall back at once without being a drop.
LOWEST: Final = 0.02
HIGHEST: Final = 1.15
HIGHEST_COMMON: Final = 1.3
# Odds and ratios beyond e^30 are as good as certain.
CERTAIN: Final = 30.0
# The level of the siblings: standard deviation 0.08, forgotten over 120 minutes.
COMMON_KEEP: Final = float(np.exp(-1.0 / 120.0))
COMMON_WANDER: Final = 0.08**2 * 2.0 / 120.0
# A holiday is not forgotten: the pull back to 1 fades where the level is further away.
REACH: Final = 0.2
OTHERS_PHI: Final = 2.0
# All people of a tenant may come so many hours sooner or later: on a holiday, or when the
# clocks change.
LATE: Final = 0.5
# By night siblings are asleep and cannot tell that a holiday has begun: below a fifth of
# their busiest hour of late the level may move by a third in six hours, unseen.
ASLEEP: Final = 0.2
NIGHT_WANDER: Final = 0.35**2 / 360.0
BUSIEST_FADE: Final = float(np.exp(-1.0 / 4320.0))
# Surprise of the siblings: innovations summed over as many minutes as hold 40 users, 10 to
# 120, scaled to variance 1. Beyond 2 standard deviations the level is let run.
TELLING: Final = 40.0
SHORTEST: Final = 10.0
LONGEST: Final = 120.0
RUN: Final = 4.0
HASTE: Final = 6.0
# By night, siblings that miss as many users as this leave open who it is that is missing.
AMISS: Final = -2.0
# On special days clients differ: by so much of the logarithm of the common level, in half
# an hour.
APART: Final = 0.3
HALF_HOUR: Final = 30.0
HOUR: Final = 60.0

_compiled: Final = compiler([Path(__file__)])


@_compiled
def _ask_siblings(
    seen: float,
    usual: float,
    busiest: float,
    keep: float,
    slope: float,
    state: tuple[float, float, float, float, float],
) -> tuple[float, float, float, float, float, float]:
    """Common, surprise, p_common, p_both, p_level, and the factor of the lane's own level."""
    common, surprise, p_common, p_both, p_level = state
    if usual <= 0.0:
        return 1.0, 0.0, 0.0, 0.0, p_level, 1.0
    away = 1.0 - common
    common += (1.0 - COMMON_KEEP) * away * np.exp(-((away / REACH) ** 2))
    p_common = COMMON_KEEP**2 * p_common
    p_common += COMMON_WANDER * (1.0 + HASTE * max(surprise**2 - RUN, 0.0))
    p_common += (LATE * slope) ** 2 / HOUR
    p_common += NIGHT_WANDER * max(1.0 - usual / (ASLEEP * busiest), 0.0)
    p_both *= COMMON_KEEP * keep
    p_level += (APART * away / (common + 0.1)) ** 2 / HALF_HOUR
    expected = usual * common
    error = seen / expected - 1.0
    total = p_common + OTHERS_PHI / expected
    gain, side = p_common / total, p_both / total
    fade = np.exp(-1.0 / min(max(TELLING / expected, SHORTEST), LONGEST))
    surprise = fade * surprise + np.sqrt(1.0 - fade**2) * error / np.sqrt(total)
    common = min(max(common * (1.0 + gain * error), LOWEST), HIGHEST_COMMON)
    p_level -= side * p_both
    p_both *= 1.0 - gain
    p_common *= 1.0 - gain
    return common, surprise, p_common, p_both, p_level, max(1.0 + side * error, 0.5)


@_compiled
def follow(
    counts_of: tuple[Floats, Floats, Floats, Floats],
    judged: Bools,
    spreads_of: tuple[Floats, Floats, Floats, Floats],
    remains: Floats,
    r: Floats,
    state: tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats],
    others: Floats,
    held: Bools,
    told: tuple[Floats, Floats, Floats],
    told_wide: tuple[Floats, Floats],
) -> None:
    """Take consecutive minutes in; ``r``, ``state``, ``others`` and what is told are written.

    Args:
        counts_of: usual counts, counts, those of the siblings, usual ones of the siblings,
            shape (lanes, minutes).
        judged: which minutes count, same shape.
        spreads_of: phi, spread, wander and slope, shape (lanes,).
        remains: share that remains under each alternative.
        r: Shiryaev-Roberts statistics, shape (lanes, alternatives).
        state: busiest, common, surprise, level, p_common, p_both and p_level, shape (lanes,).
        others: levels of the alternatives, shape (lanes, alternatives).
        held: lanes whose level is not followed, shape (lanes,).
        told: null, spread and common, shape (lanes, minutes).
        told_wide: alternatives and ratios, shape (lanes, alternatives, minutes).
    """
    usual, counts, siblings, siblings_usual = counts_of
    busiests, commons, surprises, levels, ps_common, ps_both, ps_level = state
    for lane in range(usual.shape[0]):
        phi, wander = spreads_of[0][lane], spreads_of[2][lane]
        keep2 = min(max(1.0 - wander / spreads_of[1][lane], 0.0), 1.0)
        keep = np.sqrt(keep2)
        common, surprise, level = commons[lane], surprises[lane], levels[lane]
        p_common, p_both, p_level = ps_common[lane], ps_both[lane], ps_level[lane]
        busiest = busiests[lane]
        for at in range(usual.shape[1]):
            busiest = max(busiest * BUSIEST_FADE, siblings_usual[lane, at])
            common, surprise, p_common, p_both, p_level, step = _ask_siblings(
                siblings[lane, at],
                siblings_usual[lane, at],
                busiest,
                keep,
                spreads_of[3][lane],
                (common, surprise, p_common, p_both, keep2 * p_level + wander),
            )
            level = (keep * level + 1.0 - keep) * step
            mean, count = max(usual[lane, at], 1e-9) * common, counts[lane, at]
            variance, shared = p_common + 2.0 * p_both + p_level, p_both + p_level
            null = mean * level
            extra = phi - 1.0 + null * variance
            told[0][lane, at], told[1][lane, at], told[2][lane, at] = null, 1.0 + extra, common
            seen = judged[lane, at]
            follows = seen and not held[lane]
            sibling = siblings_usual[lane, at]
            tells = seen and not (0.0 < sibling < ASLEEP * busiest and surprise < AMISS)
            for j in range(len(remains)):
                odds = r[lane, j]
                other = (keep * others[lane, j] + 1.0 - keep) * step
                other = level + (other - level) * odds / (1.0 + odds)
                mean_j = mean * other * remains[j]
                shrink = np.log((null / extra + null) / (null / extra + mean_j))
                llr = count * (np.log(mean_j / null) + shrink) + null / extra * shrink
                llr = max(llr, LEAST) if tells else 0.0
                told_wide[0][lane, j, at] = mean_j if tells else null
                told_wide[1][lane, j, at] = llr
                if seen:
                    grown = (1.0 + odds) * np.exp(min(llr, CERTAIN))
                    r[lane, j] = min(grown, np.exp(CERTAIN))
                if follows:
                    gain = shared / (variance + phi / mean_j)
                    other += gain * (count / (mean * remains[j]) - other)
                others[lane, j] = min(max(other, LOWEST), HIGHEST)
            if follows:
                gain = shared / (variance + phi / null)
                level = min(max(level + gain * (count / mean - level), LOWEST), HIGHEST)
                p_level -= gain * shared
                p_both -= gain * (p_common + p_both)
        busiests[lane] = busiest
        commons[lane], surprises[lane], levels[lane] = common, surprise, level
        ps_common[lane], ps_both[lane], ps_level[lane] = p_common, p_both, p_level
