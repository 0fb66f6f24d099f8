from __future__ import annotations

import inspect

import pytest

from pipeline.model import errors
from pipeline.model.errors import (
    AuthError,
    ExitCode,
    FatalError,
    OutriderError,
    RetriableError,
    ThrottledError,
)

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_ours_says_its_message_and_explains_itself(cls: type[Exception]) -> None:
    assert issubclass(cls, OutriderError)
    assert cls.__name__.endswith("Error")
    assert str(cls("read.json: not JSON; export it again")).startswith("read.json")
    assert cls.__doc__


def test_the_classes_say_what_to_do_next() -> None:
    assert issubclass(ThrottledError, RetriableError)
    assert issubclass(AuthError, FatalError)
    assert not issubclass(RetriableError, FatalError)


def test_a_retriable_error_carries_the_delay_asked_for() -> None:
    assert RetriableError("later").retry_after is None
    assert ThrottledError("later", retry_after=2.5).retry_after == 2.5


def test_exit_codes_are_the_documented_ones() -> None:
    assert {c.name: c.value for c in ExitCode} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "INCIDENT_FOUND": 3,
        "PARTIAL_DATA": 4,
        "SINK_REFUSED": 5,
        "INTERRUPTED": 130,
    }
