"""Documents packed into requests: within limits, in order, the first trouble told last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sinks.parcels import Outcome, Parcel, deliver, halves, packed, parts
from pipeline.model.contracts import Delivery
from pipeline.model.errors import ConfigError, FatalError, RetriableError
from tests.contracts.sink_cases import in_order

PARCELS = st.lists(
    st.builds(lambda name, size: (name, b"x" * size), st.sampled_from("abc"), st.integers(0, 30)),
    max_size=30,
).map(lambda made: [Parcel((name, n), body) for n, (name, body) in enumerate(made)])


def parcel(revision, name="a", size=1):
    return Parcel((name, revision), b"x" * size)


@given(PARCELS, st.integers(1, 60), st.integers(0, 3), st.booleans())
def test_everything_goes_once_in_order_and_within_the_limit(parcels, most, around, apart):
    made = list(parts(parcels, most, around=around, apart=apart))
    flat = [p for part in made for p in part]
    assert sorted(flat, key=lambda p: p.key) == sorted(parcels, key=lambda p: p.key)
    assert in_order([p.key for p in flat])
    for part in made:
        assert len(part) == 1 or sum(len(p.body) + around for p in part) <= most
        if apart:
            assert len({p.key[0] for p in part}) == len(part)
    if not apart:
        assert flat == parcels


@given(PARCELS, st.sets(st.integers(0, 29)))
def test_halving_finds_exactly_the_bad_ones(parcels, bad):
    sent = []

    def send(part):
        if any(p.key[1] in bad for p in part):
            return halves(part)
        sent.extend(part)
        return Outcome([p.key for p in part])

    done = deliver(parts(parcels, 50), send)
    assert sent == [p for p in parcels if p.key[1] not in bad]
    assert list(done.accepted) == [p.key for p in sent]
    assert list(done.rejected) == [p.key for p in parcels if p.key[1] in bad]


def test_a_document_handed_over_twice_is_packed_once():
    one = {"incident_id": "i", "revision": 1, "headline": "x"}
    made, unsaid = packed([one, one], lambda d: d["headline"].encode())
    assert [p.key for p in made] == [("i", 1)]
    assert not unsaid


def test_what_the_form_has_no_words_for_is_set_aside():
    odd = {"flag_id": "f", "revision": 1}
    made, unsaid = packed([odd], lambda d: d["headline"].encode())
    assert (made, unsaid) == ([], [("f", 1)])


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [(RetriableError("x", retry_after=7.0), 7.0), (FatalError("x"), 0.0), (ConfigError("x"), 0.0)],
)
def test_what_is_settled_is_told_first_and_the_trouble_after(trouble, wait):
    answers = [Outcome([("a", 1)]), trouble]

    def send(_part):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    done = deliver([[parcel(1)], [parcel(2)], [parcel(3)]], send)
    assert done == Delivery([("a", 1)], [], wait)
    assert not answers
    answers.append(trouble)
    kind = FatalError if isinstance(trouble, ConfigError) else type(trouble)
    with pytest.raises(kind):
        deliver([[parcel(2)]], send)


def test_a_rejection_is_told_before_a_trouble_too():
    def send(_part):
        raise RetriableError("x", retry_after=7.0)

    assert deliver([[parcel(1)]], send, [("b", 1)]) == Delivery([], [("b", 1)], 7.0)


def test_a_parcel_shows_its_key_and_not_its_body():
    assert "secret" not in repr(Parcel(("a", 1), b"secret"))
