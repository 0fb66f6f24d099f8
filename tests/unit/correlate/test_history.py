"""What is asked of the last days' user-hours."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.correlate.history import among, distinct

USERS = st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1)))


@given(values=USERS, known=st.lists(USERS, max_size=3))
def test_who_is_among_the_known_is_told_whatever_the_order(values, known):
    found = among(np.array(values, np.uint64), distinct(np.array(k, np.uint64) for k in known))
    assert found.tolist() == [v in {u for k in known for u in k} for v in values]
