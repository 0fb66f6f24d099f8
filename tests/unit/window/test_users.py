"""The vectorised counting of users against a plain reading of its definition."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from pipeline.model.vocabulary import OUTCOME_FAMILIES, Outcome, OutcomeFamily
from pipeline.window.columns import OUTCOMES
from pipeline.window.users import PRESSING_MINUTES, Attempts, OpenHours, count_users

BASE = 29_000_000  # minutes since 1970, on a full hour
CHOICES = [Outcome.SUCCESS, Outcome.SERVICE_FAULT, Outcome.USER_ERROR, Outcome.POLICY]


def naive(rows, minutes, cells):
    """Minute by minute, user by user, as the documentation words it."""
    counts = defaultdict(lambda: np.zeros((cells, minutes), np.int32))
    by_hour = defaultdict(lambda: defaultdict(list))
    for cell, user, minute, outcome in rows:
        hour = (BASE + minute + user % 60) // 60
        by_hour[cell, user, hour][minute].append(outcome)
    for (cell, _, _), by_minute in by_hour.items():
        failed, ok = set(), False
        for tries, minute in enumerate(sorted(by_minute)):
            outcomes = by_minute[minute]
            families = {OUTCOME_FAMILIES[o] for o in outcomes if o in OUTCOME_FAMILIES}
            counts["users"][cell, minute] += 1
            counts["failing_users"][cell, minute] += bool(families)
            for family in OutcomeFamily:
                counts[f"eligible_{family}"][cell, minute] += family not in failed
                newly = family in families and family not in failed
                counts[f"newly_failing_{family}"][cell, minute] += newly
            counts["newly_active"][cell, minute] += Outcome.SUCCESS in outcomes and not ok
            counts["eligible_pressing"][cell, minute] += tries < PRESSING_MINUTES
            counts["newly_pressing"][cell, minute] += tries + 1 == PRESSING_MINUTES
            failed |= families
            ok |= Outcome.SUCCESS in outcomes
    return counts


def random_rows(seed, minutes):
    rng = random.Random(seed)
    return [
        (
            rng.randrange(2),
            rng.choice([7, 61, 3600, 12345]),
            rng.randrange(minutes),
            rng.choice(CHOICES),
        )
        for _ in range(400)
    ]


def attempts_of(rows, first, last):
    mine = [r for r in rows if first <= r[2] < last]
    return Attempts(
        np.array([r[0] for r in mine], np.int64),
        np.array([r[1] for r in mine], np.uint64),
        np.array([r[2] - first for r in mine], np.int64),
        np.array([OUTCOMES.index(r[3]) for r in mine], np.int64),
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cut", [240, 60, 120])
def test_counts_follow_the_definition_wherever_blocks_are_cut(seed, cut):
    minutes = 240
    rows = random_rows(seed, minutes)
    want = naive(rows, minutes, 2)
    carried = OpenHours()
    got = defaultdict(list)
    for first in range(0, minutes, cut):
        counts, carried = count_users(
            attempts_of(rows, first, first + cut), carried, BASE + first, cut, 2
        )
        for name, values in counts.items():
            got[name].append(values)
    for name, values in got.items():
        np.testing.assert_array_equal(np.concatenate(values, axis=1), want[name], err_msg=name)


def test_order_of_arrival_changes_nothing():
    rows = random_rows(9, 120)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    one, _ = count_users(attempts_of(rows, 0, 120), OpenHours(), BASE, 120, 2)
    two, _ = count_users(attempts_of(shuffled, 0, 120), OpenHours(), BASE, 120, 2)
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name], err_msg=name)


def test_one_device_in_a_retry_storm_is_one_user():
    rows = [(0, 7, minute, Outcome.SERVICE_FAULT) for minute in range(60) for _ in range(30)]
    counts, _ = count_users(attempts_of(rows, 0, 60), OpenHours(), BASE, 60, 1)
    assert counts["newly_failing_service"].sum() <= 2  # its own hour is cut once by the offset
    assert counts["newly_pressing"].sum() <= 2
