"""A loop that meets trouble: what it says of it, and that it is over."""

from __future__ import annotations

import threading

from structlog import make_filtering_bound_logger, wrap_logger
from structlog.testing import CapturingLogger

from pipeline.model.errors import RetriableError
from pipeline.runtime.health import Health
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.turning import turn


def turned(*steps):
    """What a loop of these steps logged, and what it says of itself."""
    lines, health, left = CapturingLogger(), Health(), list(steps)

    def step():
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    turn(
        step,
        done=lambda: not left,
        idle_seconds=0.0,
        stopped=threading.Event(),
        health=health,
        metrics=Metrics(),
        log=wrap_logger(lines, processors=[], wrapper_class=make_filtering_bound_logger(0)),
    )
    return [(c.method_name, c.kwargs) for c in lines.calls], health


def test_the_end_of_a_trouble_is_told_once():
    gone = RetriableError("no broker", retry_after=0.0)
    lines, health = turned(True, gone, gone, True, False)
    assert [(kind, told["outcome"]) for kind, told in lines] == [
        ("warning", "put off"),
        ("warning", "put off"),
        ("info", "goes on"),
    ]
    assert (health.ready, health.problem) == (True, None)


def test_who_has_no_trouble_says_nothing():
    assert turned(True, False, True)[0] == []
