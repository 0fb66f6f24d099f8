"""Handing over: settled from the first on, nothing twice, nobody called before its time."""

from __future__ import annotations

import json
import math
import threading
import time
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError
from pipeline.runtime.handing import AGAIN_SECONDS, MENDED_SECONDS, MOST_SECONDS, Handing
from pipeline.runtime.live.pool import DaemonPool


class Told(NamedTuple):
    kind: str
    id: str
    revision: int
    tenant: str
    document: dict


def documents(count, start=1):
    return [
        Told("flag", "f", n, "t", {"flag_id": "f", "revision": n})
        for n in range(start, start + count)
    ]


class Sink:
    """Answers as it is told to, then takes everything."""

    def __init__(self, *answers):
        self.answers, self.handed = list(answers), []

    def deliver(self, given):
        keys = [(d["flag_id"], d["revision"]) for d in given]
        self.handed.append([d["revision"] for d in given])
        answer = self.answers.pop(0) if self.answers else Delivery(keys)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def keys(*revisions):
    return [("f", r) for r in revisions]


def handing(*answers):
    clock = Clock()
    sink = Sink(*answers)
    return Handing("siem", sink, monotonic=clock), sink, clock


def test_what_is_accepted_or_refused_is_settled():
    hand, _, _ = handing(Delivery(keys(1, 3), rejected=keys(2)))
    done = hand.hand(documents(3))
    assert (done.taken, done.refused, done.again, done.problem) == (3, (1,), None, None)
    (letter,) = hand.refusals(documents(3), done, lambda d: f"place {d.revision}", 7)
    assert (letter.reason, letter.kind, letter.sink) == ("refused_by_sink", "document", "siem")
    assert (letter.place, letter.at, letter.tenant) == ("place 2", 7, "t")
    assert json.loads(letter.body) == {"flag_id": "f", "revision": 2}


def test_only_the_gap_is_handed_in_again():
    hand, sink, _ = handing(Delivery(keys(1, 3, 4), rejected=keys(5), retry_after=0.0))
    done = hand.hand(documents(5))
    assert (done.taken, done.refused) == (1, ())
    done = hand.hand(documents(6, start=2))
    assert sink.handed[1] == [2, 6, 7]
    assert (done.taken, done.refused) == (6, (3,))


def test_what_went_to_another_worker_is_handed_in_whole_when_it_comes_back():
    hand, sink, _ = handing(Delivery(keys(2)), Delivery(keys(1)))
    hand.hand(documents(2), "p")
    hand.hand(documents(2), "q")
    assert sink.handed[1] == [1, 2]
    hand.forget("p")
    hand.hand(documents(2), "p")
    assert sink.handed[2] == [1, 2]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(None, AGAIN_SECONDS), (5.0, 5.0), (0.0, 0.0), (-3.0, 0.0), (math.inf, MOST_SECONDS)],
)
def test_a_destination_is_left_alone_for_as_long_as_it_asks(asked, waited):
    hand, _, clock = handing(RetriableError("busy", retry_after=asked))
    done = hand.hand(documents(1))
    assert (done.taken, done.again, done.problem) == (0, waited, "busy")
    assert hand.waiting is (waited > 0)
    clock.now += waited
    assert not hand.waiting
    assert hand.hand(documents(1)).taken == 1


def test_a_destination_that_takes_nothing_and_says_nothing_is_not_asked_at_once():
    hand, _, _ = handing(Delivery(()))
    assert hand.hand(documents(2)).again == AGAIN_SECONDS
    assert hand.waiting


def test_one_that_takes_a_few_is_asked_again_at_once():
    hand, _, _ = handing(Delivery(keys(1)))
    done = hand.hand(documents(2))
    assert (done.taken, done.again) == (1, None)
    assert not hand.waiting


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (Delivery(keys(1, 2)), False),
        (Delivery(keys(1), retry_after=1.5), False),
        (Delivery((), retry_after=0.1), False),
        (Delivery((), retry_after=30.0), True),
        (Delivery(()), True),
        (Delivery(keys(1), rejected=keys(2)), True),
        (RetriableError("busy", retry_after=0.1), True),
    ],
)
def test_a_pace_is_no_failure(answer, failed):
    hand, _, _ = handing(answer)
    assert hand.hand(documents(2)).failed is failed


def test_an_empty_portion_asks_nobody():
    hand, sink, _ = handing()
    assert hand.hand([]).again is None
    assert sink.handed == []


def test_a_person_has_to_act_where_waiting_does_not_help():
    hand, _, _ = handing(FatalError("no such folder"))
    with pytest.raises(FatalError, match="no such folder"):
        hand.hand(documents(1))


def test_keys_that_were_not_handed_over_settle_nothing():
    hand, sink, _ = handing(Delivery(keys(1, 2, 3, 99)))
    assert hand.hand(documents(2)).taken == 2
    assert hand.hand(documents(1, start=3)).taken == 1
    assert sink.handed == [[1, 2], [3]]


@given(st.lists(st.sampled_from(["take", "refuse", "later"]), min_size=1, max_size=40), st.data())
def test_each_document_is_settled_once_and_in_order_whatever_the_destination_does(fates, data):
    refused, settled = set(), []

    class Moody:
        def deliver(self, given):
            names = [(d["flag_id"], d["revision"]) for d in given]
            chosen = data.draw(st.lists(st.sampled_from(names), unique=True))
            bad = [k for k in chosen if fates[k[1] - 1] == "refuse"]
            refused.update(bad)
            return Delivery([k for k in chosen if k not in bad], bad, 0.0)

    hand, queue = Handing("moody", Moody()), documents(len(fates))
    letters = 0
    for _ in range(300):
        if not queue:
            break
        portion = queue[: data.draw(st.integers(1, 10))]
        done = hand.hand(portion)
        letters += len(done.refused)
        settled += [d.revision for d in portion[: done.taken]]
        queue = queue[done.taken :]
    assert settled == sorted(set(settled))
    assert letters == len([k for k in refused if k[1] in settled])


class Slow(Sink):
    """Answers when it is let."""

    def __init__(self, *answers):
        super().__init__(*answers)
        self.asked, self.let = threading.Event(), threading.Event()

    def deliver(self, given):
        self.asked.set()
        assert self.let.wait(10)
        return super().deliver(given)


@pytest.fixture
def pool():
    made = DaemonPool(2, "test")
    yield made
    made.shutdown()


def settled(hand, portion):
    """What comes of a portion once the destination has answered."""
    until = time.monotonic() + 10
    while hand.waiting:
        assert time.monotonic() < until
        time.sleep(0.001)
    return hand.hand(portion)


def test_one_that_is_far_away_is_not_waited_for(pool):
    sink, clock = Slow(), Clock()
    hand = Handing("siem", sink, pool=pool, monotonic=clock)
    assert hand.hand(documents(2)).asked
    assert sink.asked.wait(10)
    assert hand.waiting
    assert hand.hand(documents(3)) == hand.hand(documents(3))
    sink.let.set()
    assert settled(hand, documents(3)).taken == 2
    assert sink.handed == [[1, 2]]
    assert hand.hand(documents(1, start=3)).asked
    assert settled(hand, documents(1, start=3)).taken == 1
    assert sink.handed == [[1, 2], [3]]


@pytest.mark.parametrize(
    ("error", "said", "hopeless", "again"),
    [
        (RetriableError("busy", retry_after=7.0), "busy", False, 7.0),
        (FatalError("the token is refused"), "the token is refused", True, MENDED_SECONDS),
        (ZeroDivisionError("secret"), "ZeroDivisionError while delivering", True, MENDED_SECONDS),
    ],
)
def test_far_away_even_what_a_person_has_to_mend_stops_nobody_else(
    pool, error, said, hopeless, again
):
    clock = Clock()
    hand = Handing("siem", Sink(error), pool=pool, patient=True, monotonic=clock)
    hand.hand(documents(1))
    done = settled(hand, documents(1))
    assert (done.taken, done.again, done.failed) == (0, again, True)
    assert said in done.problem
    assert "secret" not in done.problem
    assert (hand.problem, hand.hopeless) == (done.problem, hopeless)
    clock.now += again
    hand.hand(documents(1))
    assert settled(hand, documents(1)).taken == 1
    assert (hand.problem, hand.hopeless) == (None, False)
