"""Several loops: all turn at once, all stop together, and what one says is heard."""

from __future__ import annotations

import threading

import pytest

from pipeline.model.errors import FatalError
from pipeline.runtime.several import Healths, turn_all


def waiting(stopped, begun=None):
    def loop(health):
        health.ready = True
        if begun is not None:
            begun.set()
        assert stopped.wait(10)

    return loop


def test_all_turn_at_once_and_end_when_they_are_stopped():
    stopped, healths = threading.Event(), Healths()
    begun = [threading.Event(), threading.Event()]

    def stop():
        assert all(b.wait(10) for b in begun)
        stopped.set()

    threading.Thread(target=stop).start()
    loops = {"a": waiting(stopped, begun[0]), "b": waiting(stopped, begun[1])}
    turn_all(loops, stopped=stopped, healths=healths)
    assert (healths.ready, healths.problem, healths.alive) == (True, None, True)


def test_one_that_fails_for_good_stops_them_all_and_is_raised():
    stopped = threading.Event()

    def failing(_health):
        raise FatalError("no such topic")

    with pytest.raises(FatalError, match="no such topic"):
        turn_all({"a": failing, "b": waiting(stopped)}, stopped=stopped, healths=Healths())


def test_what_one_says_is_told_by_its_name():
    stopped, healths = threading.Event(), Healths()

    def troubled(health):
        health.problem, health.remark = "no answer", "slow"
        stopped.set()

    turn_all({"siem": troubled, "chat": waiting(stopped)}, stopped=stopped, healths=healths)
    assert (healths.ready, healths.problem, healths.remark) == (
        False, "siem: no answer", "siem: slow",
    )  # fmt: skip
