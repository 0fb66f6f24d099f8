"""Words in ascending order, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sorting import _by_buckets, sorted_words

LOTS = 5_000
RNG = np.random.default_rng(5)
RANDOM = RNG.integers(0, 2**64, LOTS, np.uint64)


@pytest.mark.parametrize(
    "words",
    [
        RANDOM,
        np.sort(RANDOM),
        np.sort(RANDOM)[::-1].copy(),
        RANDOM >> np.uint64(40),
        RANDOM % np.uint64(7),
        np.full(LOTS, 2**64 - 1, np.uint64),
        np.concatenate([RANDOM, np.array([0, 2**64 - 1], np.uint64)]),
        np.append(RANDOM % np.uint64(1000), np.uint64(2**64 - 1)),  # nearly all in one bucket
        RANDOM[:255],
        RANDOM[:1],
        RANDOM[:0],
        RANDOM[::3],
    ],
)
def test_words_are_sorted_as_numpy_sorts_them(words):
    before = words.copy()
    assert sorted_words(words).tolist() == np.sort(words).tolist()
    assert (words == before).all()


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60),
    st.integers(0, 63),
    st.integers(1, 9),
)
def test_any_words_are(few, shift, times):
    words = np.tile(np.array(few, np.uint64) >> np.uint64(shift), times)
    found = _by_buckets(words)
    assert found.tolist() in ([], np.sort(words).tolist())
    assert sorted_words(words).tolist() == np.sort(words).tolist()


def test_words_that_crowd_are_left_to_another_way():
    crowd = np.append(RANDOM % np.uint64(1000), np.uint64(2**64 - 1))
    assert not len(_by_buckets(crowd))
    assert len(_by_buckets(np.sort(crowd))), "in order they need not move"
    assert len(_by_buckets(RANDOM)) == LOTS
