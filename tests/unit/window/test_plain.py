"""The window stage against a plain reading of what it counts."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.vocabulary import Outcome
from pipeline.window.ordering import order_by
from pipeline.window.passes import fold_hours, mark_known
from pipeline.window.people import number_pairs
from pipeline.window.stage import advance
from pipeline.window.state import WindowState
from tests.unit.window import plain
from tests.unit.window.conftest import START

HOUR = timedelta(hours=1)
SOURCES = ["entra_signin", "entra_signin_noninteractive", "exchange_audit"]
RECORD = st.fixed_dictionaries(
    {
        # Few ids: the same one comes again, with half of it, in another hour or with another code.
        "event_id": st.sampled_from([a * 8 + b * 8 for a in (b"a", b"b") for b in (b"c", b"d")])
        | st.binary(min_size=16, max_size=16),
        "event_time": st.integers(0, 4 * 3600).map(lambda s: START + timedelta(seconds=s - s % 7)),
        "received_time": st.sampled_from([None, START + HOUR, START + 30 * HOUR]),
        "tenant": st.sampled_from(["t", "other"]),
        "source": st.sampled_from(SOURCES),
        "service": st.sampled_from(["exchange_online", "teams"]),
        "client": st.sampled_from(["outlook_ios", "owa", "system"]),
        "client_version": st.sampled_from([None, "1", "2"]),
        "operation": st.just("sign_in"),
        "outcome": st.sampled_from([str(o) for o in Outcome]),
        "error_code": st.sampled_from([None, -3, 0, 50126, 90036]),
        "user": st.none() | st.sampled_from([0, 1, 61, 2**64 - 1]) | st.integers(0, 2**64 - 1),
        "country": st.sampled_from([None, "DE", "FR"]),
        "network": st.sampled_from([None, "AS1", "AS2"]),
        "device_class": st.none(),
        "weight": st.sampled_from([0, 1, 2, 40]),
        "latency_ms": st.none(),
        "flags": st.sampled_from([0, 0, 2, 4]),
    }
)


def sparse(values, cells, start):
    """The counts that are not zero, by (column, cell, minute since 1970)."""
    first = int(start.timestamp()) // 60
    return {
        (name, cells[cell], first + int(minute)): int(counts[cell, minute])
        for name, counts in values.items()
        for cell, minute in zip(*np.nonzero(counts), strict=True)
    }


def assert_counted_as_in_plain_words(rows, cut):
    state, seen = WindowState(), set()
    counted, kept_all, codes, codes_all = Counter(), [], Counter(), Counter()
    for hour in range(0, 5, cut):
        start, until = START + hour * HOUR, START + (hour + cut) * HOUR
        given_rows = [r for r in rows if start <= r["event_time"] < until]
        kept = plain.fresh(given_rows, seen)
        kept_all += kept
        table = pa.Table.from_pylist(given_rows, schema=EVENT_SCHEMA)
        state, block = advance(state, table, start=start, until=until)
        cells = [(c.tenant, str(c.source), str(c.service), str(c.client)) for c in block.cells]
        counted.update(sparse(block.counts, cells, start))
        first = int(start.timestamp()) // 60
        for (cell, code), per_minute in block.codes.items():
            for minute in np.flatnonzero(per_minute).tolist():
                codes[cells[cell], code, first + minute] += int(per_minute[minute])
        assert block.user_hours.to_pylist() == plain.user_hours(kept, cells)
    codes_all = plain.code_counts(kept_all)
    assert (state.events, state.duplicates) == (len(kept_all), len(rows) - len(kept_all))
    assert counted == plain.event_counts(kept_all) + plain.user_counts(kept_all)
    assert codes == codes_all
    words = np.concatenate([np.zeros((0, 2), np.uint64), *state.seen.days.values()]).tolist()
    assert words == sorted([low, high] for low, high in seen)


@given(rows=st.lists(RECORD, max_size=40), cut=st.sampled_from([1, 5]))
def test_any_table_is_counted_as_in_plain_words(rows, cut):
    assert_counted_as_in_plain_words(rows, cut)


@pytest.mark.parametrize("cut", [1, 5])
@pytest.mark.parametrize("differ", [8, 2], ids=["in all bytes", "in the last bytes"])
def test_thousands_of_records_are_counted_as_in_plain_words(cut, differ):
    """Enough for the packed sorts; five in a hundred come twice, and the order is a mess.

    Ids that differ in the last bytes alone are the same to a packed sort.
    """
    rng = random.Random(5)
    people = [rng.randrange(2**64) for _ in range(60)]
    rows = [
        {
            "event_id": rng.randbytes(8) + bytes(8 - differ) + rng.randbytes(differ),
            "event_time": START + timedelta(seconds=rng.randrange(5 * 3600)),
            "received_time": rng.choice([None, START + 4 * HOUR, START + 40 * HOUR]),
            "tenant": "t",
            "source": rng.choice(SOURCES),
            "service": "exchange_online",
            "client": rng.choice(["outlook_ios", "owa", "system"]),
            "client_version": rng.choice([None, "1"]),
            "operation": "sign_in",
            "outcome": rng.choice(["success", "success", *map(str, Outcome)]),
            "error_code": rng.choice([None, 0, 50126]),
            "user": rng.choice([None, *people]),
            "country": rng.choice(["DE", "FR"]),
            "network": rng.choice(["AS1", "AS2"]),
            "device_class": None,
            "weight": rng.choice([1, 1, 3]),
            "latency_ms": None,
            "flags": rng.choice([0, 0, 0, 2]),
        }
        for _ in range(9000)
    ]
    rows += [dict(r, received_time=START + 5 * HOUR) for r in rng.sample(rows, 450)]
    rng.shuffle(rows)
    assert_counted_as_in_plain_words(rows, cut)


@pytest.mark.parametrize("rows", [10, 5000])
@pytest.mark.parametrize(
    ("low", "high", "shift"),
    [(0, 3, 0), (0, 2**63, 0), (0, 2**20, 1), (0, 200, 55), (-(2**62), 2**62, 0), (5, 6, 0)],
)
def test_rows_are_sorted_by_key_then_minor_then_place(rows, low, high, shift):
    rng = np.random.default_rng(3)
    key = rng.integers(low, high, rows) << shift
    key += rng.integers(0, 2, rows)  # differs in the lowest bit, which does not fit in
    minor = rng.integers(0, 5, rows)
    assert order_by(key).tolist() == np.lexsort((key,)).tolist()
    assert order_by(key, minor).tolist() == np.lexsort((minor, key)).tolist()
    unsigned = key.view(np.uint64)
    assert order_by(unsigned, minor).tolist() == np.lexsort((minor, unsigned)).tolist()


WORDS = st.one_of(st.integers(0, 9), st.integers(2**64 - 9, 2**64 - 1), st.integers(0, 2**64 - 1))
IDS = st.sets(st.tuples(WORDS, st.integers(0, 3)))


@given(days=st.lists(IDS, max_size=3), asked=IDS, again=st.floats(0, 1))
def test_an_identity_that_any_day_knows_is_found_and_no_other(days, asked, again):
    rows = np.array(sorted(asked), np.uint64).reshape(-1, 2)
    found = np.zeros(len(rows), bool)
    days = [
        day | set(sorted(asked)[at :: len(days)][: int(again * 9)]) for at, day in enumerate(days)
    ]
    for day in days:
        mark_known(rows, np.array(sorted(day), np.uint64).reshape(-1, 2), found)
    assert [tuple(r) for r in rows[found].tolist()] == sorted(asked & set().union(*days))


@pytest.mark.parametrize("asked", [3, 300, 3_000, 100_000])
@pytest.mark.parametrize("spread", [64, 30, 8])
def test_of_many_known_identities_each_that_comes_again_is_found(asked, spread):
    """Ids that are random, those that share their upper bits, and those that differ in few words."""
    rng = np.random.default_rng(asked)
    ids = rng.integers(0, 2**64, (20_000 + asked, 2), np.uint64)
    ids[:, 0] >>= np.uint64(64 - spread)
    new, known = ids[:asked], np.concatenate([ids[asked:], ids[:asked:7]])
    rows, known = np.unique(new, axis=0), np.unique(known, axis=0)
    found = np.zeros(len(rows), bool)
    for day in (known[::2], known[1::2]):
        mark_known(rows, day, found)
    there = {tuple(r) for r in known.tolist()}
    assert found.tolist() == [tuple(r) in there for r in rows.tolist()]
    assert 0 < found.sum() < len(rows)


@pytest.mark.parametrize("people", [1, 40, 5000])
def test_pairs_of_cell_and_user_are_numbered_in_order(people):
    """Thousands of pairs: the table of hashes doubles several times on the way."""
    rng = np.random.default_rng(people)
    users = rng.integers(0, 2**64, people, np.uint64)
    cell, user = rng.integers(0, 3, 20_000), users[rng.integers(0, people, 20_000)]
    pairs = number_pairs(cell, user)
    told = list(zip(cell.tolist(), user.tolist(), strict=True))
    ranked = sorted(set(told))
    assert list(zip(pairs.cell.tolist(), pairs.user.tolist(), strict=True)) == ranked
    assert [ranked[code] for code in pairs.code.tolist()] == told


def test_attempts_are_folded_into_the_hours_of_pairs():
    rng = np.random.default_rng(4)
    pair = rng.integers(0, 9, 2_000).astype(np.int32)
    minute = np.sort(rng.choice(np.r_[0:50, 200:300], 2_000))  # two hours have nothing
    family = rng.choice(np.array([-1, -1, 0, 1], np.int8), 2_000)
    ok = (family < 0) & (rng.random(2_000) < 0.8)
    last, counts, failing = fold_hours(pair, minute, ok, family, 12, 2)
    keys = list(zip((minute // 60).tolist(), pair.tolist(), strict=True))
    rows = sorted(set(keys))
    assert [keys[at] for at in last.tolist()] == rows
    assert all(keys[at] not in keys[at + 1 :] for at in last.tolist())
    for kind, counted in enumerate([family >= -1, ok, family == 0, family == 1]):
        times = Counter(key for key, one in zip(keys, counted, strict=True) if one)
        assert counts[kind].tolist() == [times[row] for row in rows]
    assert [rows[at] for at in failing.tolist()] == [
        key for key, kind in zip(keys, family, strict=True) if kind >= 0
    ]
